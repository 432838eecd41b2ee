// Package counted writes numbers for people.
package counted

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Thousands writes 12,345.
func Thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", Thousands(n/1000), n%1000)
}

// Join writes counts in a line, the largest first: "too long 27, empty 3".
func Join[K ~string](counts map[K]int) string {
	order := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(order))
	for i, k := range order {
		parts[i] = fmt.Sprintf("%s %d", k, counts[k])
	}
	return strings.Join(parts, ", ")
}
