package godoc

import (
	"bytes"
	_ "embed" // for written.jsonl
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/strictjson"
)

// The halves of the written queries. No package of the standard library has relevant symbols in both.
const (
	dev  = "dev"  // for choosing settings
	test = "test" // for reporting; no choice may be made on it
)

// splits says in which half the queries of a group are.
var splits = map[string]string{
	"archive":     dev,
	"crypto":      dev,
	"database":    dev,
	"image":       dev,
	"logging":     dev,
	"net":         dev,
	"runtime":     dev,
	"text":        dev,
	"collections": test,
	"concurrency": test,
	"encoding":    test,
	"files":       test,
	"gotools":     test,
	"regexp":      test,
	"testing":     test,
}

//go:embed written.jsonl
var writtenJSONL []byte

// writtenQuery is a line of written.jsonl.
type writtenQuery struct {
	ID       string   `json:"_id"`
	Text     string   `json:"text"`
	Group    string   `json:"group"`
	Relevant []string `json:"relevant"` // ids of all symbols that answer the query
}

// writtenQueries returns the queries of a split that were written by hand as Go programmers ask them, judged against
// corpus. Relevant symbols that this version of Go does not have are left out, and queries left with none; the set
// names both.
func writtenQueries(split string, corpus retort.Corpus) (*querySet, error) {
	if split != dev && split != test {
		return nil, fmt.Errorf("split of the written queries is %q, want %q or %q", split, dev, test)
	}
	queries, err := parseWritten(writtenJSONL, "written.jsonl")
	if err != nil {
		return nil, err
	}
	set := &querySet{Qrels: eval.Qrels{}}
	for _, q := range queries {
		if splits[q.Group] == split {
			set.judge(retort.Query{ID: q.ID, Text: q.Text}, q.Relevant, corpus)
		}
	}
	set.finish()
	return set, nil
}

// parseWritten reads JSON Lines of written queries. Errors give name and the line.
func parseWritten(data []byte, name string) ([]writtenQuery, error) {
	var queries []writtenQuery
	seen := map[string]bool{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		q, err := decodeWritten(line)
		if err == nil && seen[q.ID] {
			err = fmt.Errorf("duplicate id %q", q.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		seen[q.ID] = true
		queries = append(queries, q)
	}
	return queries, nil
}

func decodeWritten(line []byte) (writtenQuery, error) {
	var q writtenQuery
	if err := strictjson.UnmarshalKnown(line, &q); err != nil {
		return q, fmt.Errorf("malformed query: %w", err)
	}
	switch {
	case q.ID == "":
		return q, errors.New(`no "_id"`)
	case q.Text == "":
		return q, fmt.Errorf("query %q has no text", q.ID)
	case splits[q.Group] == "":
		return q, fmt.Errorf("query %q is of group %q, which is in no split", q.ID, q.Group)
	case len(q.Relevant) == 0:
		return q, fmt.Errorf("query %q has no relevant symbol", q.ID)
	}
	for i, id := range q.Relevant {
		if id == "" || slices.Contains(q.Relevant[:i], id) {
			return q, fmt.Errorf("query %q: relevant symbol %d (%q) is empty or repeated", q.ID, i, id)
		}
	}
	return q, nil
}
