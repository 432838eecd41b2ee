// Package counted writes numbers for people.
package counted

import "fmt"

// Thousands writes 12,345.
func Thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", Thousands(n/1000), n%1000)
}
