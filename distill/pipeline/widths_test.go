package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
)

// rankedAt is the whole corpus in the order of the cosine of the leading values, by the definition, in float64.
func rankedAt(t *testing.T, student encoder.Encoder, c *eval.Collection, width int) eval.Run {
	t.Helper()
	texts, err := corpusTexts(c.Corpus)
	require.NoError(t, err)
	passages, err := student.Encode(t.Context(), encoder.Passage, texts)
	require.NoError(t, err)
	run := eval.Run{}
	for _, q := range c.Queries {
		query, err := student.Encode(t.Context(), encoder.Query, []string{q.Text})
		require.NoError(t, err)
		for i := range texts {
			p, err := c.Corpus.At(i)
			require.NoError(t, err)
			a, b := matrix.Row(query, 0)[:width], matrix.Row(passages, i)[:width]
			cosine := matrix.Dot(a, b) / math.Sqrt(matrix.Dot(a, a)*matrix.Dot(b, b))
			run[q.ID] = append(run[q.ID], eval.Hit{ID: p.ID, Score: float32(cosine)})
		}
		slices.SortStableFunc(run[q.ID], func(a, b eval.Hit) int { return cmp.Compare(b.Score, a.Score) })
	}
	return run
}

// Every figure of a run at widths is that of the truncated vectors: what chose the student, evaluate.jsonl, the outcome
// and results.json.
func TestARunAtWidthsMeasuresTruncatedVectors(t *testing.T) {
	for _, towers := range []distill.Towers{distill.QueryOnly, distill.Both} {
		t.Run(towers.String(), func(t *testing.T) {
			corpus, judged := offices(t)
			recipe := small(filepath.Join(t.TempDir(), "run"), towers)
			recipe.Judged, recipe.Widths, recipe.TeacherCheck.Force = judged, []int{8, 5, 2}, true
			recipe.Training.Schedule.LR, recipe.Training.EvalSteps, recipe.Training.Patience = .03, 1, -1
			before := smallStudent(t)
			student := smallStudent(t)
			out, err := Specialise(t.Context(), student, corpus, recipe)
			require.NoError(t, err)
			require.True(t, out.Kept, "the student changed")
			require.Equal(t, "nDCG@10 of the judged queries, the mean over widths 8, 5, 2", out.ChosenBy)

			records, err := results.Load(recipe.Folder)
			require.NoError(t, err)
			require.Len(t, out.Widths, 3*len(measuredMetrics()))
			var chosenBefore float64
			for _, w := range out.Widths {
				m, err := eval.ParseMetric(w.Metric)
				require.NoError(t, err)
				was, err := eval.Evaluate(judged.Qrels, rankedAt(t, before, judged, w.Width), m)
				require.NoError(t, err)
				is, err := eval.Evaluate(judged.Qrels, rankedAt(t, student, judged, w.Width), m)
				require.NoError(t, err)
				require.InDelta(t, was.Mean(m), w.Before, 1e-6, "%s at %d", w.Metric, w.Width)
				require.InDelta(t, is.Mean(m), w.After, 1e-6, "%s at %d", w.Metric, w.Width)
				want, err := eval.Compare(t.Context(), was, is, m, 1)
				require.NoError(t, err)
				require.Equal(t, want, w.Comparison)
				name := m.Name
				if w.Width < 8 {
					name = fmt.Sprintf("%s dim %d", m.Name, w.Width)
				}
				for i, id := range is.Queries {
					require.InDelta(t, is.Of(m)[i], results.Of(records, setJudged, results.After)[id].Metrics[name], 1e-6)
				}
				if m.Name == eval.NDCG(10).Name && towers == distill.QueryOnly { // with Both, a pool of passages is ranked
					chosenBefore += was.Mean(m) / 3
				}
			}
			if towers == distill.QueryOnly {
				require.InDelta(t, chosenBefore, out.Training.History[0].Score, 1e-6)
			}
			var written struct {
				Widths []WidthResult `json:"widths"`
			}
			require.NoError(t, json.Unmarshal([]byte(read(t, recipe.Folder+"/results.json")), &written))
			require.Equal(t, out.Widths, written.Widths)
			page := read(t, recipe.Folder+"/report.html")
			for _, want := range []string{"trained at widths", "8, 5, 2", "nDCG@10 dim 5", "R@100 dim 2", "the mean over widths"} {
				require.Contains(t, page, want)
			}
		})
	}
}

// Held-out items choose and test by the mean over the widths, and their reciprocal ranks are reported at each.
func TestHeldOutItemsAreRankedAtEachWidth(t *testing.T) {
	corpus, _ := offices(t)
	recipe := small(filepath.Join(t.TempDir(), "run"), distill.QueryOnly)
	recipe.Widths = []int{8, 4, 2}
	out, err := Specialise(t.Context(), smallStudent(t), corpus, recipe)
	require.NoError(t, err)
	require.Contains(t, out.TestedOn, "held-out passages, the mean over widths 8, 4, 2")
	require.Len(t, out.Widths, 3)
	var before, after float64
	for i, w := range out.Widths {
		require.Equal(t, []any{setHeldOut, "mrr@10", recipe.Widths[i], out.Test.N}, []any{w.Set, w.Metric, w.Width, w.N})
		require.InDelta(t, w.After-w.Before, w.Delta, 1e-9)
		before, after = before+w.Before/3, after+w.After/3
	}
	if out.Kept {
		require.InDelta(t, after-before, out.Test.Delta, 1e-9)
	} else {
		require.InDelta(t, before, after, 1e-9)
	}

	p := pipeline(t)
	queries := []retort.Query{
		{ID: "a", Text: "alpha beta number0", Source: "p0"},
		{ID: "b", Text: "gamma number5", Source: "p5"},
		{ID: "c", Text: "beta number1", Source: "p0"},
	}
	ranks := func(widths ...int) []float64 {
		k, err := newHeldOutItems(p.Corpus, queries, 24, true)
		require.NoError(t, err)
		k.widths = widths
		values, err := k.ReciprocalRanks(t.Context(), p.Student)
		require.NoError(t, err)
		return values
	}
	whole, narrow, both := ranks(), ranks(2), ranks(p.Student.Dim(), 2)
	require.NotEqual(t, whole, narrow)
	for i := range both {
		require.InDelta(t, (whole[i]+narrow[i])/2, both[i], 1e-12)
	}
}

// countingStudent counts the texts that it encodes.
type countingStudent struct {
	encoder.Trainable
	encoder.Splitter
	encoder.Parametric
	encoder.Fingerprinter
	texts *int
}

func (s countingStudent) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	*s.texts += len(texts)
	return s.Trainable.Encode(ctx, role, texts)
}

// Vectors are truncated, not encoded again, and without widths a run is what it was.
func TestWidthsEncodeNothingTwice(t *testing.T) {
	corpus, judged := offices(t)
	for _, towers := range []distill.Towers{distill.QueryOnly, distill.Both} {
		run := func(widths []int) (texts int, state []byte, loss float64) {
			recipe := small("", towers)
			recipe.Judged, recipe.TeacherCheck.Force, recipe.Widths = judged, true, widths
			recipe.Training.Schedule.LR, recipe.Training.EvalSteps, recipe.Training.Patience = .03, 1, -1
			e := smallStudent(t)
			out, err := Specialise(t.Context(), countingStudent{e, e, e, e, &texts}, corpus, recipe)
			require.NoError(t, err)
			return texts, stateOf(t, e), out.Training.History[1].TrainLoss
		}
		texts, state, loss := run(nil)
		whole, same, sameLoss := run([]int{8})
		require.True(t, bytes.Equal(state, same), "the whole width alone is training without widths")
		require.Equal(t, loss, sameLoss)
		require.Equal(t, texts, whole)
		nested, _, sum := run([]int{8, 4, 2})
		require.Equal(t, texts, nested)
		require.Greater(t, sum, loss)
	}
}

// A change of widths trains and measures anew, and makes no query, list or score.
func TestAChangeOfWidthsKeepsTheLists(t *testing.T) {
	corpus, judged := offices(t)
	recipe := small(filepath.Join(t.TempDir(), "run"), distill.QueryOnly)
	recipe.Judged, recipe.TeacherCheck.Force = judged, true
	for _, widths := range [][]int{nil, {8, 4}, {8, 2}, nil} {
		var redone []string
		recipe.Events.Stage = func(s retort.Stage) {
			if s.Done > 0 && !slices.Contains(redone, s.Name) {
				redone = append(redone, s.Name)
			}
		}
		_, err := Specialise(t.Context(), smallStudent(t), corpus, recipe)
		require.NoError(t, err)
		redone = nil
		recipe.Widths = widths
		_, err = Specialise(t.Context(), smallStudent(t), corpus, recipe)
		require.NoError(t, err)
		for _, stage := range []string{runfolder.StageGenerate, runfolder.StageMine, runfolder.StageScore} {
			require.NotContains(t, redone, stage)
		}
		if widths != nil {
			require.Contains(t, redone, retort.StageTrain)
		}
	}
}
