package eval

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/atomicfile"
)

// Qrels are relevance judgements: query id to passage id to grade. 1 and above is relevant, the higher the more; 0 and
// below is judged and not relevant. A passage that is absent was not judged.
type Qrels map[string]map[string]int

// ReadQrels reads judgements, one a line, in either of two formats, told apart by the first line:
//
//	query-id <tab> corpus-id <tab> score    BEIR, with or without this line as a header
//	query-id iteration passage-id grade     TREC, any blanks between, the iteration ignored
//
// A stream that is packed with gzip or zstd is unpacked. Grades are integers. A stream without judgements, and one that judges a passage twice for the same query, are errors.
// name stands for the stream in errors, which also give the line.
func ReadQrels(r io.Reader, name string) (Qrels, error) {
	qrels := Qrels{}
	var split func([]byte) (judgement, error)
	err := readLines(r, name, func(line []byte) error {
		isFirst := split == nil
		if isFirst {
			split = qrelsFormat(line)
		}
		j, err := split(line)
		if err != nil {
			return err
		}
		if isFirst && j.grade == "score" {
			return nil
		}
		return qrels.add(j)
	})
	if err != nil {
		return nil, err
	}
	if len(qrels) == 0 {
		return nil, fmt.Errorf("%s: no judgements", name)
	}
	return qrels, nil
}

// LoadQrels is ReadQrels over a file.
func LoadQrels(path string) (Qrels, error) {
	return readFile(path, ReadQrels)
}

// SaveQrels writes judgements in BEIR's format, ordered by query and passage id. The file appears whole or not at all.
func SaveQrels(path string, qrels Qrels) error {
	return atomicfile.Write(path, func(w io.Writer) error { return WriteQrels(w, qrels) })
}

// WriteQrels writes judgements in BEIR's format, ordered by query and passage id. Ids that are empty or hold a tab or an
// end of line are errors.
func WriteQrels(w io.Writer, qrels Qrels) error {
	bw := bufio.NewWriter(w)
	fmt.Fprintln(bw, "query-id\tcorpus-id\tscore")
	for _, query := range slices.Sorted(maps.Keys(qrels)) {
		if err := checkID("query id", query, "\t\r\n"); err != nil {
			return err
		}
		for _, passage := range slices.Sorted(maps.Keys(qrels[query])) {
			if err := checkID("passage id", passage, "\t\r\n"); err != nil {
				return fmt.Errorf("query %q: %w", query, err)
			}
			fmt.Fprintf(bw, "%s\t%s\t%d\n", query, passage, qrels[query][passage])
		}
	}
	return bw.Flush()
}

// Check returns an error when the judgements speak of passages that the corpus lacks or of queries that are not among
// queries, with their number and the first few ids. Such judgements belong to another corpus, or to one that was cut:
// recall and nDCG would count passages that no search can return.
func (q Qrels) Check(corpus retort.Corpus, queries []retort.Query) error {
	known := make(map[string]bool, len(queries))
	for _, query := range queries {
		known[query.ID] = true
	}
	unknownQueries, unknownPassages := map[string]bool{}, map[string]bool{}
	for query, grades := range q {
		if !known[query] {
			unknownQueries[query] = true
		}
		for passage := range grades {
			if _, ok := corpus.Index(passage); !ok {
				unknownPassages[passage] = true
			}
		}
	}
	return errors.Join(
		unknown("passages", "the corpus", unknownPassages),
		unknown("queries", "the queries", unknownQueries),
	)
}

func unknown(what, where string, ids map[string]bool) error {
	if len(ids) == 0 {
		return nil
	}
	const shown = 3
	sorted := slices.Sorted(maps.Keys(ids))
	var names []string
	for _, id := range sorted[:min(shown, len(sorted))] {
		names = append(names, strconv.Quote(id))
	}
	if len(sorted) > shown {
		names = append(names, "...")
	}
	return fmt.Errorf("the qrels name %d %s that are not in %s (%s): do the files belong together?",
		len(sorted), what, where, strings.Join(names, ", "))
}

// judgement is a line of qrels as written.
type judgement struct{ query, passage, grade string }

func (q Qrels) add(j judgement) error {
	if j.query == "" || j.passage == "" {
		return errors.New("empty query or passage id")
	}
	grade, err := strconv.ParseInt(j.grade, 10, 32)
	if err != nil {
		return fmt.Errorf("grade %q is not an integer of 32 bits", j.grade)
	}
	if _, twice := q[j.query][j.passage]; twice {
		return fmt.Errorf("passage %q is judged twice for query %q", j.passage, j.query)
	}
	if q[j.query] == nil {
		q[j.query] = map[string]int{}
	}
	q[j.query][j.passage] = int(grade)
	return nil
}

// qrelsFormat returns the reader of lines like the first one.
func qrelsFormat(first []byte) func([]byte) (judgement, error) {
	split := func(line []byte) [][]byte { return columns(nil, line) }
	if bytes.Count(first, []byte("\t")) == 2 { // BEIR, whose ids may hold spaces
		split = func(line []byte) [][]byte { return bytes.Split(bytes.TrimRight(line, "\r"), []byte("\t")) }
	}
	want := len(split(first))
	return func(line []byte) (judgement, error) {
		c := split(line)
		if len(c) != want || want != 3 && want != 4 {
			return judgement{}, fmt.Errorf("%d columns: want 3 (query-id, corpus-id, score) or 4 (query-id, iteration, "+
				"passage-id, grade), the same in every line", len(c))
		}
		return judgement{query: string(c[0]), passage: string(c[want-2]), grade: string(c[want-1])}, nil
	}
}
