package eval

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/atomicfile"
)

// Run holds the results of a system: it maps a query id to hits in any order, each passage at most once per query.
type Run map[string][]Hit

// Hit is one retrieved passage. The score has single precision because trec_eval ranks by scores in single precision.
type Hit struct {
	ID    string // id of the passage
	Score float32
}

// rankHits sorts hits in the order of trec_eval: by score, highest first, equal scores by id in descending byte order.
func rankHits(hits []Hit) {
	slices.SortFunc(hits, func(a, b Hit) int {
		if c := cmp.Compare(b.Score, a.Score); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
}

// readRun reads a run in TREC's format, one hit a line, any blanks between the columns:
//
//	query-id Q0 passage-id rank score tag
//
// The second, fourth and last column are ignored. A score that is no finite number in single precision, a passage that
// occurs twice for a query and a stream without hits are errors. name is the name of the stream in errors, which also
// give the line. A stream that is packed with gzip or zstd is unpacked.
func readRun(r io.Reader, name string) (Run, error) {
	run := Run{}
	seen := map[string]map[string]bool{}
	var c [][]byte
	err := readLines(r, name, func(line []byte) error {
		c = columns(c, line)
		if len(c) != 6 {
			return fmt.Errorf("%d columns, want 6: query-id, Q0, passage-id, rank, score, tag", len(c))
		}
		score, err := parseScore(c[4])
		if err != nil {
			return err
		}
		passages := seen[string(c[0])]
		if passages == nil {
			passages = map[string]bool{}
			seen[string(c[0])] = passages
		}
		if passages[string(c[2])] {
			return fmt.Errorf("passage %q occurs twice for query %q", c[2], c[0])
		}
		hit := Hit{ID: string(c[2]), Score: score}
		passages[hit.ID] = true
		run[string(c[0])] = append(run[string(c[0])], hit)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(run) == 0 {
		return nil, fmt.Errorf("%s: no hits", name)
	}
	return run, nil
}

// LoadRun reads a run from a file in TREC's format: query-id, Q0, passage-id, rank, score, tag, separated by blanks.
// Files compressed with gzip or zstd are decompressed. A file without hits, a passage that occurs twice for a query and
// a score that is not finite are errors. Errors give the file and the line.
func LoadRun(path string) (Run, error) {
	return readFile(path, readRun)
}

// SaveRun writes a run in TREC's format. It replaces the file atomically. tag names the system.
func SaveRun(path string, run Run, tag string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return writeRun(w, run, tag) })
}

// writeRun writes a run in TREC's format, ordered by query id and rank (from 1); scores are written so that readRun
// returns the same ones. tag names the system. A run without hits, ids or a tag that are empty or hold white space,
// repeated passages and scores that are not finite are errors.
func writeRun(w io.Writer, run Run, tag string) error {
	if err := checkID("tag", tag, blanks+"\n"); err != nil {
		return err
	}
	bw := bufio.NewWriter(w)
	written := 0
	line := make([]byte, 0, 256)
	var ranker ranker
	for _, query := range slices.Sorted(maps.Keys(run)) {
		if err := checkID("query id", query, blanks+"\n"); err != nil {
			return err
		}
		hits, err := ranker.rank(run[query])
		if err != nil {
			return fmt.Errorf("query %q: %w", query, err)
		}
		for i, hit := range hits {
			if err := checkID("passage id", hit.ID, blanks+"\n"); err != nil {
				return fmt.Errorf("query %q: %w", query, err)
			}
			if _, err := bw.Write(appendHit(line[:0], query, hit, i+1, tag)); err != nil {
				return err
			}
			written++
		}
	}
	if written == 0 {
		return errors.New("the run has no hits")
	}
	return bw.Flush()
}

// CheckRunIDs returns an error if SaveRun could not write a run of the collection, because an id of a query or passage
// is empty or contains white space, which separates columns.
func (c *Collection) CheckRunIDs() error {
	for _, q := range c.Queries {
		if err := checkID("query id", q.ID, blanks+"\n"); err != nil {
			return err
		}
	}
	for i := range c.Corpus.Len() {
		p, err := c.Corpus.At(i)
		if err != nil {
			return err
		}
		if err := checkID("passage id", p.ID, blanks+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// appendHit appends a line of a run file.
func appendHit(line []byte, query string, hit Hit, rank int, tag string) []byte {
	line = append(line, query...)
	line = append(line, " Q0 "...)
	line = append(line, hit.ID...)
	line = append(line, ' ')
	line = strconv.AppendInt(line, int64(rank), 10)
	line = append(line, ' ')
	line = strconv.AppendFloat(line, float64(hit.Score), 'g', -1, 32)
	line = append(line, ' ')
	line = append(line, tag...)
	return append(line, '\n')
}

// parseScore rounds twice, to double and then to single precision, as trec_eval does.
func parseScore(text []byte) (float32, error) {
	score, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !isFinite(float32(score)) {
		return 0, fmt.Errorf("score %q is not a finite number in single precision", text)
	}
	return float32(score), nil
}

func isFinite(x float32) bool {
	return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
}

// ranker checks and ranks the hits of one query after the other in the same memory.
type ranker struct {
	hits []Hit
	seen map[string]bool
}

// rank returns the hits in trec_eval's order, valid until the next call.
func (r *ranker) rank(hits []Hit) ([]Hit, error) {
	if r.seen == nil {
		r.seen = make(map[string]bool, len(hits))
	}
	clear(r.seen)
	for _, hit := range hits {
		if !isFinite(hit.Score) {
			return nil, fmt.Errorf("passage %q has score %v", hit.ID, hit.Score)
		}
		if r.seen[hit.ID] {
			return nil, fmt.Errorf("passage %q occurs twice", hit.ID)
		}
		r.seen[hit.ID] = true
	}
	r.hits = append(r.hits[:0], hits...)
	rankHits(r.hits)
	return r.hits, nil
}
