package generate

import "github.com/retort-ir/retort"

// Dedup returns the queries without those whose normal form (Normalize) an earlier one has, and how many of each type
// were dropped. A query that two passages gave stays with the first. The argument is not changed.
func Dedup(queries []retort.Query) (kept []retort.Query, dropped map[string]int) {
	kept = make([]retort.Query, 0, len(queries))
	dropped = map[string]int{}
	seen := make(map[string]bool, len(queries))
	for _, q := range queries {
		normal := Normalize(q.Text)
		if seen[normal] {
			dropped[q.Type]++
			continue
		}
		seen[normal] = true
		kept = append(kept, q)
	}
	return kept, dropped
}
