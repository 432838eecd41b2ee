package crossencoder

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/teacher"
)

// stepper computes one step: the gradient of the groups' mean loss, and AdamW.
type stepper struct {
	rt        *torch.Runtime
	folder    *folder
	net       *network
	loss      loss.Loss
	budget    int // tokens that a graph is kept of
	steps     int // of AdamW so far
	truncated int64
}

// step changes the weights, or returns an error and leaves them as they were. The mean loss and the gradient's norm are
// those before the change.
func (st *stepper) step(ctx context.Context, groups []group, u encoder.Update) (meanLoss, norm float64, err error) {
	if meanLoss, err = st.gradient(ctx, groups); err != nil {
		return 0, 0, err
	}
	err = st.rt.Run(ctx, func(s *torch.Scope) error {
		norm = st.net.params.GradNorm(s)
		if s.Err() != nil {
			return s.Err()
		}
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return encoder.ErrNonFinite
		}
		adamW := encodernet.AdamW{LR: u.LR, WeightDecay: u.WeightDecay, Beta1: u.Beta1, Beta2: u.Beta2, Eps: u.Eps, Scale: 1}
		if u.ClipNorm > 0 && norm > u.ClipNorm {
			adamW.Scale = u.ClipNorm / norm
		}
		st.net.params.Step(s, st.steps+1, adamW)
		return s.Err()
	})
	if err != nil {
		return 0, 0, fmt.Errorf("queries %s: %w", queryIDs(groups), err)
	}
	st.steps++
	return meanLoss, norm, nil
}

// gradient adds the gradient of the groups' mean loss to the weights' and returns the loss.
func (st *stepper) gradient(ctx context.Context, groups []group) (float64, error) {
	all, cut, err := st.folder.encode(ctx, works(groups))
	if err := cmp.Or(ctx.Err(), err); err != nil {
		return 0, err
	}
	st.truncated += int64(cut)
	var sum float64
	for _, w := range cutWindows(groups, all, st.budget) {
		part, err := st.window(ctx, w, 1/float64(len(groups)))
		if err != nil {
			return 0, err
		}
		sum += part
	}
	return sum / float64(len(groups)), nil
}

// graphWindow is groups whose loss is computed together, with their pairs end to end.
type graphWindow struct {
	groups []group
	pairs  pairs
	keep   bool // their graph fits the budget
}

// cutWindows sorts the groups by length, so that little is computed for padding, and cuts them into windows of budget
// tokens, or of one group that has more.
func cutWindows(groups []group, all pairs, budget int) []graphWindow {
	type part struct {
		group   group
		pairs   pairs
		tokens  int
		longest int
	}
	parts := make([]part, len(groups))
	for i, g := range groups {
		n := len(g.work.Passages)
		parts[i] = part{group: g, pairs: all[:n:n]}
		for j := range n {
			parts[i].tokens += all.Tokens(j)
			parts[i].longest = max(parts[i].longest, all.Tokens(j))
		}
		all = all[n:]
	}
	slices.SortStableFunc(parts, func(a, b part) int { return b.longest - a.longest })
	var windows []graphWindow
	tokens := 0
	for _, p := range parts {
		if len(windows) == 0 || tokens+p.tokens > budget {
			windows = append(windows, graphWindow{keep: p.tokens <= budget})
			tokens = 0
		}
		tokens += p.tokens
		w := &windows[len(windows)-1]
		w.groups = append(w.groups, p.group)
		w.pairs = append(w.pairs, p.pairs...)
	}
	return windows
}

// window adds scale times the gradient of the window's summed loss. Where the graph does not fit, each micro-batch is
// computed twice: first for the logits, and then with its graph (Gao et al. 2021, arXiv 2101.06983, with logits for
// embeddings).
func (st *stepper) window(ctx context.Context, w graphWindow, scale float64) (float64, error) {
	budget := st.budget
	if w.keep {
		budget = (budget + 1) / 2 // finer, for less padding
	}
	batches := encoder.MicroBatches(w.pairs, w.pairs.all(), budget)
	logits := make([]float32, len(w.pairs))
	graphs := make([]torch.Tensor, len(batches))
	defer st.free(graphs)
	for i, rows := range batches {
		if err := st.forward(ctx, w.pairs, rows, logits, w.keep, &graphs[i]); err != nil {
			return 0, err
		}
	}
	grad := make([]float32, len(w.pairs))
	var sum float64
	start := 0
	for i := range w.groups {
		end := start + len(w.groups[i].work.Passages)
		value, err := st.loss.Row(&w.groups[i].row, logits[start:end], grad[start:end], scale)
		if err != nil {
			return 0, err
		}
		sum += value
		start = end
	}
	for i, rows := range batches {
		if !w.keep {
			if err := st.forward(ctx, w.pairs, rows, logits, true, &graphs[i]); err != nil {
				return 0, err
			}
		}
		if err := st.backward(ctx, rows, grad, &graphs[i]); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// forward fills in the logits of rows and, with keep, puts their graph into graph.
func (st *stepper) forward(
	ctx context.Context, all pairs, rows []int, logits []float32, keep bool, graph *torch.Tensor,
) error {
	return st.rt.Run(ctx, func(s *torch.Scope) error {
		compute := func() {
			t := st.net.logits(s, st.net.batch(all, rows).ForTraining())
			for i, logit := range s.Floats(t) {
				logits[rows[i]] = logit
			}
			if keep && s.Err() == nil {
				*graph = s.Keep(t)
			}
		}
		if keep {
			compute()
		} else {
			s.NoGrad(compute)
		}
		return s.Err()
	})
}

// backward adds the gradient of a micro-batch, given the gradient of its logits, and frees its graph.
func (st *stepper) backward(ctx context.Context, rows []int, grad []float32, graph *torch.Tensor) error {
	own := make([]float32, len(rows))
	for i, r := range rows {
		own[i] = grad[r]
	}
	return st.rt.Run(ctx, func(s *torch.Scope) error {
		defer func() {
			s.Free(*graph)
			*graph = nil
		}()
		// The gradient of sum(y * g) with respect to y is g.
		s.Backward(s.Sum(s.Mul(*graph, s.FromFloats(own, int64(len(rows)), 1))))
		return s.Err()
	})
}

// free gives back the graphs that an error has left.
func (st *stepper) free(graphs []torch.Tensor) {
	if !slices.ContainsFunc(graphs, func(t torch.Tensor) bool { return t != nil }) {
		return
	}
	// Run fails only where the runtime is closed, and then there is nothing to free.
	_ = st.rt.Run(context.Background(), func(s *torch.Scope) error {
		s.Free(graphs...)
		return nil
	})
}

func works(groups []group) []teacher.Work {
	lists := make([]teacher.Work, len(groups))
	for i, g := range groups {
		lists[i] = g.work
	}
	return lists
}

func queryIDs(groups []group) string {
	ids := make([]string, len(groups))
	for i, g := range groups {
		ids[i] = fmt.Sprintf("%q", g.row.ID)
	}
	return strings.Join(ids, ", ")
}
