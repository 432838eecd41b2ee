package crossencoder

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/teacher"
)

// pair is a query and a passage as token ids. Those from second on are of the second segment; 0: there is but one.
type pair struct {
	ids    []int32
	second int
}

// pairs implement encoder.Inputs.
type pairs []pair

func (p pairs) Len() int         { return len(p) }
func (p pairs) Tokens(i int) int { return len(p[i].ids) }

// all returns the numbers of all rows.
func (p pairs) all() []int {
	rows := make([]int, len(p))
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// pair encodes a pair in at most maxTokens, as Hugging Face's fast tokenizers do with truncation "longest_first", and
// says whether it was cut.
func (f *folder) pair(query, passage string, maxTokens int) (p pair, cut bool, err error) {
	ids, segments, cut, err := f.tokenizer.EncodePair(query, passage, maxTokens)
	if err != nil || f.config.TypeVocabSize < 2 {
		return pair{ids: ids}, cut, err
	}
	second := 0
	for i, segment := range segments {
		if second == 0 && segment == 1 {
			second = i
		}
		if segment != 0 && (second == 0 || segment != 1) || segment == 0 && second > 0 {
			return pair{}, false,
				fmt.Errorf("the tokenizer's post-processor gives the type ids %v, want 0 for the query and 1 for "+
					"the passage", segments)
		}
	}
	return pair{ids, second}, cut, nil
}

// encode returns the pairs of lists end to end, tokenised on as many cores as there are, and how many were cut. An
// error names the list.
func (f *folder) encode(ctx context.Context, lists []teacher.Work) (all pairs, cut int, err error) {
	type job struct{ list, passage int }
	var jobs []job
	for l := range lists {
		for p := range lists[l].Passages {
			jobs = append(jobs, job{l, p})
		}
	}
	all = make(pairs, len(jobs))
	var cuts atomic.Int64
	err = parallel.Each(ctx, len(jobs), func(_, i int) error {
		list := lists[jobs[i].list]
		p, cut, err := f.pair(list.Query.Text, list.Passages[jobs[i].passage].Content(), f.maxTokens)
		if err != nil {
			return fmt.Errorf("query %q, passage %q: %w", list.Query.ID, list.Passages[jobs[i].passage].ID, err)
		}
		all[i] = p
		if cut {
			cuts.Add(1)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return all, int(cuts.Load()), nil
}
