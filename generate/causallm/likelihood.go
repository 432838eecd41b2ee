package causallm

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/internal/torch"
)

// likelihood is how likely a text is.
type likelihood struct {
	Sum    float64 // of the natural logarithms of the tokens' probabilities
	Tokens int
}

// Mean is the logarithm of the geometric mean of the tokens' probabilities.
func (l likelihood) Mean() float64 { return l.Sum / float64(l.Tokens) }

// premise is what texts are to follow. Where it is too long for the context, Head loses its end and Tail stays.
type premise struct{ Head, Tail string }

// logLikelihoods returns how likely each of continuations[i] is behind premises[i], aligned with continuations.
// Premises of similar length are computed together. Each premise and its continuations become one row of tokens, in
// which a continuation sees the premise and itself: the premise is computed once, and no continuation depends on
// another. A continuation's tokens are those of the whole text behind the tokens of the premise. An empty
// continuation is an error, and so is one for which the context has no room.
func (m *Model) logLikelihoods(
	ctx context.Context, premises []premise, continuations [][]string,
) ([][]likelihood, error) {
	if len(premises) != len(continuations) {
		return nil, fmt.Errorf("causallm: %d premises and %d lists of continuations", len(premises), len(continuations))
	}
	trees, errs := make([]tree, len(premises)), make([]error, len(premises))
	err := parallel.Each(ctx, len(premises), func(_, i int) error {
		trees[i], errs[i] = m.text.tree(premises[i], continuations[i], m.options.ContextLength)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([][]likelihood, len(premises))
	var order []int
	for i, t := range trees {
		if errs[i] != nil {
			return nil, fmt.Errorf("causallm: premise %d: %w", i, errs[i])
		}
		if t.cut {
			m.cuts.Add(1)
		}
		out[i] = make([]likelihood, len(continuations[i]))
		if len(continuations[i]) > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(trees[b].ids), len(trees[a].ids)) })
	lengths := make([]int, len(order))
	for i, t := range order {
		lengths[i] = len(trees[t].ids)
	}
	for _, n := range cutBlocks(lengths, m.options.BatchTokens) {
		if err := m.scoreTrees(ctx, trees, order[:n], out); err != nil {
			return nil, err
		}
		order = order[n:]
	}
	return out, ctx.Err()
}

// MeanLogLikelihoods is logLikelihoods with the mean for each continuation, as teacher/likelihood wants it:
// prompts[i] is a premise's head and tail.
func (m *Model) MeanLogLikelihoods(
	ctx context.Context, prompts [][2]string, continuations [][]string,
) ([][]float64, error) {
	premises := make([]premise, len(prompts))
	for i, p := range prompts {
		premises[i] = premise{p[0], p[1]}
	}
	all, err := m.logLikelihoods(ctx, premises, continuations)
	if err != nil {
		return nil, err
	}
	means := make([][]float64, len(all))
	for i, likelihoods := range all {
		means[i] = make([]float64, len(likelihoods))
		for j, l := range likelihoods {
			means[i][j] = l.Mean()
		}
	}
	return means, nil
}

// tree is a premise with its continuations, one behind the other in a row of tokens.
type tree struct {
	ids       []int32
	positions []int64
	branch    []int // of each token: 0 is the trunk, i+1 the i-th continuation
	scored    []scored
	cut       bool
}

// scored is a token whose likelihood counts: it follows the token at place of the row.
type scored struct {
	place        int
	id           int32
	continuation int
}

func (t *text) tree(p premise, continuations []string, context int) (tree, error) {
	ids, err := t.encode(p.Head + p.Tail)
	if err != nil {
		return tree{}, err
	}
	branches := make([][]int32, len(continuations))
	from := make([]int, len(continuations)) // where the continuation itself begins
	trunk, longest := len(ids), 0
	for i, c := range continuations {
		if c == "" {
			return tree{}, fmt.Errorf("continuation %d is empty", i)
		}
		if branches[i], err = t.encode(p.Head + p.Tail + c); err != nil {
			return tree{}, err
		}
		from[i] = commonPrefix(ids, branches[i])
		trunk = min(trunk, from[i])
		longest = max(longest, len(branches[i]))
	}
	row := tree{}
	if longest > context {
		row.cut = true
		if err := t.cutPremise(p, branches, from, context, &trunk); err != nil {
			return tree{}, err
		}
	}
	if len(continuations) == 0 {
		return row, nil
	}
	if trunk == 0 {
		return tree{}, fmt.Errorf("the premise is empty, so that nothing says how likely the first token is")
	}
	add := func(id int32, position, branch int) {
		row.ids, row.positions = append(row.ids, id), append(row.positions, int64(position))
		row.branch = append(row.branch, branch)
	}
	for i, id := range branches[0][:trunk] {
		add(id, i, 0)
	}
	for i, ids := range branches {
		place := trunk - 1
		for j := trunk; j < len(ids); j++ {
			if j >= from[i] {
				row.scored = append(row.scored, scored{place, ids[j], i})
			}
			if j < len(ids)-1 { // nothing follows the last one
				place = len(row.ids)
				add(ids[j], j, i+1)
			}
		}
	}
	return row, nil
}

// cutPremise makes all branches fit by one shorter premise.
func (t *text) cutPremise(p premise, branches [][]int32, from []int, context int, trunk *int) error {
	most := 0
	for i := range branches {
		most = max(most, len(branches[i])-from[i])
	}
	tail, err := t.tokenizer.Encode(p.Tail)
	if err != nil {
		return err
	}
	head, err := t.encode(p.Head)
	if err != nil {
		return err
	}
	room := context - most - len(tail)
	if room < 1 {
		return fmt.Errorf("a continuation of %d tokens leaves no room in a context of %d: raise Options.ContextLength", most,
			context)
	}
	short := slices.Concat(head[:min(room, len(head))], tail)
	for i := range branches {
		branches[i] = slices.Concat(short, branches[i][from[i]:])
		from[i] = len(short)
	}
	*trunk = len(short)
	return nil
}

// scoreTrees computes some rows and adds up their likelihoods in out.
func (m *Model) scoreTrees(ctx context.Context, trees []tree, rows []int, out [][]likelihood) error {
	texts := make([][]int32, len(rows))
	for i, r := range rows {
		texts[i] = trees[r].ids
	}
	b := newBlock(texts, nil)
	var places []int64
	var tokens []scored
	for i, r := range rows {
		// A row of several continuations may be longer than the context, which no text in it is: what fills up the others has
		// no position beyond it.
		n := copy(b.positions[i*b.width:(i+1)*b.width], trees[r].positions)
		clear(b.positions[i*b.width+n : (i+1)*b.width])
		for _, t := range trees[r].scored {
			places = append(places, int64(i*b.width+t.place))
			tokens = append(tokens, scored{i, t.id, t.continuation})
		}
	}
	b.sees = func(row, token, other int) bool {
		branch := trees[rows[row]].branch
		if other > token {
			return false
		}
		return token >= len(branch) || branch[other] == 0 || branch[other] == branch[token]
	}
	var values []float32
	err := m.rt.Run(ctx, func(s *torch.Scope) error {
		s.NoGrad(func() {
			x, _ := m.network.forward(ctx, s, b)
			values = m.network.tokenLikelihoods(ctx, s, x, places, tokens)
		})
		return s.Err()
	})
	if err != nil {
		return err
	}
	for i, t := range tokens {
		l := &out[rows[t.place]][t.continuation]
		l.Sum += float64(values[i])
		l.Tokens++
	}
	return nil
}

// tokenLikelihoods returns the log-probability of each token behind its place of the residual stream. The logits of
// some places are held at a time.
func (n *network) tokenLikelihoods(
	ctx context.Context, s *torch.Scope, x torch.Tensor, places []int64, tokens []scored,
) []float32 {
	const chunk = 256
	var values []float32
	for first := 0; first < len(places); first += chunk {
		if err := ctx.Err(); err != nil {
			s.Fail(err)
			return nil
		}
		some := places[first:min(first+chunk, len(places))]
		ids := make([]int64, len(some))
		for i := range some {
			ids[i] = int64(tokens[first+i].id)
		}
		s.Sub(func(s *torch.Scope) torch.Tensor {
			rows := int64(len(some))
			logits := n.logits(s, s.IndexSelect(x, 0, s.FromInts(some, rows)))
			chosen := s.Gather(logits, 1, s.FromInts(ids, rows, 1))
			values = append(values, s.Floats(s.Add(chosen, s.Scale(s.LogSumExp(logits, 1), -1)))...)
			return nil
		})
	}
	return values
}
