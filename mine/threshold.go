package mine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/internal/zscore"
)

// A fused search of a large corpus does not need the scores of all passages: a passage that is in no ranker's
// candidates cannot exceed the sum of the lowest scores of the candidates. This is the threshold algorithm of Fagin,
// Lotem and Naor (2003), "Optimal aggregation algorithms for middleware". It is exact: queries that it cannot settle
// are searched with the scores of all passages.
const (
	thresholdPassages = 200_000 // for a smaller corpus computing all scores is faster
	thresholdDepth    = 1000    // candidates of each ranker; at least 10 k
	thresholdBatch    = 100     // candidates that are scored together
)

// candidateRanker is a Scorer that supports the threshold algorithm.
type candidateRanker interface {
	Scorer
	// candidates returns the best passages of each query, and a function that scores any passage for query q. Both
	// return the same scores as ScoreAll. If there are fewer than depth candidates, all other passages score 0.
	candidates(ctx context.Context, queries []retort.Query, depth int) (rankings [][]Hit, score scoreFunc, err error)
}

type scoreFunc func(q int, indices []int) ([]float64, error)

func (x *BM25) candidates(ctx context.Context, queries []retort.Query, depth int) ([][]Hit, scoreFunc, error) {
	rankings, err := x.Search(ctx, queries, depth)
	return rankings, func(q int, indices []int) ([]float64, error) { return x.Score(queries[q].Text, indices) }, err
}

func (x *Dense) candidates(ctx context.Context, queries []retort.Query, depth int) ([][]Hit, scoreFunc, error) {
	vectors, err := x.EncodeQueries(ctx, queries)
	if err != nil {
		return nil, nil, err
	}
	rankings, err := x.SearchVectors(ctx, vectors, depth)
	return rankings, func(q int, indices []int) ([]float64, error) { return x.Score(matrix.Row(vectors, q), indices) }, err
}

// candidateRankers returns the rankers if all of them support the threshold algorithm.
func (f *ZScoreFusion) candidateRankers() ([]candidateRanker, bool) {
	rankers := make([]candidateRanker, len(f.rankers))
	for r := range f.rankers {
		var ok bool
		if rankers[r], ok = f.rankers[r].(candidateRanker); !ok {
			return nil, false
		}
	}
	return rankers, true
}

// searchByThreshold returns the k best passages of each query; nil for a query that it cannot settle.
func (f *ZScoreFusion) searchByThreshold(
	ctx context.Context, rankers []candidateRanker, queries []retort.Query, k int,
) ([][]Hit, error) {
	depth := min(f.Len(), max(f.candidates, 10*k, f.depth))
	rankings := make([][][]Hit, len(rankers)) // by ranker and query
	score := make([]scoreFunc, len(rankers))
	for r, ranker := range rankers {
		var err error
		if rankings[r], score[r], err = ranker.candidates(ctx, queries, depth); err != nil {
			return nil, fmt.Errorf("z-score: ranker %d: %w", r, err)
		}
	}
	found := make([][]Hit, len(queries))
	err := parallel.Each(ctx, len(queries), func(_, q int) error {
		t := newThreshold(len(rankers), k)
		for r := range rankers {
			t.addRanking(r, rankings[r][q], depth, f.depth)
		}
		var err error
		found[q], err = t.search(f.Len(), func(r int, indices []int) ([]float64, error) { return score[r](q, indices) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("z-score: %w", err)
	}
	return found, nil
}

// threshold is the search for one query.
type threshold struct {
	k      int
	scales []zscore.Scale
	unseen []float32 // per ranker: upper bound of the standardised score of a passage outside its ranking
	seen   map[int]*candidate
}

// candidate is a passage in at least one ranking.
type candidate struct {
	index int
	z     []float32 // per ranker, if known
	known []bool
	most  float32 // the sum of z, with unseen in place of unknown values
}

func newThreshold(rankers, k int) *threshold {
	return &threshold{
		k: k, scales: make([]zscore.Scale, rankers), unseen: make([]float32, rankers),
		seen: map[int]*candidate{},
	}
}

// addRanking adds a ranker's result of a search for depth passages. The scale is computed from its first scaleDepth
// passages.
func (t *threshold) addRanking(r int, ranking []Hit, depth, scaleDepth int) {
	first := slices.Clone(ranking[:min(scaleDepth, len(ranking))])
	lowest := float32(0)
	if len(ranking) == depth {
		lowest = ranking[depth-1].Score
	}
	for len(first) < min(scaleDepth, depth) {
		first = append(first, Hit{})
	}
	t.scales[r] = standardise(first)
	t.unseen[r] = float32(t.scales[r].Z(float64(lowest)))
	for _, h := range ranking {
		c := t.seen[h.Index]
		if c == nil {
			c = &candidate{index: h.Index, z: make([]float32, len(t.scales)), known: make([]bool, len(t.scales))}
			t.seen[h.Index] = c
		}
		c.z[r], c.known[r] = float32(t.scales[r].Z(float64(h.Score))), true
	}
}

// search scores candidates by descending upper bound until no other candidate can be among the k best. It returns nil
// if a passage outside all rankings could be among them.
func (t *threshold) search(passages int, score func(r int, indices []int) ([]float64, error)) ([]Hit, error) {
	top := best{k: min(t.k, passages)}
	candidates := t.byPromise()
	for len(candidates) > 0 {
		if floor, full := top.floor(); full && candidates[0].most < floor {
			break
		}
		batch := candidates[:min(thresholdBatch, len(candidates))]
		candidates = candidates[len(batch):]
		if err := t.complete(batch, score); err != nil {
			return nil, err
		}
		for _, c := range batch {
			top.offer(Hit{Index: c.index, Score: sum32(c.z)})
		}
	}
	floor, full := top.floor()
	if len(t.seen) < passages && (!full || floor <= sum32(t.unseen)) {
		return nil, nil
	}
	return top.ranked(), nil
}

// byPromise returns the candidates by descending upper bound of their sum.
func (t *threshold) byPromise() []*candidate {
	candidates := make([]*candidate, 0, len(t.seen))
	for _, c := range t.seen {
		for r, known := range c.known {
			if !known {
				c.z[r] = t.unseen[r]
			}
		}
		c.most = sum32(c.z)
		candidates = append(candidates, c)
	}
	slices.SortFunc(candidates, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.most, a.most), cmp.Compare(a.index, b.index))
	})
	return candidates
}

// complete computes the unknown scores of the candidates.
func (t *threshold) complete(batch []*candidate, score func(r int, indices []int) ([]float64, error)) error {
	for r := range t.scales {
		var indices []int
		for _, c := range batch {
			if !c.known[r] {
				indices = append(indices, c.index)
			}
		}
		scores, err := score(r, indices)
		if err != nil {
			return err
		}
		for _, c := range batch {
			if !c.known[r] {
				c.z[r], scores = float32(t.scales[r].Z(float64(float32(scores[0])))), scores[1:]
			}
		}
	}
	return nil
}

// sum32 adds in the same order as ZScoreFusion.ScoreAll. Rounding is monotonic, so the sum of upper bounds is an upper
// bound.
func sum32(z []float32) float32 {
	var sum float32
	for _, v := range z {
		sum += v
	}
	return sum
}
