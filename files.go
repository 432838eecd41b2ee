package retort

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/jsonl"
)

// ReadPassages yields the passages of a JSON Lines stream with BEIR's field names (_id, title, text). name stands for
// the stream in errors, which also give the line; the first error ends the sequence.
func ReadPassages(r io.Reader, name string) iter.Seq2[Passage, error] {
	return jsonl.Read(r, name, checkPassage)
}

// ReadQueries yields the queries of a JSON Lines stream with BEIR's field names (_id, text) and, for generated ones,
// type, source and origin. Errors are as those of ReadPassages.
func ReadQueries(r io.Reader, name string) iter.Seq2[Query, error] {
	return jsonl.Read(r, name, checkQuery)
}

// ReadLists yields the lists of a JSON Lines stream. Errors are as those of ReadPassages.
func ReadLists(r io.Reader, name string) iter.Seq2[List, error] {
	return jsonl.Read(r, name, checkList)
}

// LoadCorpus reads a corpus from a JSON Lines file into memory. An empty corpus and a repeated id are errors.
func LoadCorpus(path string) (*MemoryCorpus, error) {
	passages, err := load(path, checkPassage, func(p Passage) string { return p.ID })
	if err != nil {
		return nil, err
	}
	return NewCorpus(passages)
}

// LoadQueries reads queries from a JSON Lines file. A file without queries and a repeated id are errors.
func LoadQueries(path string) ([]Query, error) {
	return load(path, checkQuery, func(q Query) string { return q.ID })
}

// LoadLists reads lists from a JSON Lines file. A file without lists and a repeated query id are errors.
func LoadLists(path string) ([]List, error) {
	return load(path, checkList, func(l List) string { return l.Query.ID })
}

// SaveCorpus writes a corpus as JSON Lines. The file appears whole or not at all.
func SaveCorpus(path string, c Corpus) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		var failed error
		err := jsonl.Write(w, func(yield func(Passage) bool) {
			for i := range c.Len() {
				p, err := c.At(i)
				if err != nil {
					failed = err
					return
				}
				if !yield(p) {
					return
				}
			}
		})
		return errors.Join(failed, err)
	})
}

// SaveQueries writes queries as JSON Lines. The file appears whole or not at all.
func SaveQueries(path string, queries []Query) error {
	return jsonl.WriteFile(path, slices.Values(queries))
}

// SaveLists writes lists as JSON Lines. The file appears whole or not at all.
func SaveLists(path string, lists []List) error {
	return jsonl.WriteFile(path, slices.Values(lists))
}

func load[T any](path string, check func(T) error, id func(T) string) ([]T, error) {
	var values []T
	seen := map[string]int{} // id to the number of its record
	for v, err := range jsonl.ReadFile(path, check) {
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if first, ok := seen[id(v)]; ok {
			return nil, fmt.Errorf("%s: record %d: id %q is taken by record %d", path, len(values), id(v), first)
		}
		seen[id(v)] = len(values)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: no records", path)
	}
	return values, nil
}

func checkPassage(p Passage) error {
	if p.ID == "" {
		return errors.New(`no "_id"`)
	}
	return nil
}

func checkQuery(q Query) error {
	if q.ID == "" {
		return errors.New(`no "_id"`)
	}
	if q.Text == "" {
		return fmt.Errorf("query %q has no text", q.ID)
	}
	return nil
}

func checkList(l List) error {
	if err := checkQuery(l.Query); err != nil {
		return err
	}
	if l.Scores != nil && len(l.Scores) != len(l.IDs) {
		return fmt.Errorf("list of query %q has %d ids and %d scores", l.Query.ID, len(l.IDs), len(l.Scores))
	}
	if l.Weight < 0 || math.IsNaN(l.Weight) || math.IsInf(l.Weight, 0) {
		return fmt.Errorf("list of query %q has weight %v", l.Query.ID, l.Weight)
	}
	seen := make(map[string]bool, len(l.IDs))
	for i, id := range l.IDs {
		if seen[id] {
			return fmt.Errorf("list of query %q holds passage %q twice", l.Query.ID, id)
		}
		seen[id] = true
		if l.Scores != nil && (math.IsNaN(l.Scores[i]) || math.IsInf(l.Scores[i], 0)) {
			return fmt.Errorf("list of query %q has score %v for passage %q", l.Query.ID, l.Scores[i], id)
		}
	}
	return nil
}
