package transformer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/modelfolder"
)

// packedModel computes Encode in pure Go. Calls run in parallel: each is cut into micro-batches, and each micro-batch
// takes one of the model's processors.
type packedModel struct {
	folder     *Folder
	processors *encodernet.Processors

	weights        sync.RWMutex // held for reading while weights are in use
	query, passage *packedTower // the same one in a model with one tower; nil: closed
}

var errClosed = errors.New("transformer: the model is closed")

// openPacked reads and packs the weights of a folder.
func openPacked(ctx context.Context, folder *Folder, o Options) (*packedModel, error) {
	m := &packedModel{folder: folder, processors: encodernet.NewProcessors(o.Threads, o.BatchTokens)}
	var err error
	if m.query, err = folder.Query.Tower.pack(ctx); err != nil {
		return nil, err
	}
	if m.passage = m.query; !folder.Shared() {
		if m.passage, err = folder.Passage.Tower.pack(ctx); err != nil {
			return nil, errors.Join(err, m.query.close())
		}
	}
	return m, nil
}

func (m *packedModel) close() error {
	m.weights.Lock()
	defer m.weights.Unlock()
	var err error
	if m.query != nil {
		err = m.query.close()
	}
	if m.passage != m.query {
		err = errors.Join(err, m.passage.close())
	}
	m.query, m.passage = nil, nil
	return err
}

// encode returns the embeddings of tokenised texts.
func (m *packedModel) encode(ctx context.Context, in *inputs) (blas32.General, error) {
	out := matrix.New(in.Len(), m.folder.Dim())
	err := m.processors.Each(ctx, in.Len(), in.Tokens, func(ctx context.Context, rows []int) error {
		m.weights.RLock()
		defer m.weights.RUnlock()
		tower := m.tower(in.role)
		if tower == nil {
			return errClosed
		}
		return tower.embed(ctx, m.folder, in, rows, out)
	})
	if err != nil {
		return blas32.General{}, err
	}
	return out, nil
}

// eachWeight calls f with the values of each parameter, in the order of Model.eachWeight.
func (m *packedModel) eachWeight(f func([]float32)) error {
	m.weights.RLock()
	defer m.weights.RUnlock()
	if m.query == nil {
		return errClosed
	}
	if err := m.query.eachWeight(m.folder.Query.Tower, f); err != nil || m.passage == m.query {
		return err
	}
	return m.passage.eachWeight(m.folder.Passage.Tower, f)
}

func (m *packedModel) tower(role encoder.Role) *packedTower {
	if role == encoder.Query {
		return m.query
	}
	return m.passage
}

// packedTower is a network with the modules after its pooling.
type packedTower struct {
	weights *encodernet.Weights // mapped: token embeddings are read from the file
	body    *encodernet.Packed
	head    []packedModule
}

// pack reads and packs the tower's weights.
func (t *Tower) pack(ctx context.Context) (*packedTower, error) {
	w, err := t.openWeights()
	if err != nil {
		return nil, err
	}
	p := &packedTower{weights: w}
	if p.body, err = encodernet.NewPacked(ctx, t.config, w.View); err == nil {
		p.head, err = t.packHead()
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.File.Release()
	return p, nil
}

func (p *packedTower) close() error { return p.weights.Close() }

// eachWeight reads the weights again from the open file.
func (p *packedTower) eachWeight(t *Tower, f func([]float32)) error {
	defer p.weights.File.Release()
	for _, from := range []struct {
		shapes []encodernet.Shape
		read   encodernet.ReadFunc
	}{{encodernet.Shapes(t.config), p.weights.View}, {t.headShapes(), t.readHeadWeights}} {
		for _, s := range from.shapes {
			values, err := from.read(s.Name, s.Dims)
			if err != nil {
				return err
			}
			f(values)
		}
	}
	return nil
}

// embed writes the embeddings of some texts, pooled, truncated and normalised as the folder f specifies, to their rows
// of out.
func (p *packedTower) embed(ctx context.Context, f *Folder, in *inputs, rows []int, out blas32.General) error {
	texts, side := in.some(rows), in.side
	tower := side.Tower
	of := tower.Pooling.tokens(side.promptTokens)
	err := p.body.Hidden(ctx, texts, nil, of, func(states []float32) {
		width := tower.config.HiddenSize
		pooled := make([]float32, width*len(tower.Pooling.modes()))
		for i, r := range rows {
			n := len(texts[i])
			if of != encodernet.AllTokens {
				n = 1
			}
			poolText(pooled, states[:n*width], width, tower.Pooling, side.promptTokens)
			states = states[n*width:]
			p.finish(matrix.Row(out, r), pooled, f, tower)
		}
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("transformer: %w", err)
	}
	return err
}

// finish computes what follows the pooling.
func (p *packedTower) finish(row, x []float32, f *Folder, tower *Tower) {
	for i := range p.head {
		x = p.head[i].compute(x)
	}
	if tower.Normalize && f.similarity == modelfolder.Dot {
		x = unit(x) // whole vectors, of which some values are then dropped
	}
	x = x[:len(row)]
	if f.similarity != modelfolder.Dot {
		x = unit(x)
	}
	copy(row, x)
}

// tokens says which hidden states a pooling that leaves out the first skipped tokens reads.
func (p Pooling) tokens(skipped int) encodernet.Tokens {
	switch {
	case p == CLS && skipped == 0:
		return encodernet.FirstToken
	case p == LastToken:
		return encodernet.LastToken
	}
	return encodernet.AllTokens
}

// poolText pools the states of one text [tokens x width], but for the first skipped tokens.
func poolText(pooled, states []float32, width int, pooling Pooling, skipped int) {
	n := len(states) / width
	clear(pooled)
	for _, mode := range pooling.modes() {
		out := pooled[:width]
		pooled = pooled[width:]
		if mode == Max {
			copy(out, states[skipped*width:])
			for i := skipped + 1; i < n; i++ {
				for j, x := range states[i*width : (i+1)*width] {
					out[j] = max(out[j], x)
				}
			}
			continue
		}
		weights := make([]float32, n)
		mode.weigh(weights, skipped)
		for i, w := range weights {
			if w == 0 {
				continue
			}
			for j, x := range states[i*width : (i+1)*width] {
				out[j] += float32(w * x)
			}
		}
	}
}

// unit divides x by its L2 norm in place. The floor is the one in torch.nn.functional.normalize.
func unit(x []float32) []float32 {
	kernel.Scale(x, float32(1/max(math.Sqrt(matrix.Dot(x, x)), 1e-12)))
	return x
}

// packedModule is a module after the pooling.
type packedModule struct {
	headModule
	linear *kernel.Packed // of a Dense
	params [][]float32    // of a LayerNorm
}

func (t *Tower) packHead() ([]packedModule, error) {
	var modules []packedModule
	for _, h := range t.head {
		m := packedModule{headModule: h}
		for _, shape := range h.shapes() {
			values, err := t.readHeadWeights(shape.Name, shape.Dims)
			if err != nil {
				return nil, err
			}
			m.params = append(m.params, values)
		}
		if h.kind == "Dense" {
			var bias []float32
			if h.bias {
				bias = m.params[1]
			}
			m.linear, m.params = kernel.Pack(m.params[0], h.out, h.in, bias), nil
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// compute returns the module's output for one vector, which it may change.
func (m *packedModule) compute(x []float32) []float32 {
	switch m.kind {
	case "LayerNorm":
		kernel.LayerNorm(x, x, nil, m.params[0], m.params[1], layerNormEps)
		return x
	case "Dense":
		y := make([]float32, m.out)
		m.linear.Mul(y, x, 1)
		activate(y, m.activation)
		return y
	}
	return unit(x)
}

// activate applies the activation of a Dense.
func activate(x []float32, name string) {
	switch name {
	case "ReLU":
		kernel.ReLU(x)
	case "GELU":
		kernel.GELU(x)
	case "SiLU":
		kernel.SiLU(x)
	case "Tanh":
		for i, v := range x {
			x[i] = float32(math.Tanh(float64(v)))
		}
	case "Sigmoid":
		for i, v := range x {
			x[i] = float32(1 / (1 + math.Exp(-float64(v))))
		}
	}
}
