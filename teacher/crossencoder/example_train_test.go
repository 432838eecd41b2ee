package crossencoder

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/loss"
)

func fruits(t *testing.T) *retort.MemoryCorpus {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "apple"}, {ID: "b", Text: "pear"}, {ID: "c", Text: "plum"}, {ID: "d", Text: "fig"}})
	require.NoError(t, err)
	return corpus
}

func TestAGroupIsAPositiveAndOthersOfTheList(t *testing.T) {
	corpus := fruits(t)
	all, err := resolve(corpus, []Example{{
		List:      retort.List{Query: retort.Query{ID: "q", Text: "fruit"}, IDs: []string{"a", "b", "c"}, Scores: []float64{3, 2, 1}},
		Positives: []string{"d", "a"},
	}}, "training")
	require.NoError(t, err)
	seen := map[string]int{}
	for seed := range uint64(50) {
		g, err := all[0].sample(corpus, 2, rand.New(rand.NewPCG(seed, 0)))
		require.NoError(t, err)
		require.Zero(t, g.row.Positive)
		require.Len(t, g.work.Passages, 2)
		first, second := g.work.Passages[0].ID, g.work.Passages[1].ID
		require.Contains(t, []string{"a", "d"}, first, "a positive, in the list or not")
		require.Contains(t, []string{"b", "c"}, second, "never the other positive")
		seen[first]++
		seen[second]++
		scored := 1 // d has no score
		if first == "a" {
			scored = 2
		}
		require.Len(t, g.row.List, scored)
		require.Len(t, g.row.Teacher, scored)
	}
	require.Len(t, seen, 4, "each in its turn: %v", seen)

	g, err := all[0].whole(corpus)
	require.NoError(t, err)
	require.Len(t, g.work.Passages, 4)
	require.Equal(t, []int32{1}, g.row.Ignore, "the second positive is no negative")
	logits, grad := []float32{1, 2, 3, 4}, make([]float32, 4)
	_, err = TrainLoss(1).Row(&g.row, logits, grad, 1)
	require.NoError(t, err)
}

func TestWrongExamplesAreRefusedByQuery(t *testing.T) {
	corpus := fruits(t)
	query := retort.Query{ID: "q1", Text: "fruit"}
	for want, e := range map[string]Example{
		"neither positives nor scores":     {List: retort.List{Query: query, IDs: []string{"a", "b"}}},
		`the corpus has no passage "z"`:    {List: retort.List{Query: query, IDs: []string{"z"}}, Positives: []string{"a"}},
		`the corpus has no passage "y"`:    {List: retort.List{Query: query, IDs: []string{"a"}}, Positives: []string{"y"}},
		"1 passages to compare":            {List: retort.List{Query: query, IDs: []string{"a"}}, Positives: []string{"a"}},
		"2 ids and 1 scores":               {List: retort.List{Query: query, IDs: []string{"a", "b"}, Scores: []float64{1}}},
		`the score of passage "b" is NaN`:  {List: retort.List{Query: query, IDs: []string{"a", "b"}, Scores: []float64{1, math.NaN()}}},
		`passage "a" is twice in the list`: {List: retort.List{Query: query, IDs: []string{"a", "a"}}, Positives: []string{"b"}},
		"the query has no text":            {List: retort.List{Query: retort.Query{ID: "q1"}, IDs: []string{"a"}}, Positives: []string{"b"}},
		"its weight is -1":                 {List: retort.List{Query: query, IDs: []string{"a"}, Weight: -1}, Positives: []string{"b"}},
	} {
		_, err := resolve(corpus, []Example{e}, "training")
		require.ErrorContains(t, err, `training example 0, query "q1": `)
		require.ErrorContains(t, err, want)
	}
	good := Example{List: retort.List{Query: query, IDs: []string{"a"}}, Positives: []string{"b"}}
	_, err := resolve(corpus, []Example{good, good}, "held-out")
	require.ErrorContains(t, err, `two held-out examples have the query id "q1"`)
}

func TestTrainNamesWhatIsWrongBeforeItOpensLibTorch(t *testing.T) {
	corpus := fruits(t)
	examples := []Example{{List: retort.List{Query: retort.Query{ID: "q", Text: "fruit"}, IDs: []string{"a"}}, Positives: []string{"b"}}}
	change := func(f func(*TrainOptions)) TrainOptions {
		o := DefaultTrainOptions()
		f(&o)
		return o
	}
	for want, o := range map[string]TrainOptions{
		"TrainOptions.Epochs is 0":                {},
		"TrainOptions.QueriesPerStep is 0":        change(func(o *TrainOptions) { o.QueriesPerStep = 0 }),
		"TrainOptions.GroupSize is 1":             change(func(o *TrainOptions) { o.GroupSize = 1 }),
		"TrainOptions.LR is NaN":                  change(func(o *TrainOptions) { o.LR = math.NaN() }),
		"TrainOptions.Warmup is 2":                change(func(o *TrainOptions) { o.Warmup = 2 }),
		"TrainOptions.CheckpointEvery is -1":      change(func(o *TrainOptions) { o.CheckpointEvery = -time.Second }),
		"TrainOptions.Loss: loss: InfoNCE.Temper": change(func(o *TrainOptions) { o.Loss = loss.InfoNCE{Temperature: -1} }),
		`Options.Precision: precision "int8"`:     change(func(o *TrainOptions) { o.Model.Precision = "int8" }),
		"Options.MaxTokens is 4":                  change(func(o *TrainOptions) { o.Model.MaxTokens = 4 }),
	} {
		_, err := Train(t.Context(), "testdata/bert", filepath.Join(t.TempDir(), "out"), corpus, examples, o)
		require.ErrorContains(t, err, want)
	}
	_, err := Train(t.Context(), "testdata/bert", "testdata/bert", corpus, examples, DefaultTrainOptions())
	require.ErrorContains(t, err, "is where the model was opened from")
	_, err = Train(t.Context(), "testdata/bert", "testdata/roberta", corpus, examples, DefaultTrainOptions())
	require.ErrorContains(t, err, "was not written by Retort")
	_, err = Train(t.Context(), "testdata/bert", t.TempDir(), corpus, nil, DefaultTrainOptions())
	require.ErrorContains(t, err, "no examples")
}
