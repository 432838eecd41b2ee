package distill

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// The gradient of a step agrees with central differences, in float64, of the definition: every list by itself, passages
// by id, vectors by the formula in encodertest.Encoder's comment. The reference shares no code with the trainer.
func TestGradientEqualsCentralDifferencesOfTheDefinition(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Options, []retort.List)
	}{
		{"both towers", func(*Options, []retort.List) {}},
		{"query side", func(o *Options, _ []retort.List) { o.Towers = QueryOnly }},
		{"query side, whole corpus", func(o *Options, _ []retort.List) { o.Towers, o.WholeCorpus = QueryOnly, true }},
		{"counts", func(o *Options, _ []retort.List) { o.CountDuplicates = true }},
		{"counts, query side", func(o *Options, _ []retort.List) { o.Towers, o.CountDuplicates = QueryOnly, true }},
		{"weights", func(_ *Options, lists []retort.List) { lists[0].Weight, lists[2].Weight = 0.25, 3 }},
		{"extractive queries", func(_ *Options, lists []retort.List) {
			lists[0].Query.Origin, lists[4].Query.Origin = "extractive", "extractive/sentence"
		}},
		{"extractive queries, whole corpus", func(o *Options, lists []retort.List) {
			o.Towers, o.WholeCorpus = QueryOnly, true
			lists[0].Query.Origin, lists[4].Query.Origin = "extractive", "extractive/sentence"
		}},
		{"kept graphs", func(o *Options, _ []retort.List) { o.Memory.GraphBudget = math.MaxInt64 }},
		{"nested widths", func(o *Options, _ []retort.List) { o.Widths = []int{4, 3, 2} }},
		{"nested widths, query side", func(o *Options, _ []retort.List) { o.Towers, o.Widths = QueryOnly, []int{4, 3, 2} }},
		{"nested widths, whole corpus", func(o *Options, _ []retort.List) {
			o.Towers, o.WholeCorpus, o.Widths = QueryOnly, true, []int{4, 2}
		}},
		{"nested widths without the whole vectors, counts", func(o *Options, _ []retort.List) {
			o.Widths, o.CountDuplicates = []int{3, 2}, true
		}},
		{"some graphs kept", func(o *Options, _ []retort.List) { o.Memory.GraphBudget = 500 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			corpus, lists := world(t)
			lists = lists[:7]
			opts := quick()
			opts.Loss = loss.Sum{
				{Weight: 1, Loss: loss.ListwiseKL{}},
				{Weight: 0.5, Loss: loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.85}},
			}
			test.change(&opts, lists)
			e, err := encodertest.New(encodertest.Options{Dim: 4, Buckets: 24, Seed: 9})
			require.NoError(t, err)
			s := stepperFor(t, e, corpus, lists, opts)
			s.block = 50 // several blocks of queries
			got, value, err := s.readGradient(context.Background(), everything(s))
			require.NoError(t, err)

			r := reference{corpus: corpus, lists: lists, opts: opts, dim: 4, buckets: 24}
			r.params, r.frozen = r.weights(t, e), r.weights(t, e)
			require.InEpsilon(t, r.loss(), value, 1e-5)
			want := r.gradient()
			require.Less(t, got.minus(want).norm()/want.norm(), 1e-5)
		})
	}
}

// Shared passages, masked false negatives and counts; all sizes of micro-batches from one text on; none, some and all
// graphs kept; blocks from one query on.
func TestMicroBatchesAndBlocksDoNotChangeTheGradient(t *testing.T) {
	corpus, lists := world(t)
	masking := loss.Sum{
		{Weight: 1, Loss: loss.ListwiseKL{}},
		{Weight: 0.5, Loss: loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.6}},
	}
	for _, towers := range []Towers{Both, QueryOnly} {
		for _, keep := range []int64{0, 700, -1} {
			for budget := 1; budget < 400; budget += 1 + budget/10 {
				opts := quick()
				opts.Towers, opts.Memory.MicroBatchTokens, opts.Loss, opts.CountDuplicates = towers, budget, masking, budget%2 == 0
				if budget%3 == 0 {
					opts.Widths = []int{8, 5, 3}
				}
				s := stepperFor(t, newStudent(t), corpus, lists[:9], opts)
				s.graphBudget, s.block = keep, budget
				c, err := s.check(context.Background(), everything(s))
				require.NoError(t, err)
				require.Less(t, c.Plain, 1e-5, "%s, budget %d, keep %d", towers, budget, keep)
				require.Less(t, c.Parameter, 1e-5, "%s, budget %d, keep %d: %s", towers, budget, keep, c.Worst)
				require.Less(t, c.Central, 0.02, "%s, budget %d, keep %d", towers, budget, keep)
			}
		}
	}
}

func TestBatchLossIsGivenTheWholeStep(t *testing.T) {
	corpus, lists := world(t)
	for _, towers := range []Towers{Both, QueryOnly} {
		opts := quick()
		opts.Towers = towers
		byRow := stepperFor(t, newStudent(t), corpus, lists, opts)
		opts.Loss = wholeStep{DefaultLoss()}
		byStep := stepperFor(t, newStudent(t), corpus, lists, opts)
		want, wantLoss, err := byRow.readGradient(context.Background(), everything(byRow))
		require.NoError(t, err)
		got, gotLoss, err := byStep.readGradient(context.Background(), everything(byStep))
		require.NoError(t, err)
		require.InEpsilon(t, wantLoss, gotLoss, 1e-6)
		require.Less(t, got.minus(want).norm()/want.norm(), 1e-5)
	}
}

// wholeStep is a loss.Batch that refuses to be asked for rows.
type wholeStep struct{ rows loss.Loss }

func (wholeStep) Row(*loss.Row, []float32, []float32, float64) (float64, error) {
	return 0, errors.New("asked for a row")
}

func (w wholeStep) Step(_ context.Context, rows []loss.Row, q, p, dq, dp blas32.General) (float64, error) {
	var sum float64
	for i := range rows {
		sim, grad := make([]float32, p.Rows), make([]float32, p.Rows)
		for c := range sim {
			for k, x := range matrix.Row(q, i) {
				sim[c] += x * matrix.Row(p, c)[k]
			}
		}
		value, err := w.rows.Row(&rows[i], sim, grad, 1/float64(len(rows)))
		if err != nil {
			return 0, err
		}
		sum += value
		for c, g := range grad {
			for k := range q.Cols {
				matrix.Row(dq, i)[k] += g * matrix.Row(p, c)[k]
				matrix.Row(dp, c)[k] += g * matrix.Row(q, i)[k]
			}
		}
	}
	return sum / float64(len(rows)), nil
}

func TestAPassageInManyListsIsEncodedOnce(t *testing.T) {
	corpus, lists := world(t)
	s := stepperFor(t, newStudent(t), corpus, lists[:3],
		quick()) // 4 passages of one topic in all, 2+2 of the next, rotated
	p, err := s.plan(context.Background(), everything(s))
	require.NoError(t, err)
	report, err := s.gradient(context.Background(), p)
	require.NoError(t, err)
	distinct := map[string]bool{}
	for _, l := range lists[:3] {
		for _, id := range l.IDs {
			distinct[id] = true
		}
	}
	require.Equal(t, len(distinct), report.Passages)
	require.Less(t, report.Passages, 3*6)
	require.Equal(t, 3*6, report.Listed)
	require.Greater(t, report.Padded, report.Tokens)
	require.NoError(t, s.forgetGradients())
}

func TestCheckGradientFindsAWrongLoss(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	good, err := CheckGradient(context.Background(), newStudent(t), corpus, lists[:6], opts)
	require.NoError(t, err)
	require.Less(t, good.Plain, 1e-5)
	require.Less(t, good.Central, 0.02)
	require.Positive(t, good.Loss)

	opts.Loss = twiceTheGradient{DefaultLoss()}
	bad, err := CheckGradient(context.Background(), newStudent(t), corpus, lists[:6], opts)
	require.NoError(t, err)
	require.Greater(t, bad.Central, 0.4)
}

type twiceTheGradient struct{ loss.Loss }

func (l twiceTheGradient) Row(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	return l.Loss.Row(r, sim, grad, 2*scale)
}

// A model with dropout left on gives other numbers in the second pass: the classic silent error of cached gradients.
func TestCheckGradientFindsASecondPassThatDiffers(t *testing.T) {
	corpus, lists := world(t)
	e := newStudent(t)
	params := e.Parameters()
	opts := quick()
	opts.Memory.GraphBudget = -1
	noisy := &student{Encoder: e, onForward: func(keepGraph bool) error {
		bias, err := params[2].Value()
		if err != nil || !keepGraph {
			return err
		}
		bias[0] += 0.05
		return params[2].Set(bias)
	}}
	c, err := CheckGradient(context.Background(), noisy, corpus, lists[:6], opts)
	require.NoError(t, err)
	require.Greater(t, c.Plain, 1e-3)
	require.Greater(t, c.Parameter, 1e-3)
	require.NotEmpty(t, c.Worst)
}

func TestCheckGradientKeepsTheWeights(t *testing.T) {
	corpus, lists := world(t)
	e := newStudent(t)
	before := weightsOf(t, e)
	_, err := CheckGradient(context.Background(), e, corpus, lists[:6], quick())
	require.NoError(t, err)
	require.Equal(t, before, weightsOf(t, e))
	require.Zero(t, gradNorm(t, e))
}

func stepperFor(t *testing.T, e encoder.Trainable, corpus retort.Corpus, lists []retort.List, opts Options) *stepper {
	t.Helper()
	require.NoError(t, opts.Validate())
	data, err := newDataset(corpus, lists, nil, opts.WholeCorpus)
	require.NoError(t, err)
	s, err := newStepper(e, corpus, data, opts)
	require.NoError(t, err)
	texts, _, err := s.passageTexts(context.Background(), corpus, opts.Vectors)
	require.NoError(t, err)
	require.NoError(t, s.prepare(context.Background(), texts, opts.Vectors, func(int, int) {}))
	s.graphBudget = opts.graphBudget()
	return s
}

func everything(s *stepper) []*example {
	batch := make([]*example, len(s.data.train))
	for i := range batch {
		batch[i] = &s.data.train[i]
	}
	return batch
}

// reference is the loss of a step by its definition, in float64.
type reference struct {
	corpus         *retort.MemoryCorpus
	lists          []retort.List
	opts           Options
	dim, buckets   int
	params, frozen [][]float64 // embeddings, projection, bias
}

func (r reference) weights(t *testing.T, e encoder.Encoder) [][]float64 {
	var all [][]float64
	for _, w := range weightsOf(t, e) {
		values := make([]float64, len(w))
		for i, x := range w {
			values[i] = float64(x)
		}
		all = append(all, values)
	}
	return all
}

func (r reference) gradient() Weights {
	const h = 1e-5
	grads := make(Weights, len(r.params))
	for i, w := range r.params {
		grads[i] = make([]float32, len(w))
		for j, x := range w {
			w[j] = x + h
			up := r.loss()
			w[j] = x - h
			down := r.loss()
			w[j] = x
			grads[i][j] = float32((up - down) / (2 * h))
		}
	}
	return grads
}

func (r reference) loss() float64 {
	passageParams := r.params
	if r.opts.Towers == QueryOnly {
		passageParams = r.frozen
	}
	vectors, count := map[string][]float64{}, map[string]float64{}
	for _, l := range r.lists {
		for _, id := range l.IDs {
			count[id]++
		}
	}
	for i := range r.corpus.Len() {
		p, _ := r.corpus.At(i)
		if r.opts.WholeCorpus && count[p.ID] == 0 {
			count[p.ID] = 1
		}
		if count[p.ID] > 0 {
			vectors[p.ID] = r.vector(passageParams, 1, p.Content())
		}
	}
	widths := r.opts.Widths
	if widths == nil {
		widths = []int{r.dim}
	}
	var sum float64
	for _, width := range widths {
		at := map[string][]float64{}
		for id, v := range vectors {
			at[id] = unit(v[:width])
		}
		for _, l := range r.lists {
			q := unit(r.vector(r.params, 0, l.Query.Text)[:width])
			weight := l.Weight
			if weight == 0 {
				weight = 1
			}
			sum += weight * (r.kl(l, q, at) + 0.5*r.infoNCE(l, q, at, count))
		}
	}
	return sum / float64(len(r.lists))
}

func (r reference) extractive(l retort.List) bool {
	return strings.HasPrefix(l.Query.Origin, "extractive")
}

func (r reference) score(l retort.List, id string) float64 {
	for i := range l.IDs {
		if l.IDs[i] == id {
			return l.Scores[i]
		}
	}
	return math.Inf(-1)
}

func (r reference) kl(l retort.List, q []float64, vectors map[string][]float64) float64 {
	var zp, zq, kl float64
	for _, id := range l.IDs {
		zp += math.Exp(r.score(l, id) / 0.3)
		zq += math.Exp(product(q, vectors[id]) / 0.05)
	}
	for _, id := range l.IDs {
		p := math.Exp(r.score(l, id)/0.3) / zp
		kl += p * math.Log(p/(math.Exp(product(q, vectors[id])/0.05)/zq))
	}
	return kl
}

func (r reference) infoNCE(l retort.List, q []float64, vectors map[string][]float64, count map[string]float64) float64 {
	if r.extractive(l) {
		return 0
	}
	var positive string
	var top float64
	for _, id := range l.IDs {
		if s := r.score(l, id); positive == "" || s > top {
			positive, top = id, s
		}
	}
	z := math.Exp(product(q, vectors[positive]) / 0.1)
	for id, v := range vectors {
		if id == positive || r.score(l, id) > 0.85*top {
			continue
		}
		c := 1.0
		if r.opts.CountDuplicates {
			c = count[id]
		}
		z += c * math.Exp(product(q, v)/0.1)
	}
	return math.Log(z) - product(q, vectors[positive])/0.1
}

func (r reference) vector(params [][]float64, role int, text string) []float64 {
	ids := []int{role}
	for _, word := range strings.FieldsFunc(text,
		func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		h := fnv.New32a()
		fmt.Fprint(h, strings.ToLower(word))
		ids = append(ids, 2+int(h.Sum32()%uint32(r.buckets-2)))
	}
	y := make([]float64, r.dim)
	for j := range y {
		z := params[2][j]
		for k := range r.dim {
			var mean float64
			for _, id := range ids {
				mean += params[0][id*r.dim+k] / float64(len(ids))
			}
			z += params[1][j*r.dim+k] * mean
		}
		y[j] = math.Tanh(z)
	}
	return unit(y)
}

func unit(v []float64) []float64 {
	norm, u := math.Sqrt(product(v, v)), make([]float64, len(v))
	for i, x := range v {
		u[i] = x / norm
	}
	return u
}

func product(a, b []float64) float64 {
	var sum float64
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
