package crossencoder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/torch"
)

// network is the model on the device: out(tanh(dense(h))) of the first token's hidden state h.
type network struct {
	body      *encodernet.Network
	params    encodernet.Parameters // the body's, and the head's four
	pad       int32
	precision torch.Type
}

// loadNetwork reads the weights. Those of the head that the folder lacks are drawn by fresh; where that is nil they
// must be there.
func loadNetwork(
	ctx context.Context, rt *torch.Runtime, f *folder, precision torch.Type, fresh *rand.Rand,
) (n *network, err error) {
	w, err := f.openWeights()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	body, err := encodernet.New(ctx, rt, f.config, w.Read)
	if err != nil {
		return nil, err
	}
	n = &network{body: body, params: body.Params, pad: f.pad, precision: precision}
	head, err := encodernet.NewParameters(ctx, rt, f.headShapes(1), func(name string, shape []int) ([]float32, error) {
		return f.readHead(w, name, shape, fresh)
	})
	if err != nil {
		return n, err
	}
	n.params = append(body.Params[:len(body.Params):len(body.Params)], head...)
	return n, nil
}

// initialDeviation is the standard deviation of BERT's weights before its training.
const initialDeviation = 0.02

// readHead returns a weight of the head. Two labels become one: their difference.
func (f *folder) readHead(w *encodernet.Weights, name string, shape []int, fresh *rand.Rand) ([]float32, error) {
	isOut := strings.HasPrefix(name, f.family.out+".")
	switch {
	case isOut && f.labels == 2:
		stored := append([]int{2}, shape[1:]...)
		both, err := w.ReadStored(name, stored)
		if err != nil {
			return nil, err
		}
		difference := both[len(both)/2:]
		for i := range difference {
			difference[i] -= both[i]
		}
		return difference, nil
	case f.labels > 0:
		return w.ReadStored(name, shape)
	}
	if stored := strings.TrimPrefix(name, f.family.prefix); !isOut && f.family == bertFamily {
		// A BertModel has a pooler without a head.
		if stored = w.Prefix + stored; w.File.DType(stored) != "" {
			return w.ReadStored(stored, shape)
		}
	}
	values := make([]float32, (&encodernet.Parameter{Shape: shape}).Size())
	if strings.HasSuffix(name, ".weight") {
		for i := range values {
			values[i] = float32(initialDeviation * fresh.NormFloat64())
		}
	}
	return values, nil
}

// batch makes a micro-batch of rows of all.
func (n *network) batch(all pairs, rows []int) encodernet.Batch {
	texts := make([][]int32, len(rows))
	second := make([]int, len(rows))
	for i, r := range rows {
		texts[i], second[i] = all[r].ids, all[r].second
	}
	b := encodernet.NewBatch(texts, n.pad)
	if second[0] > 0 {
		b = b.WithSegments(second)
	}
	return b
}

// logits returns the logits of a micro-batch, [b.Rows x 1]. The head is computed in float32.
func (n *network) logits(s *torch.Scope, b encodernet.Batch) torch.Tensor {
	first := n.body.FirstHidden(s, b, n.precision)
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		head := n.params[len(n.params)-4:]
		pooled := s.Tanh(s.Linear(first, head[0].Value, head[1].Value))
		return s.Linear(pooled, head[2].Value, head[3].Value)
	})
}

// score returns the logits of all pairs, computed in micro-batches of budget tokens without a graph.
func (n *network) score(ctx context.Context, rt *torch.Runtime, all pairs, budget int) ([]float64, error) {
	scores := make([]float64, len(all))
	for _, rows := range encoder.MicroBatches(all, all.all(), budget) {
		err := rt.Run(ctx, func(s *torch.Scope) error {
			s.NoGrad(func() {
				for i, logit := range s.Floats(n.logits(s, n.batch(all, rows))) {
					scores[rows[i]] = float64(logit)
				}
			})
			return s.Err()
		})
		if errors.Is(err, torch.ErrMemory) {
			return nil,
				fmt.Errorf("crossencoder: a micro-batch of %d pairs, %d tokens with padding: %w: allow a micro-batch fewer tokens "+
					"(Options.BatchTokens), or a pair fewer (Options.MaxTokens)", len(rows), len(rows)*all.Tokens(rows[0]), err)
		}
		if err != nil {
			return nil, fmt.Errorf("crossencoder: %w", err)
		}
	}
	return scores, nil
}

// digest tells models apart that may score differently.
func (n *network) digest(ctx context.Context, rt *torch.Runtime, f *folder) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "retort crossencoder 1 %d\n%d %s %d %+v\n", n.precision, f.maxTokens, f.tokenizer.Fingerprint(),
		f.firstPosition, f.config)
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, p := range n.params {
			values := s.Floats(p.Value)
			if s.Err() != nil {
				return s.Err()
			}
			// Writing to a hash never fails.
			_ = binary.Write(h, binary.LittleEndian, values)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}
