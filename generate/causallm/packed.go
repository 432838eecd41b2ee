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
	floats   []float32 // the input of a product in integers, and its rounded form
	input    gguf.Input
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
	if t.integers && p.quantised {
		return s.As(t.multiplyIntegers(s, x, p, int(shape[0])), precision)
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

// multiplyIntegers is multiply in float32 of a matrix that is quantised as a whole.
func (t *team) multiplyIntegers(s *torch.Scope, x torch.Tensor, p *packed, tokens int) torch.Tensor {
	y := s.Zeros(torch.Float32, int64(tokens), int64(p.rows))
	out := s.Memory(y)
	t.floats = slices.Grow(t.floats[:0], tokens*p.columns)[:tokens*p.columns]
	s.CopyFloats(t.floats, x)
	if s.Err() != nil {
		return nil
	}
	t.input.Reset(tokens, p.columns)
	const some = 16
	_ = t.share((tokens+some-1)/some, func(_ *member, next func() (int, bool)) error {
		for i, ok := next(); ok; i, ok = next() {
			for token := i * some; token < min(tokens, (i+1)*some); token++ {
				t.input.Set(token, t.floats[token*p.columns:(token+1)*p.columns])
			}
		}
		return nil
	})
	each := t.blockRows(p)
	_ = t.share((p.rows+each-1)/each, func(m *member, next func() (int, bool)) error {
		for i, ok := next(); ok; i, ok = next() {
			p.unpack(&m.rows, i*each, min(each, p.rows-i*each))
			m.rows.Multiply(out[i*each:], p.rows, &t.input)
		}
		return nil
	})
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
	most := max(1, blockWeights/p.columns)
	turns := (p.rows + most*len(t.members) - 1) / (most * len(t.members))
	blocks := turns * len(t.members)
	return (p.rows + blocks - 1) / blocks
}
