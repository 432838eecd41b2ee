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

	"github.com/retort-ir/retort/internal/atomicfile"
)

// Qrels are relevance judgements: they map query id to passage id to grade. A grade of 1 or more is relevant, and
// higher is more relevant; 0 or less is not relevant. A passage that is absent was not judged.
type Qrels map[string]map[string]int

// readQrels reads judgements, one a line, in either of two formats, told apart by the number of columns of the first
// line:
//
//	query-id <tab> corpus-id <tab> score    BEIR
//	query-id iteration passage-id grade     TREC, any blanks between, the iteration ignored
//
// The first line is a header, whatever its words, where the last column has no digit. Grades are integers, 1.0 among
// them. A stream that is packed with gzip or zstd is unpacked. A stream without judgements, and one that judges a
// passage twice for the same query, are errors. name is the name of the stream in errors, which also give the line.
func readQrels(r io.Reader, name string) (Qrels, error) {
	qrels := Qrels{}
	var split func([]byte) (judgement, error)
	var header judgement
	err := readLines(r, name, func(line []byte) error {
		isFirst := split == nil
		if isFirst {
			split = qrelsFormat(line)
		}
		j, err := split(line)
		if err != nil {
			return err
		}
		if isFirst && isHeader(j) {
			header = j
			return nil
		}
		return qrels.add(j)
	})
	if err != nil {
		return nil, err
	}
	if taken := header != (judgement{}) && header.grade != "score"; taken &&
		(len(qrels) == 0 || qrels[header.query] != nil) {
		return nil, fmt.Errorf("%s:1: %w", name, qrels.add(header)) // a judgement with a broken grade
	}
	if len(qrels) == 0 {
		return nil, fmt.Errorf("%s: no judgements", name)
	}
	return qrels, nil
}

// LoadQrels reads judgements from a file in BEIR's format (query-id, corpus-id, score, separated by tabs, with a
// header) or in TREC's format (query-id, iteration, passage-id, grade). Files compressed with gzip or zstd are
// decompressed. A file without judgements and a passage that is judged twice for a query are errors. Errors give the
// file and the line.
func LoadQrels(path string) (Qrels, error) {
	return readFile(path, readQrels)
}

// SaveQrels writes judgements in BEIR's format, ordered by query and passage id. It replaces the file atomically.
func SaveQrels(path string, qrels Qrels) error {
	return atomicfile.Write(path, func(w io.Writer) error { return writeQrels(w, qrels) })
}

// writeQrels writes judgements in BEIR's format, ordered by query and passage id. Ids that are empty or hold a tab or
// an end of line are errors.
func writeQrels(w io.Writer, qrels Qrels) error {
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

// judgement is a line of qrels as written.
type judgement struct{ query, passage, grade string }

func (q Qrels) add(j judgement) error {
	if j.query == "" || j.passage == "" {
		return errors.New("empty query or passage id")
	}
	grade, ok := parseGrade(j.grade)
	if !ok {
		return fmt.Errorf("grade %q is not an integer of 32 bits", j.grade)
	}
	if _, twice := q[j.query][j.passage]; twice {
		return fmt.Errorf("query %[2]q has two judgements of passage %[1]q", j.passage, j.query)
	}
	if q[j.query] == nil {
		q[j.query] = map[string]int{}
	}
	q[j.query][j.passage] = grade
	return nil
}

// isHeader knows a header by the place of the grade, where other tools write other words than BEIR.
func isHeader(j judgement) bool {
	return j.grade != "" && !strings.ContainsAny(j.grade, "0123456789")
}

// parseGrade reads an integer, also with zeros behind the point, as tables of floating-point numbers have it.
func parseGrade(text string) (grade int, ok bool) {
	if whole, zeros, found := strings.Cut(text, "."); found && whole != "" && strings.Trim(zeros, "0") == "" {
		text = whole
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return int(n), err == nil
}

// qrelsFormat returns the reader of lines like the first one.
func qrelsFormat(first []byte) func([]byte) (judgement, error) {
	split := func(line []byte) [][]byte { return columns(nil, line) }
	tabs := bytes.Count(first, []byte("\t"))
	if tabs == 2 || tabs == 3 && len(split(first)) > 4 { // BEIR's, or TREC's between tabs: ids may hold spaces
		split = func(line []byte) [][]byte { return bytes.Split(bytes.TrimRight(line, "\r"), []byte("\t")) }
	}
	want := len(split(first))
	return func(line []byte) (judgement, error) {
		c := split(line)
		if len(c) != want || want != 3 && want != 4 {
			return judgement{},
				fmt.Errorf("%d columns: want 3 (query-id, corpus-id, score) or 4 (query-id, iteration, "+
					"passage-id, grade), the same in every line%s", len(c), otherFormat(line))
		}
		return judgement{query: string(c[0]), passage: string(c[want-2]), grade: string(c[want-1])}, nil
	}
}

// otherFormat guesses what a line is whose columns are too few or too many.
func otherFormat(line []byte) string {
	switch {
	case bytes.HasPrefix(line, []byte("{")):
		return ": is the file JSON? Judgements are text"
	case bytes.Count(line, []byte(",")) >= 2:
		return ": is the file CSV? Tabs or spaces separate the columns"
	case bytes.ContainsRune(bytes.TrimRight(line, "\r"), '\r'):
		return ": a line ends with LF or CRLF, not with CR alone"
	}
	return ""
}
