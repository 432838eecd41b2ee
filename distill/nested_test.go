package distill

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

func TestNestedLossEqualsMatryoshkaLossOfSentenceTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/nested.json") // made by testdata/nested.py
	require.NoError(t, err)
	var cases []struct {
		Name         string          `json:"name"`
		Widths       []int           `json:"widths"`
		Teacher      json.RawMessage `json:"teacher"`
		Loss         float64         `json:"loss"`
		Queries      [][]float32     `json:"queries"`
		Passages     [][]float32     `json:"passages"`
		QueriesGrad  [][]float32     `json:"queries_grad"`
		PassagesGrad [][]float32     `json:"passages_grad"`
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.Len(t, cases, 6)
	for _, c := range cases {
		for _, block := range []int{1, blockElements} {
			t.Run(fmt.Sprint(c.Name, c.Widths, block), func(t *testing.T) {
				n, dim := len(c.Queries), len(c.Queries[0])
				// What DistillKLDivLoss multiplies by: the square of the student's temperature.
				l := loss.Loss(loss.Sum{{Weight: 0.05 * 0.05, Loss: loss.ListwiseKL{}}})
				teacher := make([][]float64, n)
				if c.Name == "infonce" {
					l = loss.InfoNCE{Temperature: 0.05}
				} else {
					require.NoError(t, json.Unmarshal(c.Teacher, &teacher))
				}
				rows := make([]loss.Row, n)
				for i := range rows {
					rows[i] = loss.Row{ID: fmt.Sprint(i), Positive: -1, Teacher: teacher[i]}
					for column := range teacher[i] {
						rows[i].List = append(rows[i].List, int32(column*n+i))
					}
					if c.Name == "infonce" {
						rows[i].Positive = int32(i)
					}
				}
				q, p := cut(matrixOfRows(c.Queries), dim), cut(matrixOfRows(c.Passages), dim) // as an encoder normalises
				q.grad, p.grad = matrix.New(n, dim), matrix.New(p.vectors.Rows, dim)
				value, _, err := nestedLoss(t.Context(), l, rows, q.vectors, p.vectors, q.grad, p.grad, block, c.Widths)
				require.NoError(t, err)
				require.InEpsilon(t, c.Loss, value, 1e-5)
				dq, dp := matrix.New(n, dim), matrix.New(p.vectors.Rows, dim)
				q.backward(dq)
				p.backward(dp)
				requireClose(t, matrixOfRows(c.QueriesGrad), dq)
				requireClose(t, matrixOfRows(c.PassagesGrad), dp)

				without := matrix.New(n, dim) // passages that do not learn
				alone, _, err := nestedLoss(t.Context(), l, rows, q.vectors, p.vectors, without, blas32.General{}, block,
					c.Widths)
				require.NoError(t, err)
				require.Equal(t, value, alone)
				require.Equal(t, q.grad, without)
			})
		}
	}
}

func matrixOfRows(rows [][]float32) blas32.General {
	m := matrix.New(len(rows), len(rows[0]))
	for i, row := range rows {
		copy(matrix.Row(m, i), row)
	}
	return m
}

// requireClose compares with the longest gradient: rounding is of its size.
func requireClose(t *testing.T, want, got blas32.General) {
	t.Helper()
	w, g := Weights{want.Data}, Weights{got.Data}
	require.Less(t, g.minus(w).norm()/w.norm(), 1e-5)
}

func TestWidthOfTheWholeVectorsIsTrainingWithoutWidths(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		opts := quick()
		opts.Towers = towers
		plain, whole := newStudent(t), newStudent(t)
		want, err := Train(t.Context(), plain, corpus, lists, opts)
		require.NoError(t, err)
		opts.Widths = []int{8}
		got, err := Train(t.Context(), whole, corpus, lists, opts)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, stateOf(t, plain), stateOf(t, whole))
	}
}

// Zeros have no direction: neither the loss nor the gradient is NaN.
func TestLeadingZerosGiveNoGradient(t *testing.T) {
	q, p := matrixOfRows([][]float32{{0, 0, 0.6, 0.8}}), matrixOfRows([][]float32{{1, 0, 0, 0}, {0, 0, 0, 1}, {0.6, 0, 0, 0.8}})
	dq, dp := matrix.New(1, 4), matrix.New(3, 4)
	rows := []loss.Row{{ID: "q", Positive: -1, List: []int32{0, 1, 2}, Teacher: []float64{1, 0, 0.5}}}
	value, _, err := nestedLoss(t.Context(), loss.ListwiseKL{}, rows, q, p, dq, dp, blockElements, []int{2})
	require.NoError(t, err)
	require.Positive(t, value)
	require.Equal(t, make([]float32, 4), dq.Data)
	require.Equal(t, make([]float32, 12), dp.Data)
}

func TestAWidthBeyondTheStudentIsRefused(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Widths = []int{16, 8}
	_, err := Train(t.Context(), newStudent(t), corpus, lists, opts)
	require.ErrorContains(t, err, "Options.Widths: 16 is more than the 8 values of the student's vectors")
}

func TestWidthsWithoutTheWholeVectorsAreWarnedOf(t *testing.T) {
	corpus, lists := world(t)
	for _, test := range []struct {
		widths []int
		warned bool
	}{{nil, false}, {[]int{8, 4}, false}, {[]int{4}, true}} {
		opts := quick()
		opts.Widths, opts.Schedule.Epochs = test.widths, 1
		var warnings []string
		opts.Events.Warning = func(w retort.Warning) { warnings = append(warnings, w.Message) }
		_, err := Train(t.Context(), newStudent(t), corpus, lists, opts)
		require.NoError(t, err)
		require.Equal(t, test.warned, len(warnings) == 1, warnings)
	}
}

func TestPartsOfTheLossAreReportedAtEachWidth(t *testing.T) {
	corpus, lists := world(t)
	for _, test := range []struct {
		loss  loss.Loss
		names []string
	}{
		{loss.ListwiseKL{}, []string{"8", "4"}},
		{DefaultLoss(), []string{"ListwiseKL_8", "InfoNCE_8", "ListwiseKL_4", "InfoNCE_4"}},
	} {
		opts := quick()
		opts.Loss, opts.Widths = test.loss, []int{8, 4}
		opts.Events.Step = func(s retort.Step) {
			var names []string
			var sum float64
			for _, p := range s.Parts {
				names, sum = append(names, p.Name), sum+p.Value
			}
			require.Equal(t, test.names, names)
			require.InEpsilon(t, s.Loss, sum, 1e-9)
		}
		_, err := Train(t.Context(), newStudent(t), corpus, lists, opts)
		require.NoError(t, err)
	}
}

// The score is the mean of nDCG@10 over the widths, each as a student of that width alone has it; the loss is the sum.
func TestEvaluationIsTheMeanOverTheWidthsAndTheLossTheSum(t *testing.T) {
	corpus, lists := world(t)
	evaluate := func(widths []int, byLoss bool, towers Towers) float64 {
		opts := quick()
		opts.Towers, opts.Widths, opts.Selection.ByLoss = towers, widths, byLoss
		opts.Selection.Dev, opts.Selection.DevFraction = lists[15:], 0
		opts.Schedule.Epochs = 1
		result, err := Train(t.Context(), newStudent(t), corpus, lists[:15], opts)
		require.NoError(t, err)
		return result.History[0].Score
	}
	for _, towers := range []Towers{Both, QueryOnly} {
		for _, byLoss := range []bool{false, true} {
			var sum float64
			scores := map[float64]bool{}
			for _, w := range []int{8, 5, 2} {
				score := evaluate([]int{w}, byLoss, towers)
				sum, scores[score] = sum+score, true
			}
			require.Len(t, scores, 3, "the widths differ")
			if !byLoss {
				sum /= 3
			}
			require.InEpsilon(t, sum, evaluate([]int{8, 5, 2}, byLoss, towers), 1e-6)
		}
	}
}

func TestTrainingAtNestedWidthsImprovesTheNarrowOnes(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		plain, nested := newStudent(t), newStudent(t)
		before := agreementAt(t, plain, corpus, lists, 3)
		opts := quick()
		opts.Towers, opts.Selection.DevFraction, opts.Schedule.Epochs = towers, 0, 12
		_, err := Train(t.Context(), plain, corpus, lists, opts)
		require.NoError(t, err)
		opts.Widths = []int{8, 5, 3}
		_, err = Train(t.Context(), nested, corpus, lists, opts)
		require.NoError(t, err)
		got, without := agreementAt(t, nested, corpus, lists, 3), agreementAt(t, plain, corpus, lists, 3)
		t.Logf("%v: %.3f before, %.3f without widths, %.3f with them", towers, before, without, got)
		require.Greater(t, got, without)
		require.Greater(t, got, before)
	}
}

// agreementAt is the mean, over the lists, of the share of pairs that the leading values of the vectors order as the
// teacher does.
func agreementAt(t *testing.T, student encoder.Encoder, corpus *retort.MemoryCorpus, lists []retort.List,
	width int,
) float64 {
	t.Helper()
	var right, pairs float64
	for _, l := range lists {
		query, err := student.Encode(t.Context(), encoder.Query, []string{l.Query.Text})
		require.NoError(t, err)
		var texts []string
		for _, id := range l.IDs {
			index, ok := corpus.Index(id)
			require.True(t, ok)
			p, err := corpus.At(index)
			require.NoError(t, err)
			texts = append(texts, p.Content())
		}
		passages, err := student.Encode(t.Context(), encoder.Passage, texts)
		require.NoError(t, err)
		sim := func(i int) float64 {
			return cosine(matrix.Row(query, 0)[:width], matrix.Row(passages, i)[:width])
		}
		for i := range texts {
			for k := range i {
				if l.Scores[i] != l.Scores[k] {
					pairs++
					if (l.Scores[i] > l.Scores[k]) == (sim(i) > sim(k)) {
						right++
					}
				}
			}
		}
	}
	return right / pairs
}

func cosine(a, b []float32) float64 {
	return matrix.Dot(a, b) / (Weights{a}.norm() * Weights{b}.norm())
}

func TestLossThatFailsAtAWidthNamesIt(t *testing.T) {
	q, p := matrixOfRows([][]float32{{1, 0}}), matrixOfRows([][]float32{{1, 0}, {0, 1}})
	rows := []loss.Row{{ID: "q", Positive: 7}}
	_, _, err := nestedLoss(t.Context(), loss.InfoNCE{}, rows, q, p, matrix.New(1, 2), matrix.New(2, 2), blockElements, []int{2, 1})
	require.ErrorContains(t, err, "at width 2")
	require.ErrorContains(t, err, `"q"`)
}
