package crossencoder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/torch"
)

// packedNetwork computes scores in pure Go. Calls run in parallel.
type packedNetwork struct {
	folder     *folder
	processors *encodernet.Processors

	open       sync.RWMutex // held for reading while weights are in use
	weights    *encodernet.Weights
	body       *encodernet.Packed
	dense, out *kernel.Packed
	scale      []float32 // of the norm; nil: there is none
	shift      []float32
}

var errClosed = errors.New("crossencoder: the model is closed")

// openPacked reads and packs the weights of a folder.
func openPacked(ctx context.Context, f *folder, o Options) (_ *packedNetwork, err error) {
	n := &packedNetwork{folder: f, processors: encodernet.NewProcessors(o.Threads, o.BatchTokens)}
	if n.weights, err = f.openWeights(); err != nil {
		return nil, err
	}
	if n.body, err = encodernet.NewPacked(ctx, f.config, n.weights.View); err == nil {
		err = n.packHead()
	}
	if err != nil {
		return nil, errors.Join(err, n.weights.Close())
	}
	n.weights.File.Release()
	return n, nil
}

func (n *packedNetwork) packHead() error {
	values := map[string][]float32{}
	for _, s := range n.folder.headShapes(1) {
		var err error
		if values[s.Name], err = n.folder.readHead(n.weights, s.Name, s.Dims, nil); err != nil {
			return err
		}
	}
	h, width := n.folder.head, n.folder.config.HiddenSize
	n.dense = kernel.Pack(values[h.dense+".weight"], width, width, values[h.dense+".bias"])
	n.out = kernel.Pack(values[h.out+".weight"], 1, width, values[h.out+".bias"])
	n.scale, n.shift = values[h.norm+".weight"], values[h.norm+".bias"]
	return nil
}

func (n *packedNetwork) close() error {
	n.open.Lock()
	defer n.open.Unlock()
	if n.body == nil {
		return nil
	}
	n.body = nil
	return n.weights.Close()
}

// score returns the logits of all pairs.
func (n *packedNetwork) score(ctx context.Context, all pairs) ([]float64, error) {
	scores := make([]float64, len(all))
	err := n.processors.Each(ctx, len(all), all.Tokens, func(ctx context.Context, rows []int) error {
		return n.scoreBatch(ctx, all, rows, scores)
	})
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("crossencoder: %w", err)
	}
	return scores, err
}

// scoreBatch writes the logits of some pairs to their places in scores.
func (n *packedNetwork) scoreBatch(ctx context.Context, all pairs, rows []int, scores []float64) error {
	n.open.RLock()
	defer n.open.RUnlock()
	if n.body == nil {
		return errClosed
	}
	texts, second := make([][]int32, len(rows)), make([]int, len(rows))
	for i, r := range rows {
		texts[i], second[i] = all[r].ids, all[r].second
	}
	if second[0] == 0 {
		second = nil
	}
	of := encodernet.FirstToken
	if n.folder.head.mean {
		of = encodernet.AllTokens
	}
	return n.body.Hidden(ctx, texts, second, of, func(states []float32) {
		width := n.folder.config.HiddenSize
		for i, r := range rows {
			size := width
			if of == encodernet.AllTokens {
				size *= len(texts[i])
			}
			scores[r] = n.logit(meanOf(states[:size], width))
			states = states[size:]
		}
	})
}

// meanOf returns the mean of the rows of states.
func meanOf(states []float32, width int) []float32 {
	if len(states) == width {
		return states
	}
	mean := make([]float32, width)
	for from := 0; from < len(states); from += width {
		kernel.Add(mean, states[from:from+width])
	}
	kernel.Scale(mean, float32(width)/float32(len(states)))
	return mean
}

// logit is the head's output for a pair's vector.
func (n *packedNetwork) logit(pooled []float32) float64 {
	x := make([]float32, len(pooled))
	n.dense.Mul(x, pooled, 1)
	switch n.folder.head.activation {
	case "relu":
		kernel.ReLU(x)
	case "gelu":
		kernel.GELU(x)
	case "silu":
		kernel.SiLU(x)
	default: // readHeadConfig accepts no other than "tanh"
		for i, v := range x {
			x[i] = float32(math.Tanh(float64(v)))
		}
	}
	if n.scale != nil {
		kernel.LayerNorm(x, x, nil, n.scale, n.shift, float32(n.folder.config.LayerNormEps))
	}
	logit := make([]float32, 1)
	n.out.Mul(logit, x, 1)
	return float64(logit[0])
}

// digest reads the weights again from the open file.
func (n *packedNetwork) digest() (string, error) {
	n.open.RLock()
	defer n.open.RUnlock()
	if n.body == nil {
		return "", errClosed
	}
	defer n.weights.File.Release()
	h := sha256.New()
	n.folder.hashSettings(h, torch.Float32)
	for _, s := range encodernet.Shapes(n.folder.config) {
		values, err := n.weights.View(s.Name, s.Dims)
		if err != nil {
			return "", err
		}
		encodernet.HashValues(h, values)
	}
	for _, s := range n.folder.headShapes(1) {
		values, err := n.folder.readHead(n.weights, s.Name, s.Dims, nil)
		if err != nil {
			return "", err
		}
		encodernet.HashValues(h, values)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
