package mine

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/retort-ir/retort"
)

// Funnel counts what each filter kept and dropped by query type, in the order in which the filters ran. The zero value
// is ready to use. It is not safe for concurrent use. It can be marshalled to JSON and back.
type Funnel struct {
	Filters []FilterCount `json:"filters"`
}

// FilterCount holds the counts of one filter.
type FilterCount struct {
	Name    string               `json:"name"`
	Types   map[string]TypeCount `json:"types"`             // by query type; "" for queries that a person wrote
	Reasons map[Reason]int       `json:"reasons,omitempty"` // number of drops for each reason
}

// TypeCount holds the counts of one filter for one query type.
type TypeCount struct {
	Kept    int `json:"kept"`
	Dropped int `json:"dropped"`
}

// Total returns the sums over the types.
func (c FilterCount) Total() TypeCount {
	var total TypeCount
	for _, t := range c.Types {
		total.Kept += t.Kept
		total.Dropped += t.Dropped
	}
	return total
}

// Queries returns the queries that the selection kept, and counts the selection. A selection that does not contain each
// query exactly once is an error, and nothing is counted.
func (f *Funnel) Queries(filter string, queries []retort.Query, s Selection) ([]retort.Query, error) {
	if err := f.count(filter, len(queries), func(i int) string { return queries[i].Type }, s); err != nil {
		return nil, err
	}
	return s.Queries(queries), nil
}

// Lists returns the lists that the selection of the lists, or of their queries, kept, and counts like Queries.
func (f *Funnel) Lists(filter string, lists []retort.List, s Selection) ([]retort.List, error) {
	if err := f.count(filter, len(lists), func(i int) string { return lists[i].Query.Type }, s); err != nil {
		return nil, err
	}
	return s.Lists(lists), nil
}

func (f *Funnel) count(filter string, n int, typeOf func(i int) string, s Selection) error {
	if err := s.check(n); err != nil {
		return fmt.Errorf("funnel: %s: %w", filter, err)
	}
	c := FilterCount{Name: filter, Types: map[string]TypeCount{}}
	for _, i := range s.Kept {
		t := c.Types[typeOf(i)]
		t.Kept++
		c.Types[typeOf(i)] = t
	}
	for _, d := range s.Dropped {
		t := c.Types[typeOf(d.Index)]
		t.Dropped++
		c.Types[typeOf(d.Index)] = t
	}
	if len(s.Dropped) > 0 {
		c.Reasons = s.Counts()
	}
	f.Filters = append(f.Filters, c)
	return nil
}

// check returns an error unless each of n indices is either kept or dropped, exactly once.
func (s Selection) check(n int) error {
	if len(s.Kept)+len(s.Dropped) != n {
		return fmt.Errorf("the selection keeps %d and drops %d, but there are %d", len(s.Kept), len(s.Dropped), n)
	}
	seen := make([]bool, n)
	mark := func(i int) error {
		if i < 0 || i >= n || seen[i] {
			return fmt.Errorf("the selection contains %d, which is out of range or a duplicate, for %d elements", i, n)
		}
		seen[i] = true
		return nil
	}
	for _, i := range s.Kept {
		if err := mark(i); err != nil {
			return err
		}
	}
	for _, d := range s.Dropped {
		if err := mark(d.Index); err != nil {
			return err
		}
	}
	return nil
}

// Types returns the query types of all counts, ascending.
func (f *Funnel) Types() []string {
	var types []string
	for _, c := range f.Filters {
		for t := range c.Types {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	slices.Sort(types)
	return types
}

// Print writes the funnel as a table with one row per filter and one column per query type. Each cell has the number
// kept and, if not 0, the number dropped. Queries that a person wrote have the type "own".
func (f *Funnel) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	types := f.Types()
	fmt.Fprint(table, "filter")
	for _, t := range types {
		if t == "" {
			t = "own"
		}
		fmt.Fprintf(table, "\t%s", t)
	}
	fmt.Fprintln(table, "\tall")
	for _, c := range f.Filters {
		fmt.Fprint(table, c.Name)
		for _, t := range types {
			fmt.Fprintf(table, "\t%s", c.Types[t])
		}
		fmt.Fprintf(table, "\t%s\n", c.Total())
	}
	return table.Flush()
}

// String returns "80 (-20)", or "100" if nothing was dropped.
func (c TypeCount) String() string {
	if c.Dropped == 0 {
		return fmt.Sprint(c.Kept)
	}
	return fmt.Sprintf("%d (-%d)", c.Kept, c.Dropped)
}
