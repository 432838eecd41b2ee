package pipeline

import (
	"context"
	"fmt"
	"strings"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/mine"
)

// WidthResult compares a metric of the student before and after training at one width.
type WidthResult struct {
	Set    string  `json:"set"`    // of queries, as in evaluate.jsonl
	Metric string  `json:"metric"` // as eval.Metric names it: "ndcg@10"
	Width  int     `json:"width"`  // of the vectors; the student's Dim is the whole vector
	Before float64 `json:"before"` // mean over the queries
	After  float64 `json:"after"`
	eval.Comparison
}

// checkWidths returns an error if the student's vectors are narrower than a width.
func (r *run) checkWidths() error {
	if len(r.Widths) > 0 && r.Widths[0] > r.student.Dim() {
		return fmt.Errorf("pipeline: Recipe.Widths: %d is more than the %d values of the student's vectors", r.Widths[0],
			r.student.Dim())
	}
	return nil
}

// narrow returns the widths that are smaller than the whole vectors. The student is measured at these widths too.
func (r *run) narrow() []int {
	if len(r.Widths) > 0 && r.Widths[0] == r.student.Dim() {
		return r.Widths[1:]
	}
	return r.Widths
}

// metrics are those that are measured: of the whole vectors, then at each narrower width.
func (r *run) metrics() []eval.Metric {
	all := measuredMetrics()
	for _, w := range r.narrow() {
		for _, m := range measuredMetrics() {
			all = append(all, metricAt(m, w))
		}
	}
	return all
}

// metricAt names the metric at a width that is smaller than the whole vectors.
func metricAt(m eval.Metric, width int) eval.Metric {
	m.Name = fmt.Sprintf("%s dim %d", m.Name, width)
	return m
}

// meanOverWidths is the end of the name of a measure that is the mean over the widths.
func (r *run) meanOverWidths() string {
	if len(r.Widths) == 0 {
		return ""
	}
	return ", the mean over widths " + listed(r.Widths)
}

// listed writes "384, 128, 64".
func listed(widths []int) string {
	texts := make([]string, len(widths))
	for i, w := range widths {
		texts[i] = fmt.Sprint(w)
	}
	return strings.Join(texts, ", ")
}

// nested are a student's vectors of passages and queries, which are truncated and never encoded again.
type nested struct {
	dense   *mine.Dense
	row     map[string]int // of a query's id among vectors
	vectors blas32.General
}

func encodeNested(ctx context.Context, dense *mine.Dense, queries []retort.Query) (*nested, error) {
	n := &nested{dense: dense, row: make(map[string]int, len(queries))}
	for i, q := range queries {
		n.row[q.ID] = i
	}
	var err error
	n.vectors, err = dense.EncodeQueries(ctx, queries)
	return n, err
}

// at returns a ranker by the leading values. Only one width's copy of the passage vectors should be in use at a time.
func (n *nested) at(width int) (*nested, error) {
	if width == n.vectors.Cols {
		return n, nil
	}
	passages, _ := matrix.Leading(n.dense.Vectors(), width)
	dense, err := mine.NewDenseVectors(nil, passages)
	if err != nil {
		return nil, err
	}
	queries, _ := matrix.Leading(n.vectors, width)
	return &nested{dense, n.row, queries}, nil
}

// Search implements mine.Retriever for the queries that were encoded.
func (n *nested) Search(ctx context.Context, queries []retort.Query, k int) ([][]mine.Hit, error) {
	vectors := matrix.New(len(queries), n.vectors.Cols)
	for i, q := range queries {
		copy(matrix.Row(vectors, i), matrix.Row(n.vectors, n.row[q.ID]))
	}
	return n.dense.SearchVectors(ctx, vectors, k)
}

// meanNDCG is the mean nDCG@10 of the collection's queries over the widths.
func meanNDCG(ctx context.Context, dense *mine.Dense, c *eval.Collection, widths []int) (float64, error) {
	vectors, err := encodeNested(ctx, dense, c.Queries)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, w := range widths {
		ranker, err := vectors.at(w)
		if err != nil {
			return 0, err
		}
		_, report, err := measure(ctx, ranker, c)
		if err != nil {
			return 0, err
		}
		sum += report.Mean(eval.NDCG(cutoff))
	}
	return sum / float64(len(widths)), nil
}

// widthResults compare before and after at each width, of the judged queries and of the held-out items.
func (r *run) widthResults(ctx context.Context, records []results.Record) ([]WidthResult, error) {
	if len(r.Widths) == 0 {
		return nil, nil
	}
	var sets []string
	for _, set := range r.measuredSets() {
		sets = append(sets, set.Name)
	}
	if r.held != nil {
		sets = append(sets, setHeldOut)
	}
	widths := r.narrow()
	var all []WidthResult
	for _, set := range sets {
		before, after := r.reportOf(records, set, results.Before), r.reportOf(records, set, results.After)
		for _, m := range measuredMetrics() {
			for _, width := range append([]int{r.student.Dim()}, widths...) {
				at := m
				if width != r.student.Dim() {
					at = metricAt(m, width)
				}
				if after.Of(at) == nil {
					continue // of held-out items only MRR is measured
				}
				c, err := eval.Compare(ctx, before, after, at, r.Seed)
				if err != nil {
					return nil, err
				}
				all = append(all, WidthResult{set, m.Name, width, before.Mean(at), after.Mean(at), c})
			}
		}
	}
	return all, nil
}
