package results

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/strictjson"
)

// FileName is the file's name in a run folder.
const FileName = "evaluate.jsonl"

// The systems that a run measures.
const (
	Before  = "before" // the model as it was
	After   = "after"  // the student
	BM25    = "bm25"
	Teacher = "teacher"
)

// Record is how well a system answered one query.
type Record struct {
	Set     string   `json:"set"` // of queries: "judged", "held-out items", ...
	System  string   `json:"system"`
	Query   string   `json:"query"` // its id
	Metrics Metrics  `json:"metrics"`
	Top     []string `json:"top"` // passage ids, best first
}

// Metrics holds values by name, as eval.Metric names them: "ndcg@10". A null in its JSON form is an error, not a 0.
type Metrics map[string]float64

// UnmarshalJSON reads an object of numbers.
func (m *Metrics) UnmarshalJSON(text []byte) error {
	var values map[string]*float64
	if err := strictjson.Unmarshal(text, &values); err != nil {
		return err
	}
	*m = make(Metrics, len(values))
	for name, v := range values {
		if v == nil {
			return fmt.Errorf("metric %q is null", name)
		}
		(*m)[name] = *v
	}
	return nil
}

// Load reads the records of a run folder, in the order of the file. Errors name the file and the line; a folder without
// the file gives fs.ErrNotExist.
func Load(dir string) ([]Record, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: want a run folder", dir)
	}
	path := filepath.Join(dir, FileName)
	var records []Record
	for r, err := range jsonl.ReadFile(path, newChecker().check) {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s holds no %s: is it a run folder, and has the run been evaluated? (%w)", dir,
				FileName, err)
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// Sets returns the names of the sets, in the order in which they first occur.
func Sets(records []Record) []string {
	var sets []string
	for _, r := range records {
		if !slices.Contains(sets, r.Set) {
			sets = append(sets, r.Set)
		}
	}
	return sets
}

// Of returns a system's records in one set by the id of their query, empty where there are none.
func Of(records []Record, set, system string) map[string]Record {
	byQuery := map[string]Record{}
	for _, r := range records {
		if r.Set == set && r.System == system {
			byQuery[r.Query] = r
		}
	}
	return byQuery
}

// checker checks records, each against all before it.
type checker struct{ seen map[[3]string]bool }

func newChecker() checker { return checker{map[[3]string]bool{}} }

func (c checker) check(r Record) error {
	for _, field := range []struct{ name, value string }{{"set", r.Set}, {"system", r.System}, {"query", r.Query}} {
		if field.value == "" {
			return fmt.Errorf("no %q", field.name)
		}
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("set %q, system %q, query %q: %w", r.Set, r.System, r.Query, err)
	}
	key := [3]string{r.Set, r.System, r.Query}
	if c.seen[key] {
		return fmt.Errorf("set %q, system %q, query %q: there is such a record already", r.Set, r.System, r.Query)
	}
	c.seen[key] = true
	return nil
}

func (r Record) check() error {
	if len(r.Metrics) == 0 {
		return errors.New("no metrics")
	}
	names := append([]string{r.Set, r.System, r.Query}, r.Top...)
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		v := r.Metrics[name]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("metric %q is %v", name, v)
		}
		names = append(names, name)
	}
	for _, name := range names {
		if !utf8.ValidString(name) {
			return fmt.Errorf("%q is invalid UTF-8", name)
		}
	}
	seen := make(map[string]bool, len(r.Top))
	for _, id := range r.Top {
		if seen[id] {
			return fmt.Errorf("passage %q is in the top twice", id)
		}
		seen[id] = true
	}
	return nil
}
