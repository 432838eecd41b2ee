package crossencoder

import (
	"cmp"
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

// evaluator measures a model on held-out examples, whose pairs are tokenised once.
type evaluator struct {
	*stepper
	groups []group
	pairs  pairs
	qrels  eval.Qrels // nil: by the loss
	lists  [][]bool   // which of a group's passages are in its list
}

func newEvaluator(ctx context.Context, st *stepper, corpus retort.Corpus, dev []candidates) (*evaluator, error) {
	e := &evaluator{stepper: st, qrels: eval.Qrels{}}
	for _, c := range dev {
		g, err := c.whole(corpus)
		if err != nil {
			return nil, err
		}
		e.groups = append(e.groups, g)
		if len(c.Positives) == 0 {
			e.qrels = nil
		}
		if e.qrels != nil {
			grades := map[string]int{}
			for _, id := range c.Positives {
				grades[id] = 1
			}
			e.qrels[c.List.Query.ID] = grades
		}
		listed := map[string]bool{}
		for _, id := range c.List.IDs {
			listed[id] = true
		}
		in := make([]bool, len(g.work.Passages))
		for i, p := range g.work.Passages {
			in[i] = listed[p.ID]
		}
		e.lists = append(e.lists, in)
	}
	var err error
	e.pairs, _, err = st.folder.encode(ctx, works(e.groups))
	return e, cmp.Or(ctx.Err(), err)
}

func (e *evaluator) metric() string {
	if e.qrels == nil {
		return "-loss"
	}
	return "nDCG@10"
}

func (e *evaluator) score(ctx context.Context) (float64, error) {
	scores, err := e.net.score(ctx, e.rt, e.pairs, e.budget)
	if err != nil {
		return 0, err
	}
	if e.qrels == nil {
		return e.lossScore(scores)
	}
	run := eval.Run{}
	for i, g := range e.groups {
		for j, p := range g.work.Passages {
			if e.lists[i][j] {
				run[g.row.ID] = append(run[g.row.ID], eval.Hit{ID: p.ID, Score: float32(scores[j])})
			}
		}
		scores = scores[len(g.work.Passages):]
	}
	report, err := eval.Evaluate(e.qrels, run, eval.NDCG(10))
	if err != nil {
		return 0, fmt.Errorf("%w (scores that are not finite mean broken weights)", err)
	}
	return report.Mean(eval.NDCG(10)), nil
}

// lossScore returns the negative of the mean loss.
func (e *evaluator) lossScore(scores []float64) (float64, error) {
	var sum float64
	for i := range e.groups {
		n := len(e.groups[i].work.Passages)
		logits, unused := make([]float32, n), make([]float32, n)
		for j := range logits {
			logits[j] = float32(scores[j])
		}
		value, err := e.loss.Row(&e.groups[i].row, logits, unused, 0)
		if err != nil {
			return 0, err
		}
		sum += value
		scores = scores[n:]
	}
	return -sum / float64(len(e.groups)), nil
}
