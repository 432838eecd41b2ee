package mine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/internal/zscore"
)

func checkRanking(ranking []Hit) error {
	seen := make(map[int]bool, len(ranking))
	for _, h := range ranking {
		if seen[h.Index] {
			return fmt.Errorf("passage %d is ranked twice", h.Index)
		}
		seen[h.Index] = true
		if s := float64(h.Score); math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("passage %d has score %v", h.Index, h.Score)
		}
	}
	return nil
}

func checkDepth(depth int) error {
	if depth < 1 {
		return fmt.Errorf("depth is %d: mean and deviation need at least 1 hit", depth)
	}
	return nil
}

// standardise returns the scale of the hits' scores.
func standardise(hits []Hit) zscore.Scale {
	return zscore.Of(len(hits), func(i int) float64 { return float64(hits[i].Score) })
}

// ZScoreFusion ranks the whole corpus by the sum of the standardised scores of several rankers. For each query and
// ranker the standardised score is (score - mean) / (population standard deviation), both over the ranker's depth best
// passages. A ranker that gives these passages the same score adds 0. It is safe for concurrent use.
type ZScoreFusion struct {
	rankers []Scorer
	depth   int
	chunk   int

	// With at least large passages, Search uses the threshold algorithm with this number of candidates of each ranker.
	large, candidates int
}

// The scores of so many queries for all passages are held at a time, twice: of one ranker and their sum. From 4 million
// passages on these are 32 bytes a passage.
const (
	fusedScores = 1 << 24
	leastFused  = 4
	mostFused   = 1024
)

// defaultDepth is the depth of a fusion that asks for none.
const defaultDepth = 100

// NewZScoreFusion fuses rankers of one corpus. depth 0 means 100.
func NewZScoreFusion(depth int, rankers ...Scorer) (*ZScoreFusion, error) {
	depth = cmp.Or(depth, defaultDepth)
	if err := checkDepth(depth); err != nil {
		return nil, fmt.Errorf("z-score: %w", err)
	}
	if len(rankers) == 0 {
		return nil, errors.New("z-score: no rankers")
	}
	n := rankers[0].Len()
	for r, ranker := range rankers {
		if ranker.Len() != n {
			return nil, fmt.Errorf("z-score: ranker %d has %d passages, but ranker 0 has %d: the rankers must share one corpus",
				r,
				ranker.Len(), n)
		}
	}
	return &ZScoreFusion{
		rankers: rankers, depth: depth, chunk: max(leastFused, min(mostFused, fusedScores/max(n, 1))),
		large: thresholdPassages, candidates: thresholdDepth,
	}, nil
}

// Len returns the number of passages.
func (f *ZScoreFusion) Len() int { return f.rankers[0].Len() }

// Search returns for each query its k best passages. k < 1 is an error.
func (f *ZScoreFusion) Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("z-score: %w", err)
	}
	rankers, ok := f.candidateRankers()
	if !ok || f.Len() < f.large {
		return f.searchAll(ctx, queries, k)
	}
	rankings := make([][]Hit, 0, len(queries))
	for start := 0; start < len(queries); start += mostFused {
		block := queries[start:min(start+mostFused, len(queries))]
		found, err := f.searchByThreshold(ctx, rankers, block, k)
		if err != nil {
			return nil, err
		}
		if err := f.searchUnsettled(ctx, block, found, k); err != nil {
			return nil, err
		}
		rankings = append(rankings, found...)
	}
	return rankings, nil
}

// searchUnsettled computes the rankings that are nil.
func (f *ZScoreFusion) searchUnsettled(ctx context.Context, queries []retort.Query, rankings [][]Hit, k int) error {
	var unsettled []retort.Query
	for q, ranking := range rankings {
		if ranking == nil {
			unsettled = append(unsettled, queries[q])
		}
	}
	found, err := f.searchAll(ctx, unsettled, k)
	if err != nil {
		return err
	}
	for q, ranking := range rankings {
		if ranking == nil {
			rankings[q], found = found[0], found[1:]
		}
	}
	return nil
}

// searchAll ranks all passages by their scores.
func (f *ZScoreFusion) searchAll(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error) {
	rankings := make([][]Hit, len(queries))
	for start := 0; start < len(queries); start += f.chunk {
		scores, err := f.ScoreAll(ctx, queries[start:min(start+f.chunk, len(queries))])
		if err != nil {
			return nil, err
		}
		err = parallel.Each(ctx, scores.Rows, func(_, q int) error {
			rankings[start+q] = rankAll(matrix.Row(scores, q), k)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("z-score: %w", err)
		}
	}
	return rankings, nil
}

// ScoreAll implements [Scorer].
func (f *ZScoreFusion) ScoreAll(ctx context.Context, queries []retort.Query) (blas32.General, error) {
	sum := matrix.New(len(queries), f.Len())
	for r, ranker := range f.rankers {
		scores, err := ranker.ScoreAll(ctx, queries)
		if err != nil {
			return blas32.General{}, fmt.Errorf("z-score: ranker %d: %w", r, err)
		}
		if scores.Rows != sum.Rows || scores.Cols != sum.Cols {
			return blas32.General{}, fmt.Errorf("z-score: ranker %d returned [%d x %d] scores for %d queries and %d passages",
				r, scores.Rows, scores.Cols, sum.Rows, sum.Cols)
		}
		if _, err := checkMatrix("scores", scores); err != nil {
			return blas32.General{}, fmt.Errorf("z-score: ranker %d: %w", r, err)
		}
		err = parallel.Each(ctx, len(queries), func(_, q int) error {
			row, total := matrix.Row(scores, q), matrix.Row(sum, q)
			scale := standardise(rankAll(row, f.depth))
			for i, score := range row {
				total[i] += float32(scale.Z(float64(score)))
			}
			return nil
		})
		if err != nil {
			return blas32.General{}, fmt.Errorf("z-score: %w", err)
		}
	}
	return sum, nil
}

// rankAll returns the k best of the scores of a whole corpus.
func rankAll(scores []float32, k int) []Hit {
	top := best{k: min(k, len(scores))}
	for i, s := range scores {
		if floor, full := top.floor(); !full || s > floor { // an equal score has a higher index
			top.offer(Hit{Index: i, Score: s})
		}
	}
	return top.ranked()
}
