package retort

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/jsonl"
)

// ReadPassages yields the passages of a JSON Lines stream with BEIR's field names (_id, title, text). Names are
// case-sensitive; unknown names are skipped, and a repeated name is an error. An integer id becomes the string of its
// digits. Streams compressed with gzip or zstd are decompressed. Errors give name and the line; the first error ends
// the sequence.
func ReadPassages(r io.Reader, name string) iter.Seq2[Passage, error] {
	return jsonl.ReadWith(r, name, decodePassage)
}

// ReadQueries yields the queries of a JSON Lines stream with BEIR's field names (_id, text) and, for generated queries,
// type, source and origin. Errors are the same as for [ReadPassages].
func ReadQueries(r io.Reader, name string) iter.Seq2[Query, error] {
	return jsonl.ReadWith(r, name, decodeQuery)
}

// LoadCorpus reads a corpus from a JSON Lines file into memory. An empty corpus and a repeated id are errors. For a
// corpus that is too large for memory use [OpenCorpus].
func LoadCorpus(path string) (*MemoryCorpus, error) {
	passages, err := load(path, decodePassage, func(p Passage) string { return p.ID })
	if err != nil {
		return nil, err
	}
	return NewCorpus(passages)
}

// LoadQueries reads queries from a JSON Lines file. A file without queries and a repeated id are errors.
func LoadQueries(path string) ([]Query, error) {
	return load(path, decodeQuery, Query.id)
}

// LoadLists reads lists from a JSON Lines file. A file without lists and a repeated query id are errors.
func LoadLists(path string) ([]List, error) {
	return load(path, decodeList, List.id)
}

// SaveCorpus writes a corpus as JSON Lines. It replaces the file atomically. Passages that LoadCorpus would reject and
// text that is not valid UTF-8 are errors that name the passage.
func SaveCorpus(path string, c Corpus) error {
	return save(path, func(yield func(Passage, error) bool) {
		for i := range c.Len() {
			p, err := c.At(i)
			if err == nil {
				err = checkSavedPassage(c, i, p)
			}
			if !yield(p, err) {
				return
			}
		}
	})
}

// SaveQueries writes queries as JSON Lines, with the same errors as [SaveCorpus].
func SaveQueries(path string, queries []Query) error {
	return save(path, checked(queries, checkQuery, Query.id, Query.strings))
}

// SaveLists writes lists as JSON Lines, with the same errors as [SaveCorpus].
func SaveLists(path string, lists []List) error {
	return save(path, checked(lists, checkList, List.id, List.strings))
}

func load[T any](path string, decode func([]byte) (T, error), id func(T) string) ([]T, error) {
	var values []T
	seen := uniqueIDs{}
	for v, err := range jsonl.ReadFileWith(path, decode) {
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if err := seen.add(id(v), len(values)); err != nil {
			return nil, fmt.Errorf("%s: record %d: %w", path, len(values), err)
		}
	}
	if len(values) == 0 {
		return nil, noRecordsIn(path)
	}
	return values, nil
}

// save writes the values. On an error it leaves the file at path unchanged.
func save[T any](path string, values iter.Seq2[T, error]) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		var failed error
		number := 0
		err := jsonl.Write(w, func(yield func(T) bool) {
			for v, err := range values {
				number++
				if err != nil {
					failed = fmt.Errorf("record %d: %w", number, err)
					return
				}
				if !yield(v) {
					return
				}
			}
		})
		switch {
		case failed != nil:
			return failed
		case err == nil && number == 0:
			return errNoRecords
		}
		return err
	})
}

// checked yields each value with its first error.
func checked[T any](values []T, check func(T) error, id func(T) string, strings func(T) []string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := uniqueIDs{}
		for i, v := range values {
			err := check(v)
			if err == nil {
				err = checkUTF8(id(v), strings(v))
			}
			if err == nil {
				err = seen.add(id(v), i+1)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

var errNoRecords = errors.New("no records")

func noRecordsIn(path string) error {
	return fmt.Errorf("%s: %w: the file is empty or blank; want JSON Lines, one object per line", path, errNoRecords)
}

// uniqueIDs maps each id to the number of its record.
type uniqueIDs map[string]int

func (u uniqueIDs) add(id string, record int) error {
	if first, ok := u[id]; ok {
		return fmt.Errorf("id %q is already used by record %d", id, first)
	}
	u[id] = record
	return nil
}

// checkSavedPassage finds repeated ids with the corpus's own index, so it needs no memory for a large corpus.
func checkSavedPassage(c Corpus, i int, p Passage) error {
	if err := checkPassage(p); err != nil {
		return err
	}
	switch first, ok := c.Index(p.ID); {
	case !ok:
		return fmt.Errorf("Corpus.Index does not find the id %q of passage %d", p.ID, i)
	case first != i:
		return fmt.Errorf("id %q is already used by record %d", p.ID, first+1)
	}
	return checkUTF8(p.ID, []string{p.ID, p.Title, p.Text})
}

// checkUTF8 guards writes: encoding/json silently replaces invalid bytes by U+FFFD.
func checkUTF8(id string, values []string) error {
	for _, s := range values {
		if !utf8.ValidString(s) {
			return fmt.Errorf("id %q: invalid UTF-8", id)
		}
	}
	return nil
}

func (q Query) id() string { return q.ID }

func (q Query) strings() []string { return []string{q.ID, q.Text, q.Type, q.Source, q.Origin} }

func (l List) id() string { return l.Query.ID }

func (l List) strings() []string { return append(l.Query.strings(), l.IDs...) }

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
		return fmt.Errorf("list of query %q has weight %v, want a finite number of at least 0", l.Query.ID, l.Weight)
	}
	seen := make(map[string]bool, len(l.IDs))
	for i, id := range l.IDs {
		if seen[id] {
			return fmt.Errorf("list of query %q contains passage %q twice", l.Query.ID, id)
		}
		seen[id] = true
		if l.Scores != nil && (math.IsNaN(l.Scores[i]) || math.IsInf(l.Scores[i], 0)) {
			return fmt.Errorf("list of query %q has score %v for passage %q, want a finite number", l.Query.ID, l.Scores[i], id)
		}
	}
	return nil
}
