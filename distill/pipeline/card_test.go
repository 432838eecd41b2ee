package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// describedStudent keeps what it was told.
type describedStudent struct {
	*encodertest.Encoder
	card encoder.Card
}

func (s *describedStudent) Describe(card encoder.Card) { s.card = card }

func (s *describedStudent) Save(dir string) error {
	if s.card.Passages == 0 {
		return os.ErrInvalid // saved before it was described
	}
	return s.Encoder.Save(dir)
}

// describedRun returns the card of a small run, whose guard finds each query's value after training higher by gain.
func describedRun(t *testing.T, dir string, gain float64) encoder.Card {
	t.Helper()
	p := newSmallRun(t)
	student := &describedStudent{Encoder: p.Student.(*encodertest.Encoder)}
	p.Student = student
	calls := 0
	p.SignificanceTest = func(context.Context, encoder.Encoder) ([]float64, error) {
		values := make([]float64, 40)
		for i := range values {
			values[i] = float64(i%7) + float64(calls)*gain
		}
		calls++
		return values, nil
	}
	p.Training.Widths = []int{8, 4}
	p.Card = card{
		BaseModel: "org/base", Chosen: "recall", Tested: "MRR@10",
		Method: []encoder.Fact{{Name: "Teacher", Value: "BM25"}},
	}
	if dir == "" {
		_, err := p.Run(t.Context())
		require.NoError(t, err)
	} else {
		runIn(t, dir, p)
	}
	return student.card
}

func TestTheStudentIsToldHowItCameAbout(t *testing.T) {
	dir := t.TempDir()
	card := describedRun(t, dir, 1)
	require.Equal(t, "org/base", card.BaseModel)
	require.Equal(t, 40, card.Passages)
	require.Equal(t, []int{8, 4}, card.Widths)
	require.Len(t, card.Results, 1)
	r := card.Results[0]
	require.Equal(t, "MRR@10", r.Measure)
	require.Equal(t, 40, r.Queries)
	require.Equal(t, []float64{1, 1, 1}, []float64{r.Delta, r.Low, r.High})
	require.Less(t, r.P, significanceP)
	require.Equal(t, "It answers held-out queries better than the base model, beyond doubt.", card.Verdict)
	facts := map[string]string{}
	for _, f := range card.Method {
		facts[f.Name] = f.Value
	}
	require.Equal(t, "BM25", facts["Teacher"])
	require.Contains(t, facts["Loss"], "loss.")
	require.Regexp(t, `^\d+, of \d+ passages each on average$`, facts["Lists"])

	require.Equal(t, card, describedRun(t, dir, 1), "a run that is over")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, folderModel)))
	require.Equal(t, card, describedRun(t, dir, 1), "a model that is written again")
	require.Equal(t, card, describedRun(t, "", 1), "in memory")
}

func TestTheCardSaysWhereTheModelStayedAsItWas(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		card := describedRun(t, dir, 0)
		require.Equal(t, "Training brought no gain beyond doubt, so the weights are those of the base model.", card.Verdict)
		require.Zero(t, card.Results[0].Delta)
		require.Empty(t, card.Widths)
	}
}
