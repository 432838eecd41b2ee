package mine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
)

// RRF fuses the rankings of several rankers by reciprocal rank (Cormack, Clarke and Büttcher 2009): a passage's score is
// the sum over the rankers of 1 / (c + its rank), ranks from 1, nothing where a ranker lacks it. c is 60 in the paper.
// Each ranker has one ranking a query, best first; the result has at most k hits a query, ties by ascending index.
func RRF(c float64, k int, rankers ...[][]Hit) ([][]Hit, error) {
	if !(c >= 0) || math.IsInf(c, 0) {
		return nil, fmt.Errorf("rrf: c is %v: must be a finite number >= 0", c)
	}
	if err := checkRankers(k, rankers); err != nil {
		return nil, fmt.Errorf("rrf: %w", err)
	}
	return fuse(k, rankers, func(rankings [][]Hit) map[int]float64 {
		sum := map[int]float64{}
		for _, ranking := range rankings {
			for rank, h := range ranking {
				sum[h.Index] += 1 / (c + float64(rank+1))
			}
		}
		return sum
	}), nil
}

// ZScore fuses the rankings of several rankers by the sum of their standardised scores: (score - mean) / standard
// deviation, both over the first depth hits of the ranker's own ranking of the query (the population's deviation). A
// passage that a ranker lacks has the lowest score of that ranker's whole ranking; an empty ranking adds nothing, and one
// whose scores are all equal adds 0. Each ranker has one ranking a query, best first; the result has at most k hits a
// query, ties by ascending index. Where the rankers can score every passage, [ZScoreFusion] does so and nothing lacks.
func ZScore(depth, k int, rankers ...[][]Hit) ([][]Hit, error) {
	if err := checkDepth(depth); err != nil {
		return nil, fmt.Errorf("z-score: %w", err)
	}
	if err := checkRankers(k, rankers); err != nil {
		return nil, fmt.Errorf("z-score: %w", err)
	}
	return fuse(k, rankers, func(rankings [][]Hit) map[int]float64 {
		return sumOfZ(depth, rankings)
	}), nil
}

func sumOfZ(depth int, rankings [][]Hit) map[int]float64 {
	sum := map[int]float64{}
	for _, ranking := range rankings {
		for _, h := range ranking {
			sum[h.Index] = 0
		}
	}
	for _, ranking := range rankings {
		if len(ranking) == 0 {
			continue
		}
		scale := standardise(ranking[:min(depth, len(ranking))])
		scores := make(map[int]float32, len(ranking))
		lowest := ranking[0].Score
		for _, h := range ranking {
			scores[h.Index] = h.Score
			lowest = min(lowest, h.Score)
		}
		for index := range sum {
			score, ok := scores[index]
			if !ok {
				score = lowest
			}
			sum[index] += scale.z(score)
		}
	}
	return sum
}

// fuse ranks the passages of each query by the scores that score gives to the union of its rankings.
func fuse(k int, rankers [][][]Hit, score func(rankings [][]Hit) map[int]float64) [][]Hit {
	if len(rankers) == 0 {
		return nil
	}
	fused := make([][]Hit, len(rankers[0]))
	rankings := make([][]Hit, len(rankers))
	for q := range fused {
		for r := range rankers {
			rankings[r] = rankers[r][q]
		}
		scores := score(rankings)
		top := best{k: min(k, len(scores))}
		for index, s := range scores {
			top.offer(Hit{Index: index, Score: float32(s)})
		}
		fused[q] = top.ranked()
	}
	return fused
}

func checkRankers(k int, rankers [][][]Hit) error {
	if err := checkK(k); err != nil {
		return err
	}
	for r, rankings := range rankers {
		if len(rankings) != len(rankers[0]) {
			return fmt.Errorf("ranker %d has rankings for %d queries, ranker 0 for %d", r, len(rankings), len(rankers[0]))
		}
		for q, ranking := range rankings {
			if err := checkRanking(ranking); err != nil {
				return fmt.Errorf("ranker %d, query %d: %w", r, q, err)
			}
		}
	}
	return nil
}

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

// scale is a ranker's mean and standard deviation for one query.
type scale struct{ mean, deviation float64 }

func standardise(hits []Hit) scale {
	var sum, squares float64
	for _, h := range hits {
		sum += float64(h.Score)
	}
	mean := sum / float64(len(hits))
	for _, h := range hits {
		d := float64(h.Score) - mean
		squares += d * d
	}
	return scale{mean, math.Sqrt(squares / float64(len(hits)))}
}

func (s scale) z(score float32) float64 {
	if s.deviation == 0 {
		return 0
	}
	return (float64(score) - s.mean) / s.deviation
}

// ZScoreFusion ranks by the sum of several rankers' standardised scores over the whole corpus: for each query
// (score - mean) / standard deviation, both over the ranker's own best Depth passages (the population's deviation). A
// ranker that gives all of those the same score adds 0. BM25 and a dense encoder fused so are a teacher that beats
// either. It is safe for concurrent use.
type ZScoreFusion struct {
	rankers []Scorer
	depth   int
	chunk   int

	// From so many passages on a search goes by threshold, over so many candidates of each ranker.
	large, candidates int
}

// The scores of so many queries for all passages are held at a time, twice: of one ranker and their sum. From 4 million
// passages on these are 32 bytes a passage.
const (
	fusedScores = 1 << 24
	leastFused  = 4
	mostFused   = 1024
)

// NewZScoreFusion fuses rankers of one corpus. depth is 100 in most of Retort.
func NewZScoreFusion(depth int, rankers ...Scorer) (*ZScoreFusion, error) {
	if err := checkDepth(depth); err != nil {
		return nil, fmt.Errorf("z-score: %w", err)
	}
	if len(rankers) == 0 {
		return nil, errors.New("z-score: no rankers")
	}
	n := rankers[0].Len()
	for r, ranker := range rankers {
		if ranker.Len() != n {
			return nil, fmt.Errorf("z-score: ranker %d has %d passages, ranker 0 has %d: they must rank one corpus", r, ranker.Len(), n)
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

// searchUnsettled fills in the rankings that are nil.
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
			return blas32.General{}, fmt.Errorf("z-score: ranker %d gave %d x %d scores for %d queries and %d passages",
				r, scores.Rows, scores.Cols, sum.Rows, sum.Cols)
		}
		if _, err := checkMatrix("scores", scores); err != nil {
			return blas32.General{}, fmt.Errorf("z-score: ranker %d: %w", r, err)
		}
		err = parallel.Each(ctx, len(queries), func(_, q int) error {
			row, total := matrix.Row(scores, q), matrix.Row(sum, q)
			scale := standardise(rankAll(row, f.depth))
			for i, score := range row {
				total[i] += float32(scale.z(score))
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
	offerAll(&top, 0, scores)
	return top.ranked()
}
