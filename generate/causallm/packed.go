package causallm

import (
	"cmp"
	"context"
	"errors"
	"hash"
	"runtime"
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

// packed is a weight whose rows are dequantised when a product needs them: those of its parts, one below the other.
type packed struct {
	rows, columns int
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

// digest hashes the weight as it is stored.
func (p *packed) digest(h hash.Hash) {
	for _, part := range p.parts {
		h.Write([]byte(part.Type.String()))
		h.Write(part.Bytes())
	}
}

// scratchFloats is about how many dequantised weights a member of a team holds at once: what the caches near a core
// hold.
const scratchFloats = 1 << 17

// team multiplies by packed matrices on the CPU. Its members take turns at blocks of rows: each dequantises a block into
// memory of its own and multiplies all rows of the input by it, on one thread of its own.
type team struct {
	members []member
}

type member struct {
	rt      *torch.Runtime
	scratch torch.Tensor // [scratchFloats or one row]
	memory  []float32    // of scratch
}

// newTeam starts threads members (0: GOMAXPROCS) for matrices with at most this number of columns.
func newTeam(ctx context.Context, threads, columns int) (*team, error) {
	t := &team{}
	for range cmp.Or(threads, runtime.GOMAXPROCS(0)) {
		rt, err := torch.Open(torch.Options{Threads: 1})
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		m := member{rt: rt}
		err = rt.Run(ctx, func(s *torch.Scope) error {
			if m.scratch = s.Zeros(torch.Float32, int64(max(scratchFloats, columns))); m.scratch != nil {
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
	y := s.Zeros(precision, shape[0], int64(p.rows))
	if y == nil {
		return nil
	}
	each := t.blockRows(p)
	var next atomic.Int64
	work := func(m member, s *torch.Scope) {
		for s.Err() == nil {
			first := int(next.Add(1)-1) * each
			if first >= p.rows {
				return
			}
			m.block(s, x, p, first, min(each, p.rows-first), y, precision)
		}
	}
	var g errgroup.Group
	for _, m := range t.members {
		g.Go(func() error {
			return m.rt.Run(context.Background(), func(s *torch.Scope) error {
				s.NoGrad(func() { work(m, s) })
				return s.Err()
			})
		})
	}
	if err := g.Wait(); err != nil {
		s.Fail(err)
		return nil
	}
	return y
}

// blockRows returns how many rows a member takes at a time, so that all members have as many blocks.
func (t *team) blockRows(p *packed) int {
	most := max(1, scratchFloats/p.columns)
	turns := (p.rows + most*len(t.members) - 1) / (most * len(t.members))
	blocks := turns * len(t.members)
	return (p.rows + blocks - 1) / blocks
}

// block computes n columns of y from first on.
func (m member) block(
	s *torch.Scope, x torch.Tensor, p *packed, first, n int, y torch.Tensor, precision torch.Type,
) {
	p.read(m.memory, first, n)
	s.Sub(func(s *torch.Scope) torch.Tensor {
		weight := s.Reshape(s.Narrow(m.scratch, 0, 0, int64(n*p.columns)), int64(n), int64(p.columns))
		s.Copy(s.Narrow(y, 1, int64(first), int64(n)), s.Linear(x, s.As(weight, precision), nil))
		return nil
	})
}
