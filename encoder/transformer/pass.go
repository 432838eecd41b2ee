package transformer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/torch"
)

// inputs are texts that are tokenised on first use.
type inputs struct {
	role  encoder.Role
	side  *Side
	texts []input

	failed atomic.Pointer[error] // of a text that could not be tokenised
}

type input struct {
	once sync.Once
	text string // "" once it is tokenised
	ids  []int32
}

func newInputs(role encoder.Role, side *Side, texts []string) *inputs {
	in := &inputs{role: role, side: side, texts: make([]input, len(texts))}
	for i, text := range texts {
		in.texts[i].text = text
	}
	return in
}

func (in *inputs) Len() int         { return len(in.texts) }
func (in *inputs) Tokens(i int) int { return len(in.ids(i)) }

func (in *inputs) ids(i int) []int32 {
	t := &in.texts[i]
	t.once.Do(func() {
		ids, _, err := in.side.Tokenize(t.text)
		if err != nil {
			in.failed.Store(&err)
		}
		t.ids, t.text = ids, ""
	})
	return t.ids
}

// err returns the error of a text that could not be tokenised.
func (in *inputs) err() error {
	if err := in.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// some returns the tokens of the given texts. The caller must check err.
func (in *inputs) some(rows []int) [][]int32 {
	texts := make([][]int32, len(rows))
	for i, r := range rows {
		texts[i] = in.ids(r)
	}
	return texts
}

// tokenise tokenises all texts on all cores.
func (in *inputs) tokenise(ctx context.Context) error {
	if in.Len() == 1 {
		in.ids(0)
		return errors.Join(ctx.Err(), in.err())
	}
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < in.Len() && ctx.Err() == nil; i += workers {
				in.ids(i)
			}
		}()
	}
	wg.Wait()
	return errors.Join(ctx.Err(), in.err())
}

// pass is one micro-batch through the model.
type pass struct {
	m          *Model
	embeddings blas32.General
	width      int          // tokens of the longest text
	graph      torch.Tensor // nil: there is no graph, or Backward has used it
}

func (p *pass) Embeddings() blas32.General { return p.embeddings }

func (p *pass) Backward(grad blas32.General) error {
	if p.graph == nil {
		return errors.New("transformer: Backward of a pass without a graph: it was used, closed, or made without keepGraph, " +
			"or its tower does not learn")
	}
	if err := matrix.Check(grad, p.embeddings.Rows, p.embeddings.Cols); err != nil {
		return fmt.Errorf("transformer: gradient of the embeddings: %w", err)
	}
	graph := p.graph
	p.graph = nil
	err := p.m.rt.Run(context.Background(), func(s *torch.Scope) error {
		defer s.Free(graph)
		g := s.FromFloats(packed(grad), int64(p.embeddings.Rows), int64(p.embeddings.Cols))
		// The gradient of sum(y * g) with respect to y is g.
		s.Backward(s.Sum(s.Mul(graph, g)))
		return s.Err()
	})
	return sized(err, p.embeddings.Rows, p.width)
}

func (p *pass) Close() error {
	if p.graph == nil {
		return nil
	}
	graph := p.graph
	p.graph = nil
	err := p.m.rt.Run(context.Background(), func(s *torch.Scope) error {
		s.Free(graph)
		return nil
	})
	if errors.Is(err, torch.ErrClosed) {
		return nil
	}
	return err
}

// packed returns a matrix's values without gaps between its rows.
func packed(m blas32.General) []float32 {
	if m.Stride == m.Cols {
		return m.Data[:m.Rows*m.Cols]
	}
	values := make([]float32, 0, m.Rows*m.Cols)
	for i := range m.Rows {
		values = append(values, matrix.Row(m, i)...)
	}
	return values
}
