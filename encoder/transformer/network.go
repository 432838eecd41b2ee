package transformer

import (
	"context"
	"errors"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/torch"
)

// network is a tower on the device: the encoder and the modules after its pooling.
type network struct {
	body   *encodernet.Network
	head   encodernet.Parameters // of the modules after the pooling
	Params encodernet.Parameters // the body's and then the head's
}

// load puts the tower's weights on the device.
func (t *Tower) load(ctx context.Context, rt *torch.Runtime) (*network, error) {
	w, err := t.openWeights()
	if err != nil {
		return nil, err
	}
	n, err := t.newNetwork(ctx, rt, w.Read, t.readHeadWeights)
	return n, errors.Join(err, w.Close())
}

func (t *Tower) newNetwork(ctx context.Context, rt *torch.Runtime, body, head encodernet.ReadFunc) (*network, error) {
	n := &network{}
	var err error
	if n.body, err = encodernet.New(ctx, rt, t.config, body); err != nil {
		return nil, err
	}
	n.Params = n.body.Params
	if len(t.head) == 0 {
		return n, nil
	}
	if n.head, err = encodernet.NewParameters(ctx, rt, t.headShapes(), head); err != nil {
		return n, err // which Close of the model frees
	}
	n.Params = append(n.Params[:len(n.Params):len(n.Params)], n.head...)
	return n, nil
}

// clone copies the weights of the tower's network, not the moments.
func (t *Tower) clone(ctx context.Context, rt *torch.Runtime, n *network) (*network, error) {
	values := make(map[string][]float32, len(n.Params))
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, p := range n.Params {
			values[p.Name] = s.Floats(p.Value)
		}
		return s.Err()
	})
	if err != nil {
		return nil, err
	}
	read := func(name string, _ []int) ([]float32, error) { return values[name], nil }
	return t.newNetwork(ctx, rt, read, read)
}

// embed returns the embeddings [rows x dim] of a batch, pooled, truncated and normalised as the folder f specifies.
func embed(s *torch.Scope, n *network, b encodernet.Batch, f *Folder, side *Side, precision torch.Type) torch.Tensor {
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		tower := side.Tower
		x := pool(s, n.body, b, tower.Pooling, side.promptTokens, precision)
		params := n.head
		for i := range tower.head {
			x, params = tower.head[i].compute(s, x, params)
		}
		if tower.Normalize && f.similarity == modelfolder.Dot {
			x = normalize(s, x) // whole vectors, of which some values are then dropped
		}
		if dim := f.Dim(); dim < tower.width() {
			x = s.Narrow(x, 1, 0, int64(dim))
		}
		if f.similarity == modelfolder.Dot {
			return x
		}
		return normalize(s, x)
	})
}

// normalize divides rows by their L2 norms. The floor is the one in torch.nn.functional.normalize.
func normalize(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Div(x, s.ClampMin(s.Norm(x, 1), 1e-12))
}
