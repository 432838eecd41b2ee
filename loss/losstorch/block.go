package losstorch

import (
	"context"
	"fmt"
	"iter"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/loss"
)

// block is a run of queries on its way through the device.
type block struct {
	st      *step
	rows    []loss.Row
	q, dq   torch.Tensor
	columns [][]int32   // of each row's list and positive
	sims    [][]float64 // aligned with columns
	grads   [][]float32 // aligned with columns: what is added to InfoNCE's gradient
	sums    []sums      // one an InfoNCE
}

// sums are one InfoNCE's of a block, one element a row: the sum of the negatives' exponentials is rest x exp(top), with
// similarities divided by the temperature.
type sums struct {
	masked    [][]int32
	top, rest []float64
	// factor x exp(x - top) is the gradient with respect to the similarity of a negative.
	factor []float64
}

// tile is a block's similarities to a run of passages, columns lo to hi, with the exponentials exp(x - top) of every
// InfoNCE, 0 for what is no negative.
type tile struct {
	lo, hi int
	sim    torch.Tensor
	exps   []torch.Tensor
	tops   []torch.Tensor // [rows x 1]
}

// block adds the losses of rows start to end to the sum, their gradients to dq and the step's dp.
func (st *step) block(ctx context.Context, s *torch.Scope, start, end int, dq blas32.General) {
	b, err := st.newBlock(start, end)
	if err != nil {
		s.Fail(err)
		return
	}
	b.q = s.Narrow(st.q, 0, int64(start), int64(end-start))
	b.dq = s.Zeros(st.kind, int64(dq.Rows), int64(dq.Cols))
	if st.tile.columns == st.columns {
		t := b.tile(s, 0, st.columns)
		b.read(s, t)
		b.finish(s)
		b.backward(s, t)
	} else {
		b.eachTile(ctx, s, b.read)
		b.finish(s)
		b.eachTile(ctx, s, b.backward)
	}
	add(s, dq, b.dq)
	if s.Err() == nil {
		s.Fail(ctx.Err())
	}
}

// eachTile computes tile after tile, one in memory at a time.
func (b *block) eachTile(ctx context.Context, s *torch.Scope, f func(*torch.Scope, tile)) {
	for lo := 0; lo < b.st.columns && s.Err() == nil; lo += b.st.tile.columns {
		s.Sub(func(s *torch.Scope) torch.Tensor {
			if err := ctx.Err(); err != nil {
				s.Fail(err)
				return nil
			}
			f(s, b.tile(s, lo, min(lo+b.st.tile.columns, b.st.columns)))
			return nil
		})
	}
}

func (st *step) newBlock(start, end int) (*block, error) {
	n := end - start
	b := &block{
		st: st, rows: st.rows[start:end],
		columns: make([][]int32, n), sims: make([][]float64, n), grads: make([][]float32, n),
	}
	for i := range b.rows {
		b.columns[i] = ownColumns(&b.rows[i])
		b.sims[i] = make([]float64, len(b.columns[i]))
		b.grads[i] = make([]float32, len(b.columns[i]))
	}
	for _, nce := range st.infoNCE {
		u := sums{masked: make([][]int32, n), top: make([]float64, n), rest: make([]float64, n), factor: make([]float64, n)}
		for i := range b.rows {
			u.top[i] = lowest
			var err error
			if u.masked[i], err = nce.Masked(nil, &b.rows[i]); err != nil {
				return nil, err
			}
		}
		b.sums = append(b.sums, u)
	}
	return b, nil
}

// ownColumns returns the row's list and, where it is not in there, its positive at the end.
func ownColumns(r *loss.Row) []int32 {
	columns := append(make([]int32, 0, len(r.List)+1), r.List...)
	if r.Positive == -1 {
		return columns
	}
	for _, c := range r.List {
		if c == r.Positive {
			return columns
		}
	}
	return append(columns, r.Positive)
}

// lowest stands for the largest of no similarities: finite, so that differences from it are numbers.
const lowest = -1e300

func (b *block) tile(s *torch.Scope, lo, hi int) tile {
	t := tile{lo: lo, hi: hi}
	t.sim = s.MatMul(b.q, s.Transpose(b.passages(s, t), 0, 1))
	log := b.logs(s, t)
	for i, nce := range b.st.infoNCE {
		x := s.Zeros(torch.Float64, int64(len(b.rows)), int64(hi-lo))
		s.Copy(x, t.sim)
		s.ScaleInPlace(x, 1/nce.temperature())
		if log != nil {
			s.AddInPlace(x, log)
		}
		if masked := flat(b.sums[i].masked, lo, hi); len(masked) > 0 {
			s.FillAt(x, s.FromInts(masked, int64(len(masked))), math.Inf(-1))
		}
		top := s.ClampMin(s.MaxDim(x, 1), lowest)
		s.AddInPlace(x, s.Scale(top, -1))
		s.ExpInPlace(x)
		t.exps, t.tops = append(t.exps, x), append(t.tops, top)
	}
	return t
}

func (b *block) passages(s *torch.Scope, t tile) torch.Tensor {
	return s.Narrow(b.st.p, 0, int64(t.lo), int64(t.hi-t.lo))
}

// logs returns the logs of the tile's counts, [1 x columns] or [rows x columns], or nil where nothing is counted.
func (b *block) logs(s *torch.Scope, t tile) torch.Tensor {
	switch b.st.count {
	case shared:
		return s.Narrow(b.st.log, 1, int64(t.lo), int64(t.hi-t.lo))
	case own:
		width := t.hi - t.lo
		values := make([]float64, len(b.rows)*width)
		for i := range b.rows {
			if count := b.rows[i].Count; count != nil {
				copy(values[i*width:], logs(count[t.lo:t.hi]))
			}
		}
		return s.FromDoubles(values, int64(len(b.rows)), int64(width))
	}
	return nil
}

// within yields the row and the place of every column from lo to hi.
func within(columns [][]int32, lo, hi int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for i, row := range columns {
			for k, c := range row {
				if int(c) >= lo && int(c) < hi && !yield(i, k) {
					return
				}
			}
		}
	}
}

// flat returns the columns from lo to hi as indices of a flattened tile.
func flat(columns [][]int32, lo, hi int) []int64 {
	var indices []int64
	for i, k := range within(columns, lo, hi) {
		indices = append(indices, int64(i)*int64(hi-lo)+int64(columns[i][k])-int64(lo))
	}
	return indices
}

// read takes from a tile what the losses need.
func (b *block) read(s *torch.Scope, t tile) {
	if indices := flat(b.columns, t.lo, t.hi); len(indices) > 0 {
		sims := s.Doubles(s.Gather(s.Reshape(t.sim, -1), 0, s.FromInts(indices, int64(len(indices)))))
		if s.Err() != nil {
			return
		}
		next := 0
		for i, k := range within(b.columns, t.lo, t.hi) {
			b.sims[i][k] = sims[next]
			next++
		}
	}
	for i := range b.sums {
		tops, rests := s.Doubles(t.tops[i]), s.Doubles(s.SumDim(t.exps[i], 1))
		if s.Err() != nil {
			return
		}
		b.sums[i].merge(tops, rests)
	}
}

// merge adds a tile's sums.
func (u *sums) merge(tops, rests []float64) {
	for i, top := range tops {
		rest := rests[i]
		if top < u.top[i] {
			top, rest, u.top[i], u.rest[i] = u.top[i], u.rest[i], top, rest
		}
		u.rest[i] = rest + u.rest[i]*math.Exp(u.top[i]-top)
		u.top[i] = top
	}
}

// finish computes the losses, the gradients on each row's own columns and the factors of all others.
func (b *block) finish(s *torch.Scope) {
	if s.Err() != nil {
		return
	}
	for i := range b.rows {
		value, err := b.list(i)
		if err != nil {
			s.Fail(err)
			return
		}
		for n := range b.sums {
			nce, err := b.infoNCE(n, i)
			if err != nil {
				s.Fail(err)
				return
			}
			value += nce
			b.st.addPart(b.st.infoNCE[n].part, nce)
		}
		b.st.sum += value
	}
}

// list lets the Go rows compute what reads only the columns of row i's list and its positive.
func (b *block) list(i int) (float64, error) {
	st := b.st
	if len(st.loss.terms.list) == 0 {
		return 0, nil
	}
	for k, c := range b.columns[i] {
		st.sim[c], st.grad[c] = float32(b.sims[i][k]), 0
	}
	clear(st.listParts)
	value, err := st.loss.terms.list.RowParts(&b.rows[i], st.sim, st.grad, 1/float64(len(st.rows)), st.listParts)
	for k, v := range st.listParts {
		st.addPart(st.loss.terms.listParts[k], v)
	}
	for k, c := range b.columns[i] {
		b.grads[i][k] = st.grad[c]
	}
	return value, err
}

func (st *step) addPart(part int, value float64) {
	if part >= 0 {
		st.parts[part] += value
	}
}

// infoNCE computes the n-th InfoNCE of row i as loss.InfoNCE does, given the negatives' sum.
func (b *block) infoNCE(n, i int) (float64, error) {
	r, u, nce := &b.rows[i], &b.sums[n], b.st.infoNCE[n]
	if r.Positive == -1 {
		return 0, nil
	}
	at := len(b.columns[i]) - 1
	for k, c := range r.List {
		if c == r.Positive {
			at = k
		}
	}
	tau := nce.temperature()
	positive := b.sims[i][at] / tau
	top := max(positive, u.top[i])
	ep, rest := math.Exp(positive-top), u.rest[i]*math.Exp(u.top[i]-top)
	value := math.Log1p(rest)
	if positive != top {
		value = math.Log(ep+rest) - (positive - top)
	}
	if !finite(value) {
		return 0, fmt.Errorf("loss of query %q: the InfoNCE loss is %v", r.ID, value)
	}
	k := nce.weight * r.Factor() / float64(len(b.st.rows)) / tau / (ep + rest)
	b.grads[i][at] -= float32(k * rest)
	u.factor[i] = k
	u.top[i] = top
	return nce.weight * r.Factor() * value, nil
}

// backward adds a tile's part of dq and dp.
func (b *block) backward(s *torch.Scope, t tile) {
	ds := b.gradient(s, t)
	if indices := flat(b.columns, t.lo, t.hi); len(indices) > 0 {
		values := make([]float32, 0, len(indices))
		for i, k := range within(b.columns, t.lo, t.hi) {
			values = append(values, b.grads[i][k])
		}
		n := int64(len(indices))
		s.AddAt(ds, s.FromInts(indices, n), s.As(s.FromFloats(values, n), b.st.kind))
	}
	s.AddMatMulInPlace(b.dq, ds, b.passages(s, t))
	s.AddMatMulInPlace(s.Narrow(b.st.dp, 0, int64(t.lo), int64(t.hi-t.lo)), s.Transpose(ds, 0, 1), b.q)
}

// gradient is that of the InfoNCEs with respect to the tile's similarities to negatives. It overwrites the
// exponentials.
func (b *block) gradient(s *torch.Scope, t tile) torch.Tensor {
	if len(t.exps) == 0 {
		return s.Zeros(b.st.kind, int64(len(b.rows)), int64(t.hi-t.lo))
	}
	for i, x := range t.exps {
		factors := s.Doubles(t.tops[i])
		if s.Err() != nil {
			return nil
		}
		for j, top := range factors {
			factors[j] = b.sums[i].factor[j] * math.Exp(top-b.sums[i].top[j])
		}
		s.MulInPlace(x, s.FromDoubles(factors, int64(len(factors)), 1))
		if i > 0 {
			s.AddInPlace(t.exps[0], x)
		}
	}
	return s.As(t.exps[0], b.st.kind)
}
