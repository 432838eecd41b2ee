package pipeline

import (
	"fmt"
	"testing"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/stretchr/testify/require"
)

func TestJudgedQueriesSeeWhatAStudentHasLearnt(t *testing.T) {
	corpus, lists := world(t)
	c := &eval.Collection{Corpus: corpus, Qrels: eval.Qrels{}}
	for _, l := range lists {
		c.Queries = append(c.Queries, l.Query)
		c.Qrels[l.Query.ID] = map[string]int{}
		for i, id := range l.IDs {
			if l.Scores[i] > 0.5 {
				c.Qrels[l.Query.ID][id] = 1
			}
		}
	}
	trained, opts := newStudent(t), quick()
	opts.Towers, opts.Selection.Dev, opts.Schedule.Epochs, opts.Schedule.LR = distill.QueryOnly, lists, 40, 0.1
	_, err := distill.Train(t.Context(), trained, corpus, lists, opts)
	require.NoError(t, err)
	for _, frozen := range []bool{false, true} {
		judged := judgedQueries(c, frozen)
		before, err := judged(t.Context(), newStudent(t))
		require.NoError(t, err)
		after, err := judged(t.Context(), trained)
		require.NoError(t, err)
		require.Greater(t, after, before+0.2, fmt.Sprint(frozen))
	}
}
