package causallm

import (
	"cmp"
	"context"
	"errors"
	"hash"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/torch"
)

// matrix is a weight [rows x columns] of the network: a tensor, or the rows of a GGUF file as they are stored there.
type matrix struct {
	dense  torch.Tensor
	packed *packed
}

// packed is a weight whose rows are unpacked when a product needs them: those of its parts, one below the other.
type packed struct {
	rows, columns int
	quantised     bool // all parts are
	parts         []packedPart
}

// packedPart is one parameter of a file.
type packedPart struct {
	gguf.Matrix
	// headDim is the width of the heads whose rows llama.cpp's converter has put in another order (see storedRow); 0 is
	// none.
	headDim int
}

// read dequantises n rows from row on into dst [n x columns].
func (p *packed) read(dst []float32, row, n int) {
	for _, part := range p.parts {
		if row >= part.Rows {
			row -= part.Rows
			continue
		}
		some := min(n, part.Rows-row)
		part.read(dst, row, some)
		if dst, n, row = dst[some*p.columns:], n-some, 0; n == 0 {
			return
		}
	}
}

func (p packedPart) read(dst []float32, row, n int) {
	if p.headDim == 0 {
		p.Read(dst, row, n)
		return
	}
	for i := range n {
		p.Read(dst[i*p.Columns:], storedRow(row+i, p.headDim), 1)
	}
}

// unpack puts n rows from row on into a block.
func (p *packed) unpack(block *gguf.Rows, row, n int) {
	block.Reset(n, p.columns)
	done := 0
	for _, part := range p.parts {
		for ; row < part.Rows && done < n; row, done = row+1, done+1 {
			stored := row
			if part.headDim > 0 {
				stored = storedRow(row, part.headDim)
			}
			block.Set(done, part.Matrix, stored)
		}
		row -= part.Rows
	}
}

// digest hashes the weight as it is stored.
func (p *packed) digest(h hash.Hash) {
	for _, part := range p.parts {
		h.Write([]byte(part.Type.String()))
		h.Write(part.Bytes())
	}
}

// blockWeights is about how many unpacked weights a member of a team holds at once: what the caches near a core hold.
const blockWeights = 1 << 17

// team multiplies by packed matrices on the CPU. Its members take turns at blocks of rows: each unpacks a block into
// memory of its own and multiplies all rows of the input by it. They compute in integers (see gguf.Rows) where all of a
// matrix is quantised and the processor can, and otherwise with LibTorch on dequantised rows.
type team struct {
	members  []*member
	integers bool
	input    gguf.Input // rounded
	inner    []float32  // see feedForward
}

type member struct {
	rt      *torch.Runtime // of one thread
	scratch torch.Tensor   // [blockWeights or one row]
	memory  []float32      // of scratch
	rows    gguf.Rows
}

// newTeam starts threads members (0: GOMAXPROCS) for matrices with at most this number of columns.
func newTeam(ctx context.Context, threads, columns int) (*team, error) {
	t := &team{integers: gguf.Multiplies()}
	for range cmp.Or(threads, runtime.GOMAXPROCS(0)) {
		rt, err := torch.Open(torch.Options{Threads: 1})
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		m := &member{rt: rt}
		err = rt.Run(ctx, func(s *torch.Scope) error {
			if m.scratch = s.Zeros(torch.Float32, int64(max(blockWeights, columns))); m.scratch != nil {
				m.memory = s.Memory(s.Keep(m.scratch))
			}
			return s.Err()
		})
		t.members = append(t.members, m)
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	return t, nil
}

func (t *team) close() error {
	var err error
	for _, m := range t.members {
		err = errors.Join(err, m.rt.Run(context.Background(), func(s *torch.Scope) error {
			s.Free(m.scratch)
			return nil
		}), m.rt.Close())
	}
	t.members = nil
	return err
}

// multiply returns x weightᵀ, [tokens x rows], of x [tokens x columns].
func (t *team) multiply(s *torch.Scope, x torch.Tensor, p *packed, precision torch.Type) torch.Tensor {
	shape := s.Shape(x)
	if shape == nil {
		return nil
	}
	if t.inIntegers(p) {
		return s.As(t.multiplyIntegers(s, x, p), precision)
	}
	y := s.Zeros(precision, shape[0], int64(p.rows))
	if y == nil {
		return nil
	}
	each := t.blockRows(p)
	err := t.share((p.rows+each-1)/each, func(m *member, next func() (int, bool)) error {
		return m.rt.Run(context.Background(), func(s *torch.Scope) error {
			s.NoGrad(func() {
				for i, ok := next(); ok && s.Err() == nil; i, ok = next() {
					m.block(s, x, p, i*each, min(each, p.rows-i*each), y, precision)
				}
			})
			return s.Err()
		})
	})
	if err != nil {
		s.Fail(err)
		return nil
	}
	return y
}

// block computes n columns of y from first on.
func (m *member) block(
	s *torch.Scope, x torch.Tensor, p *packed, first, n int, y torch.Tensor, precision torch.Type,
) {
	p.read(m.memory, first, n)
	s.Sub(func(s *torch.Scope) torch.Tensor {
		weight := s.Reshape(s.Narrow(m.scratch, 0, 0, int64(n*p.columns)), int64(n), int64(p.columns))
		s.Copy(s.Narrow(y, 1, int64(first), int64(n)), s.Linear(x, s.As(weight, precision), nil))
		return nil
	})
}

// inIntegers says whether the team multiplies by a matrix in integers. A nil team or matrix is not.
func (t *team) inIntegers(p *packed) bool { return t != nil && t.integers && p != nil && p.quantised }

// multiplyIntegers is multiply in float32 of a matrix that is quantised as a whole.
func (t *team) multiplyIntegers(s *torch.Scope, x torch.Tensor, p *packed) torch.Tensor {
	values, y := t.operands(s, x, p)
	if y == nil {
		return nil
	}
	t.round(values, p.columns, nil)
	t.products(s.Memory(y), p)
	return y
}

// feedForward is down (activate(gate x) * up x) in float32, where gate and up are the halves of gateUp's rows. What
// lies between the two products stays in memory that is used again.
func (t *team) feedForward(
	s *torch.Scope, x torch.Tensor, gateUp, down *packed, activate func([]float32),
) torch.Tensor {
	values, y := t.operands(s, x, down)
	if y == nil {
		return nil
	}
	t.round(values, gateUp.columns, nil)
	tokens := len(values) / gateUp.columns
	t.inner = slices.Grow(t.inner[:0], tokens*gateUp.rows)[:tokens*gateUp.rows]
	t.products(t.inner, gateUp)
	t.round(t.inner, gateUp.rows, func(row []float32) []float32 {
		gate, up := row[:down.columns], row[down.columns:]
		activate(gate)
		kernel.Multiply(gate, up)
		return gate
	})
	t.products(s.Memory(y), down)
	return y
}

// operands returns the values of x in float32 and room for a product with p, nil after an error.
func (t *team) operands(s *torch.Scope, x torch.Tensor, p *packed) (values []float32, y torch.Tensor) {
	values = s.Memory(s.Reshape(s.As(x, torch.Float32), -1))
	shape := s.Shape(x)
	if shape == nil {
		return nil, nil
	}
	return values, s.Zeros(torch.Float32, shape[0], int64(p.rows))
}

// round makes rows of so many columns the input of the next products. read, if there is one, changes a row to what is
// rounded.
func (t *team) round(values []float32, columns int, read func(row []float32) []float32) {
	rows := len(values) / columns
	width := columns
	if read != nil {
		width = columns / 2
	}
	t.input.Reset(rows, width)
	const some = 16
	_ = t.share((rows+some-1)/some, func(_ *member, next func() (int, bool)) error {
		for i, ok := next(); ok; i, ok = next() {
			for r := i * some; r < min(rows, (i+1)*some); r++ {
				row := values[r*columns : (r+1)*columns]
				if read != nil {
					row = read(row)
				}
				t.input.Set(r, row)
			}
		}
		return nil
	})
}

// products writes the products of the rounded input with p.
func (t *team) products(out []float32, p *packed) {
	each := t.blockRows(p)
	_ = t.share((p.rows+each-1)/each, func(m *member, next func() (int, bool)) error {
		for i, ok := next(); ok; i, ok = next() {
			p.unpack(&m.rows, i*each, min(each, p.rows-i*each))
			m.rows.Multiply(out[i*each:], p.rows, &t.input)
		}
		return nil
	})
}

// attention is Scope.Attention of [n x heads x queries x width] with the same mask for all n, of which the members take
// turns at pieces.
func (t *team) attention(s *torch.Scope, q, k, v, mask torch.Tensor, scale float64, precision torch.Type) torch.Tensor {
	shape := s.Shape(q)
	if shape == nil {
		return nil
	}
	y := s.Zeros(precision, shape...)
	if y == nil {
		return nil
	}
	err := t.share(int(shape[0]), func(m *member, next func() (int, bool)) error {
		return m.rt.Run(context.Background(), func(s *torch.Scope) error {
			s.NoGrad(func() {
				for i, ok := next(); ok && s.Err() == nil; i, ok = next() {
					s.Sub(func(s *torch.Scope) torch.Tensor {
						piece := func(x torch.Tensor) torch.Tensor { return s.Narrow(x, 0, int64(i), 1) }
						s.Copy(piece(y), s.Attention(piece(q), piece(k), piece(v), mask, scale))
						return nil
					})
				}
			})
			return s.Err()
		})
	})
	if err != nil {
		s.Fail(err)
		return nil
	}
	return y
}

// share lets the members take turns at n pieces of work.
func (t *team) share(n int, work func(m *member, next func() (int, bool)) error) error {
	var taken atomic.Int64
	next := func() (int, bool) {
		i := int(taken.Add(1)) - 1
		return i, i < n
	}
	var g errgroup.Group
	for _, m := range t.members {
		g.Go(func() error { return work(m, next) })
	}
	return g.Wait()
}

// blockRows returns how many rows a member takes at a time, so that all members have as many blocks.
func (t *team) blockRows(p *packed) int {
	const tile = 16 // rows that are multiplied together
	most := max(tile, blockWeights/p.columns/tile*tile)
	turns := (p.rows + most*len(t.members) - 1) / (most * len(t.members))
	blocks := turns * len(t.members)
	return ((p.rows+blocks-1)/blocks + tile - 1) / tile * tile
}
