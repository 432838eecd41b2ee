package distill

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// plan is the part of a step that does not depend on the student's weights, so that it can be prepared while the
// previous step is computed. It serves one step and must be closed after it.
type plan struct {
	batch             []*example // in the order of the schedule
	queries, passages *side
	rows              []loss.Row // one per query, in the order of queries
	columns           int        // of the loss: distinct passages
	listed            int        // passages in the lists; a passage in several lists counts once for each
}

func (p *plan) close() error { return errors.Join(p.queries.close(), p.passages.close()) }

// plan collects and tokenises the texts of the lists and partitions them into micro-batches.
func (s *stepper) plan(ctx context.Context, batch []*example) (*plan, error) {
	p := &plan{batch: batch}
	for _, e := range batch {
		p.listed += len(e.list)
	}
	if err := tokenise(ctx, s.queries, queryRows(batch)); err != nil {
		return nil, err
	}
	p.queries = newSharedSide(s.queries, queryRows(batch), s.microBatch, s.workers)
	var err error
	if p.passages, err = s.passageSide(ctx, batch); err != nil {
		return nil, err
	}
	p.columns = len(p.passages.rows)
	if s.wholeCorpus {
		p.columns = s.fixed.matrix.Rows
	}
	p.rows = s.lossRows(inOrder(batch, p.queries.rows), p.columns)
	return p, nil
}

// tokenise uses half of the cores, because a step may be computing on all of them.
func tokenise(ctx context.Context, in encoder.Inputs, rows []int) error {
	var wg sync.WaitGroup
	workers := max(1, runtime.GOMAXPROCS(0)/2)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < len(rows) && ctx.Err() == nil; i += workers {
				in.Tokens(rows[i])
			}
		}()
	}
	wg.Wait()
	return ctx.Err()
}

// inOrder returns the lists in the order of their queries' numbers in rows.
func inOrder(batch []*example, rows []int) []*example {
	byQuery := make(map[int]*example, len(batch))
	for _, e := range batch {
		byQuery[e.query] = e
	}
	ordered := make([]*example, len(rows))
	for i, r := range rows {
		ordered[i] = byQuery[r]
	}
	return ordered
}

func queryRows(batch []*example) []int {
	rows := make([]int, len(batch))
	for i, e := range batch {
		rows[i] = e.query
	}
	return rows
}

// passageSide numbers the columns of the step: the distinct passages of its lists, or all.
func (s *stepper) passageSide(ctx context.Context, batch []*example) (*side, error) {
	if s.column == nil {
		s.column = make([]int32, len(s.data.passages))
	}
	for i := range s.column {
		s.column[i] = -1
		if s.wholeCorpus {
			s.column[i] = int32(i)
		}
	}
	if s.wholeCorpus {
		return &side{vectors: s.fixed.matrix}, nil
	}
	distinct := s.distinct(batch)
	var passages *side
	if s.passages != nil {
		if err := tokenise(ctx, s.passages, distinct); err != nil {
			return nil, err
		}
		passages = newSharedSide(s.passages, distinct, s.microBatch, s.workers)
	} else {
		passages = &side{rows: distinct, vectors: s.fixed.pick(distinct)}
	}
	for c, n := range passages.rows {
		s.column[n] = int32(c)
	}
	return passages, nil
}

// distinct returns the passages of the lists, each once, in ascending order.
func (s *stepper) distinct(batch []*example) []int {
	var all []int
	for _, e := range batch {
		for _, n := range e.list {
			all = append(all, int(n))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (v vectors) pick(numbers []int) blas32.General {
	m := matrix.New(len(numbers), v.matrix.Cols)
	for i, n := range numbers {
		copy(matrix.Row(m, i), v.row(int32(n)))
	}
	return m
}

func (s *stepper) lossRows(batch []*example, columns int) []loss.Row {
	var count []float32
	if s.count {
		count = make([]float32, columns)
	}
	rows := make([]loss.Row, len(batch))
	for i, e := range batch {
		r := loss.Row{
			ID: e.id, Weight: e.weight, List: s.columns(e.list), Teacher: e.teacher,
			Positive: -1, Ignore: s.columns(e.ignore), Count: count,
		}
		if e.positive >= 0 {
			r.Positive = s.column[e.positive]
		}
		if s.count {
			for _, c := range r.List {
				count[c]++
			}
		}
		rows[i] = r
	}
	return rows
}

// columns returns the columns of the given passages that are in the step.
func (s *stepper) columns(passages []int32) []int32 {
	columns := make([]int32, 0, len(passages))
	for _, n := range passages {
		if c := s.column[n]; c >= 0 {
			columns = append(columns, c)
		}
	}
	return columns
}

// planner prepares the plan of the next step while the current step is computed. It must be used by one goroutine. It
// runs at most one goroutine of its own, between next and stop.
type planner struct {
	make   func(ctx context.Context, step int) (*plan, error)
	steps  int // of the run
	ahead  chan planned
	cancel context.CancelFunc
}

type planned struct {
	step int
	plan *plan
	err  error
}

// next returns the plan of a step and starts to prepare the plan of the following step.
func (p *planner) next(ctx context.Context, step int) (*plan, error) {
	var got planned
	if p.ahead != nil {
		got = <-p.ahead
		p.cancel()
		p.ahead = nil
	}
	if got.plan == nil || got.step != step {
		got.plan, got.err = p.make(ctx, step)
	}
	if got.err == nil && step+1 < p.steps {
		p.begin(ctx, step+1)
	}
	return got.plan, got.err
}

func (p *planner) begin(ctx context.Context, step int) {
	ahead := make(chan planned, 1)
	ctx, p.cancel = context.WithCancel(ctx)
	p.ahead = ahead
	go func() {
		plan, err := p.make(ctx, step)
		ahead <- planned{step: step, plan: plan, err: err}
	}()
}

// stop ends the preparation and waits for its goroutine.
func (p *planner) stop() {
	if p.ahead == nil {
		return
	}
	p.cancel()
	<-p.ahead
	p.ahead = nil
}
