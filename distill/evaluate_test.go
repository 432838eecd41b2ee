package distill

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// angles is an encoder whose vectors are given: a text is its angle.
type angles map[string]float64

func (angles) Dim() int { return 2 }

func (a angles) Encode(_ context.Context, _ encoder.Role, texts []string) (blas32.General, error) {
	m := matrix.New(len(texts), 2)
	for i, text := range texts {
		matrix.Row(m, i)[0], matrix.Row(m, i)[1] = float32(math.Cos(a[text])), float32(math.Sin(a[text]))
	}
	return m, nil
}

type angleInputs []string

func (in angleInputs) Len() int         { return len(in) }
func (in angleInputs) Tokens(i int) int { return len(in[i]) }

type anglePass struct{ m blas32.General }

func (p anglePass) Embeddings() blas32.General    { return p.m }
func (p anglePass) Backward(blas32.General) error { return nil }
func (p anglePass) Close() error                  { return nil }

type angleStudent struct {
	angles
	encoder.Trainable
}

func (s angleStudent) Dim() int { return 2 }

func (s angleStudent) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	return s.angles.Encode(ctx, role, texts)
}

func (s angleStudent) Prepare(_ context.Context, _ encoder.Role, texts []string) (encoder.Inputs, error) {
	return angleInputs(texts), nil
}

func (s angleStudent) Forward(ctx context.Context, in encoder.Inputs, rows []int, _ bool) (encoder.Pass, error) {
	var texts []string
	for _, r := range rows {
		texts = append(texts, in.(angleInputs)[r])
	}
	m, err := s.Encode(ctx, encoder.Passage, texts)
	return anglePass{m}, err
}

// Worked by hand from the definition.
func TestScoreIsNDCGOverAllHeldOutPassages(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "a", Text: "a"},
		{ID: "b", Text: "bb"},
		{ID: "c", Text: "ccc"},
		{ID: "d", Text: "dddd"},
	})
	require.NoError(t, err)
	student := angleStudent{angles: angles{"x": 0, "a": 0.1, "bb": 0.2, "ccc": 0.3, "dddd": 0.4, "yy": 0.35}}
	lg := math.Log2
	for _, test := range []struct {
		name string
		dev  []retort.List
		want float64
	}{
		{"the teacher's order", []retort.List{
			{Query: retort.Query{ID: "1", Text: "x"}, IDs: []string{"a", "b"}, Scores: []float64{1, 0.5}},
		}, 1},
		{"the other order", []retort.List{
			{Query: retort.Query{ID: "1", Text: "x"}, IDs: []string{"a", "b"}, Scores: []float64{0.5, 1}},
		}, (0.5 + 1/lg(3)) / (1 + 0.5/lg(3))},
		{"another list's passages stand between", []retort.List{
			{Query: retort.Query{ID: "1", Text: "x"}, IDs: []string{"c", "b"}, Scores: []float64{1, 0.5}},
			{Query: retort.Query{ID: "2", Text: "yy"}, IDs: []string{"d", "a"}, Scores: []float64{1, 0}}, // c, d, b, a or so
		}, ((0.5/lg(3)+1/lg(4))/(1+0.5/lg(3)) + 1/lg(3)) / 2},
		{"scores outside [0,1] are scaled a list", []retort.List{
			{Query: retort.Query{ID: "1", Text: "x"}, IDs: []string{"a", "b", "c"}, Scores: []float64{-3, -1, -5}},
		}, (0.5 + 1/lg(3)) / (1 + 0.5/lg(3))},
		{"an extractive query's source is not ranked", []retort.List{
			{
				Query: retort.Query{ID: "1", Text: "x", Source: "a", Origin: "extractive"}, IDs: []string{"b", "c"},
				Scores: []float64{1, 0},
			},
			{Query: retort.Query{ID: "2", Text: "x"}, IDs: []string{"a", "b"}, Scores: []float64{1, 0}},
		}, 1},
		{"a list without a gain does not count", []retort.List{
			{Query: retort.Query{ID: "1", Text: "x"}, IDs: []string{"a", "b"}, Scores: []float64{0, 0}},
			{Query: retort.Query{ID: "2", Text: "x"}, IDs: []string{"a", "b"}, Scores: []float64{0, 1}},
		}, 1 / lg(3)},
	} {
		if test.name == "another list's passages stand between" {
			student.angles["yy"] = 0.34 // nearer to c than to d
		}
		data, err := newDataset(corpus, nil, test.dev, false)
		require.NoError(t, err)
		s := &stepper{student: student, data: data, queries: angleInputs(data.queries), microBatch: 5}
		var texts []string
		for _, index := range data.passages {
			p, err := corpus.At(index)
			require.NoError(t, err)
			texts = append(texts, p.Text)
		}
		s.passages = angleInputs(texts)
		e, err := newEvaluator(s)
		require.NoError(t, err, test.name)
		got, err := e.score(context.Background())
		require.NoError(t, err)
		require.InDelta(t, test.want, got, 1e-12, test.name)
	}
}

func TestOnlyTheTeachersFirstTenHaveAGain(t *testing.T) {
	scores := make([]float64, 15)
	for i := range scores {
		scores[i] = float64(i+1) / 15
	}
	gains := topGains(scores, true)
	require.Equal(t, make([]float64, 5), gains[:5])
	require.Equal(t, scores[5:], gains[5:])
}

func TestFirstKeepsTheOrderOfEquals(t *testing.T) {
	require.Equal(t, []int{1, 3, 0}, first([]float64{2, 3, 2, 3, 2}, 3))
	require.Equal(t, []int{0, 1}, first([]float64{1, 1}, 5))
	require.Empty(t, first(nil, 3))
}

func TestHeldOutListsThatTellNothingAreAnError(t *testing.T) {
	corpus, lists := world(t)
	for i := range lists {
		for j := range lists[i].Scores {
			lists[i].Scores[j] = -3
		}
	}
	_, err := Train(context.Background(), newStudent(t), corpus, lists, quick())
	require.ErrorContains(t, err, "are equal within every held-out list")
}
