package crossencoder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/torch"
)

// network is the model on the device.
type network struct {
	body       *encodernet.Network
	head       head
	headParams map[string]*encodernet.Parameter // by name
	params     encodernet.Parameters            // the body's, and the head's
	precision  torch.Type
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
	n = &network{
		body: body, head: f.head, headParams: map[string]*encodernet.Parameter{}, params: body.Params, precision: precision,
	}
	head, err := encodernet.NewParameters(ctx, rt, f.headShapes(1), func(name string, shape []int) ([]float32, error) {
		return f.readHead(w, name, shape, fresh)
	})
	if err != nil {
		return n, err
	}
	for _, p := range head {
		n.headParams[p.Name] = p
	}
	n.params = append(body.Params[:len(body.Params):len(body.Params)], head...)
	return n, nil
}

// batch makes a micro-batch of rows of all.
func (n *network) batch(all pairs, rows []int) encodernet.Batch {
	texts := make([][]int32, len(rows))
	second := make([]int, len(rows))
	for i, r := range rows {
		texts[i], second[i] = all[r].ids, all[r].second
	}
	b := encodernet.NewBatch(texts, int32(n.body.Config.Pad))
	if second[0] > 0 {
		b = b.WithSegments(second)
	}
	return b
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
	f.hashSettings(h, n.precision)
	err := rt.Run(ctx, func(s *torch.Scope) error {
		for _, p := range n.params {
			values := s.Floats(p.Value)
			if s.Err() != nil {
				return s.Err()
			}
			encodernet.HashValues(h, values)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// hashSettings hashes all but the weights that scores depend on.
func (f *folder) hashSettings(h hash.Hash, precision torch.Type) {
	fmt.Fprintf(h, "retort crossencoder 2 %d\n%d %s %+v %+v\n", precision, f.maxTokens, f.tokenizer.Fingerprint(), f.head,
		f.config)
}
