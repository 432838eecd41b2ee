package losstorch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/loss"
)

// Step implements loss.Batch. q [n x d] has one vector per element of rows, and p [m x d] one vector per column. Step
// returns the mean loss of the rows and adds the gradients of the mean to dq [n x d] and dp [m x d].
//
// A malformed row or a vector with a NaN or infinite element is an error that names the query or the column. After an
// error the contents of dq are undefined. Step checks ctx between blocks of similarities (see Options.Budget).
func (l *Loss) Step(ctx context.Context, rows []loss.Row, q, p, dq, dp blas32.General) (float64, error) {
	return l.StepParts(ctx, rows, q, p, dq, dp, make([]float64, len(l.PartNames())))
}

// StepParts implements loss.PartedBatch: it does the work of Step and adds the mean of each part to parts, in the order
// of PartNames.
func (l *Loss) StepParts(ctx context.Context, rows []loss.Row, q, p, dq, dp blas32.General, parts []float64) (float64,
	error,
) {
	if n := len(l.PartNames()); len(parts) != n {
		return 0, fmt.Errorf("losstorch: %d parts of a loss that has %d", len(parts), n)
	}
	if err := checkMatrices(rows, q, p, dq, dp); err != nil {
		return 0, fmt.Errorf("losstorch: %w", err)
	}
	if err := l.checkRows(rows, p.Rows); err != nil {
		return 0, err
	}
	if len(rows) == 0 || p.Rows == 0 {
		return 0, ctx.Err()
	}
	st := newStep(l, rows, p.Rows)
	err := l.rt.Run(ctx, func(s *torch.Scope) error {
		s.NoGrad(func() { st.compute(ctx, s, q, p, dq, dp) })
		return s.Err()
	})
	if err != nil {
		return 0, err
	}
	for i, part := range st.parts {
		parts[i] += part / float64(len(rows))
	}
	return st.sum / float64(len(rows)), nil
}

func checkMatrices(rows []loss.Row, q, p, dq, dp blas32.General) error {
	for _, m := range []struct {
		name  string
		m     blas32.General
		count int
	}{{"q", q, len(rows)}, {"dq", dq, len(rows)}, {"p", p, p.Rows}, {"dp", dp, p.Rows}} {
		if err := matrix.Check(m.m, m.count, q.Cols); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if q.Cols < 1 && len(rows) > 0 {
		return errors.New("q: vectors without elements")
	}
	return nil
}

// checkRows makes all checks that do not need the similarities.
func (l *Loss) checkRows(rows []loss.Row, columns int) error {
	zeros := make([]float32, columns)
	counted := map[*float32]bool{}
	for i := range rows {
		r := &rows[i]
		if err := r.Check(zeros, zeros); err != nil {
			return err
		}
		if len(l.terms.infoNCE) == 0 || len(r.Count) == 0 || counted[&r.Count[0]] {
			continue
		}
		for c, n := range r.Count {
			if !(n >= 0 && n <= math.MaxFloat32) {
				return fmt.Errorf("loss of query %q: count %v of column %d", r.ID, n, c)
			}
		}
		counted[&r.Count[0]] = true
	}
	return nil
}

// step is the computation of one Step.
type step struct {
	loss          *Loss
	rows          []loss.Row
	infoNCE       []infoNCE // none where no row has a positive
	columns       int
	kind          torch.Type
	tile          shape
	count         sharing
	q, p, dp, log torch.Tensor // on the device; log [1 x m]: of the counts that all rows share, or nil
	sum           float64      // of the losses so far
	parts         []float64    // of it, one a part

	listParts []float64 // of one row, one a list loss
	sim, grad []float32 // [m], right in a row's own columns only: what the Go rows of list losses see
}

// sharing says how the rows' counts relate.
type sharing int

const (
	uncounted sharing = iota // no row has counts
	shared                   // all rows have the same
	own                      // each row has its own, or none
)

func newStep(l *Loss, rows []loss.Row, columns int) *step {
	kind, size := l.options.precision()
	st := &step{
		loss: l, rows: rows, columns: columns, kind: kind,
		sim: make([]float32, columns), grad: make([]float32, columns),
		parts: make([]float64, len(l.PartNames())), listParts: make([]float64, len(l.terms.list)),
	}
	if slices.ContainsFunc(rows, func(r loss.Row) bool { return r.Positive != -1 }) {
		st.infoNCE = l.terms.infoNCE
	}
	if len(st.infoNCE) > 0 {
		st.count = sharingOf(rows)
	}
	budget := l.options.Budget
	if budget == 0 {
		budget = defaultBudget
	}
	st.tile = tileShape(len(rows), columns, budget, elementBytes(len(st.infoNCE), size, st.count == own))
	return st
}

func sharingOf(rows []loss.Row) sharing {
	with, same := 0, true
	for i := range rows {
		if len(rows[i].Count) == 0 {
			continue
		}
		with++
		same = same && len(rows[0].Count) > 0 && &rows[i].Count[0] == &rows[0].Count[0]
	}
	switch {
	case with == 0:
		return uncounted
	case same && with == len(rows):
		return shared
	}
	return own
}

func (st *step) compute(ctx context.Context, s *torch.Scope, q, p, dq, dp blas32.General) {
	st.q, st.p = st.load(s, q), st.load(s, p)
	st.dp = s.Zeros(st.kind, int64(p.Rows), int64(p.Cols))
	if st.count == shared {
		st.log = s.FromDoubles(logs(st.rows[0].Count), 1, int64(st.columns))
	}
	queries, passages := s.Doubles(s.Norm(st.q, 1)), s.Doubles(s.Norm(st.p, 1))
	if s.Err() == nil {
		s.Fail(st.checkNorms(queries, passages))
	}
	for start := 0; start < len(st.rows) && s.Err() == nil; start += st.tile.rows {
		end := min(start+st.tile.rows, len(st.rows))
		s.Sub(func(s *torch.Scope) torch.Tensor {
			st.block(ctx, s, start, end, matrix.Rows(dq, start, end))
			return nil
		})
	}
	add(s, dp, st.dp)
}

// load puts m on the device.
func (st *step) load(s *torch.Scope, m blas32.General) torch.Tensor {
	data := m.Data[:(m.Rows-1)*m.Stride+m.Cols]
	if m.Stride != m.Cols {
		data = make([]float32, 0, m.Rows*m.Cols)
		for i := range m.Rows {
			data = append(data, matrix.Row(m, i)...)
		}
	}
	return s.As(s.FromFloats(data, int64(m.Rows), int64(m.Cols)), st.kind)
}

// add adds x to what is in m.
func add(s *torch.Scope, m blas32.General, x torch.Tensor) {
	values := s.Floats(x)
	if s.Err() != nil {
		return
	}
	for i := range m.Rows {
		for j, v := range values[i*m.Cols : (i+1)*m.Cols] {
			m.Data[i*m.Stride+j] += v
		}
	}
}

// checkNorms makes sure that every similarity is finite.
func (st *step) checkNorms(queries, passages []float64) error {
	for i, norm := range queries {
		if !finite(norm) {
			return fmt.Errorf("loss of query %q: the norm of its vector is %v", st.rows[i].ID, norm)
		}
	}
	for c, norm := range passages {
		if !finite(norm) {
			return fmt.Errorf("losstorch: the norm of the vector in column %d%s is %v", c, st.owner(c), norm)
		}
	}
	if top := slices.Max(queries) * slices.Max(passages); top > math.MaxFloat32 {
		return fmt.Errorf("losstorch: vectors of norms up to %v and %v have similarities out of range", slices.Max(queries),
			slices.Max(passages))
	}
	return nil
}

// owner names a query whose list holds the column.
func (st *step) owner(column int) string {
	for i := range st.rows {
		if slices.Contains(st.rows[i].List, int32(column)) {
			return fmt.Sprintf(", which is in the list of query %q,", st.rows[i].ID)
		}
	}
	return ""
}

func logs(count []float32) []float64 {
	values := make([]float64, len(count))
	for i, c := range count {
		values[i] = math.Log(float64(c))
	}
	return values
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
