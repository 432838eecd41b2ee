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

// A fused search of a large corpus does not need the scores of all passages: the best stand among the first of at least
// one ranker, or else no better than the sum of the scores at which those were cut off. This is the threshold algorithm
// of Fagin, Lotem and Naor (2003), "Optimal aggregation algorithms for middleware". It is exact: queries that it cannot
// settle are searched with the scores of all passages.
const (
	thresholdPassages = 200_000 // in a smaller corpus all scores come sooner
	thresholdDepth    = 1000    // of each ranker; or 10 k
	thresholdBatch    = 100     // candidates that are scored together
)

// candidateRanker is a Scorer that can be fused so.
type candidateRanker interface {
	Scorer
	// candidates returns the best passages of each query, and what scores any passage of query q; both give the numbers
	// that ScoreAll gives. Where there are fewer than depth, all others score 0.
	candidates(ctx context.Context, queries []retort.Query, depth int) (rankings [][]Hit, score scoreFunc, err error)
}

type scoreFunc func(q int, indices []int) ([]float64, error)

func (x *BM25) candidates(ctx context.Context, queries []retort.Query, depth int) ([][]Hit, scoreFunc, error) {
	rankings, err := x.Search(ctx, queries, depth)
	return rankings, func(q int, indices []int) ([]float64, error) { return x.Score(queries[q].Text, indices) }, err
}

func (x *Dense) candidates(ctx context.Context, queries []retort.Query, depth int) ([][]Hit, scoreFunc, error) {
	vectors, err := x.encode(ctx, queries)
	if err != nil {
		return nil, nil, err
	}
	rankings, err := x.SearchVectors(ctx, vectors, depth)
	return rankings, func(q int, indices []int) ([]float64, error) { return x.Score(matrix.Row(vectors, q), indices) }, err
}

// candidateRankers returns the rankers if all of them can be fused by threshold.
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
	unseen []float32 // of each ranker: the highest standardised score of a passage that is not in its ranking
	seen   map[int]*candidate
}

// candidate is a passage in one ranking at least.
type candidate struct {
	index int
	z     []float32 // of each ranker, where known
	known []bool
	most  float32 // the sum of z, with unseen for what is not known
}

func newThreshold(rankers, k int) *threshold {
	return &threshold{
		k: k, scales: make([]zscore.Scale, rankers), unseen: make([]float32, rankers),
		seen: map[int]*candidate{},
	}
}

// addRanking adds what a ranker found when it was asked for depth passages. Its scale comes from its first scaleDepth
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

// search scores candidates, the most promising first, until no other can be among the k best. It returns nil where a
// passage that no ranker found could be.
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

// complete asks the rankers for what is not known of the candidates.
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

// sum32 adds as ZScoreFusion.ScoreAll does. Rounding keeps order, so that a sum of upper bounds is one.
func sum32(z []float32) float32 {
	var sum float32
	for _, v := range z {
		sum += v
	}
	return sum
}
