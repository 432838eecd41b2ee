package distill

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/ndcg"
)

// cutoff is the k of nDCG@k and the number of the teacher's best passages that have a gain.
const cutoff = 10

// evaluator ranks all passages of the held-out lists for each held-out query.
type evaluator struct {
	stepper *stepper
	dev     []example
	pool    []int     // distinct passages of the lists
	ideal   []float64 // DCG@10 of each query
	gains   []map[int]float64
}

// newEvaluator returns an error if the teacher's scores are equal within every list.
func newEvaluator(s *stepper) (*evaluator, error) {
	e := &evaluator{stepper: s, dev: s.data.dev}
	lists := make([]*example, len(e.dev))
	for i := range e.dev {
		lists[i] = &e.dev[i]
	}
	e.pool = s.distinct(lists)
	asTheyAre := inUnitRange(e.dev)
	var sum float64
	for _, l := range e.dev {
		gains := topGains(l.teacher, asTheyAre)
		byPassage := make(map[int]float64, cutoff)
		for i, n := range l.list {
			if gains[i] > 0 {
				byPassage[int(n)] = gains[i]
			}
		}
		slices.SortFunc(gains, func(a, b float64) int { return cmp.Compare(b, a) })
		e.gains = append(e.gains, byPassage)
		e.ideal = append(e.ideal, ndcg.DCG(gains, cutoff))
		sum += e.ideal[len(e.ideal)-1]
	}
	if sum == 0 {
		return nil, errors.New("distill: the teacher's scores are equal within every held-out list, so they cannot rank " +
			"students")
	}
	return e, nil
}

// inUnitRange reports whether all scores are in [0,1], so that they can serve as gains unscaled.
func inUnitRange(lists []example) bool {
	for _, l := range lists {
		for _, s := range l.teacher {
			if s < 0 || s > 1 {
				return false
			}
		}
	}
	return true
}

// topGains returns one gain per passage: the score, or the score scaled to [0,1] by the list's minimum and maximum; 0
// for all but the ten best passages.
func topGains(scores []float64, asTheyAre bool) []float64 {
	gains := make([]float64, len(scores))
	low, high := slices.Min(scores), slices.Max(scores)
	for _, i := range first(scores, cutoff) {
		switch {
		case asTheyAre:
			gains[i] = scores[i]
		case high > low:
			gains[i] = (scores[i] - low) / (high - low)
		}
	}
	return gains
}

// score returns the mean nDCG@10 over the queries that have a passage with a gain,
//
//	DCG@10 = sum over ranks r = 1..10 of gain(r) / log2(r+1),  nDCG@10 = DCG@10 / DCG@10 of the best order
//
// (Järvelin and Kekäläinen 2002, ACM TOIS 20(4)). Equal similarities keep the order of the pool. The source of an
// extractive query is ranked only if its list contains it. With Options.Widths it is the mean over the widths, which
// orders students as the sum does.
func (e *evaluator) score(ctx context.Context) (float64, error) {
	pool, queries, err := e.encode(ctx)
	if err != nil {
		return 0, err
	}
	if len(e.stepper.widths) == 0 {
		return e.rank(ctx, pool, queries)
	}
	var sum float64
	for _, w := range e.stepper.widths {
		score, err := e.rank(ctx, pool.atWidth(w), queries.atWidth(w))
		if err != nil {
			return 0, err
		}
		sum += score
	}
	return sum / float64(len(e.stepper.widths)), nil
}

func (e *evaluator) rank(ctx context.Context, pool, queries *side) (float64, error) {
	block := min(max(1, blockElements/len(pool.rows)), len(queries.rows))
	sim := matrix.New(block, len(pool.rows))
	byQuery := make(map[int]int, len(e.dev))
	for i, l := range e.dev {
		byQuery[l.query] = i
	}
	sums := make([]float64, len(e.dev)) // summed in the order of the lists
	for start := 0; start < len(queries.rows); start += block {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		end := min(start+block, len(queries.rows))
		s := matrix.Rows(sim, 0, end-start)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix.Rows(queries.vectors, start, end), pool.vectors, 0, s)
		for i := range s.Rows {
			list := byQuery[queries.rows[start+i]]
			sums[list] = e.ndcg(list, pool.rows, matrix.Row(s, i))
		}
	}
	var sum float64
	var n int
	for i, v := range sums {
		if math.IsNaN(v) {
			return 0, errors.New("distill: the student's similarities are not numbers")
		}
		if e.ideal[i] > 0 {
			sum += v
			n++
		}
	}
	return sum / float64(n), nil
}

// meanLoss returns the mean training loss over lists, computed in order in steps of perStep lists.
func (s *stepper) meanLoss(ctx context.Context, lists []example, perStep int) (float64, error) {
	look := *s
	look.graphBudget = 0 // keep no graph
	look.workers = &workers{}
	look.column = nil // the planner, which works ahead, uses its own
	var sum float64
	for start := 0; start < len(lists); start += perStep {
		var batch []*example
		for i := start; i < min(start+perStep, len(lists)); i++ {
			batch = append(batch, &lists[i])
		}
		loss, err := look.lossOf(ctx, batch)
		if err != nil {
			return 0, err
		}
		sum += loss * float64(len(batch))
	}
	return sum / float64(len(lists)), nil
}

func (s *stepper) lossOf(ctx context.Context, batch []*example) (_ float64, err error) {
	p, err := s.plan(ctx, batch)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	report, err := s.forward(ctx, p)
	return report.Loss, err
}

// encode returns the pool and the queries with their vectors.
func (e *evaluator) encode(ctx context.Context) (pool, queries *side, err error) {
	s := e.stepper
	rows := make([]int, len(e.dev))
	for i, l := range e.dev {
		rows[i] = l.query
	}
	queries = newSide(s.queries, rows, s.microBatch)
	if err := queries.encode(ctx, s.student, noGraphs); err != nil {
		return nil, nil, err
	}
	if s.passages == nil {
		return &side{rows: e.pool, vectors: s.fixed.pick(e.pool)}, queries, nil
	}
	pool = newSide(s.passages, e.pool, s.microBatch)
	return pool, queries, pool.encode(ctx, s.student, noGraphs)
}

// ndcg returns the nDCG@10 of one query, given its similarities to the pool; NaN where one of them is NaN.
func (e *evaluator) ndcg(list int, pool []int, sim []float32) float64 {
	scores := make([]float64, len(sim))
	for c, n := range pool {
		scores[c] = float64(sim[c])
		if math.IsNaN(scores[c]) {
			return math.NaN()
		}
		if l := e.dev[list]; slices.Contains(l.ignore, int32(n)) && !slices.Contains(l.list, int32(n)) {
			scores[c] = math.Inf(-1)
		}
	}
	if e.ideal[list] == 0 {
		return 0
	}
	var gains []float64
	for _, c := range first(scores, cutoff) {
		gains = append(gains, e.gains[list][pool[c]])
	}
	return ndcg.DCG(gains, cutoff) / e.ideal[list]
}

// first returns the indices of the k highest scores, best first, equals in their order.
func first(scores []float64, k int) []int {
	best := make([]int, 0, k+1)
	for i, s := range scores {
		if len(best) == k && s <= scores[best[k-1]] {
			continue
		}
		at := len(best)
		for at > 0 && s > scores[best[at-1]] {
			at--
		}
		best = slices.Insert(best, at, i)
		best = best[:min(len(best), k)]
	}
	return best
}
