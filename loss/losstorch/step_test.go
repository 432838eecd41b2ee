//go:build libtorch

package losstorch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstest"
)

func open(t testing.TB, l loss.Loss, o Options) *Loss {
	t.Helper()
	o.Threads = 2
	got, err := New(l, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Zero(t, got.rt.Live(), "tensors left behind")
		require.NoError(t, got.Close())
	})
	return got
}

// data are a step with gradients to add to.
type data struct {
	rows         []loss.Row
	q, p, dq, dp blas32.General
}

// counts of a step's rows.
const (
	noCounts = iota
	oneCount // shared by all rows
	mixedCounts
)

// randomStep has vectors near each other, so that many columns have a gradient at a temperature of 0.01, with gaps
// between rows, and something in the gradients already.
func randomStep(rng *rand.Rand, n, m, d, counts int) data {
	s := data{q: vectors(rng, n, d), p: vectors(rng, m, d), dq: vectors(rng, n, d), dp: vectors(rng, m, d)}
	one := randomCount(rng, m)
	for i := range n {
		r := loss.Row{ID: fmt.Sprintf("query %d", i), Positive: -1}
		if rng.IntN(2) == 0 {
			r.Weight = 0.25 + rng.Float64()
		}
		for _, c := range rng.Perm(m)[:rng.IntN(min(m, 20)+1)] {
			r.List = append(r.List, int32(c))
			r.Teacher = append(r.Teacher, rng.Float64())
		}
		if len(r.List) > 0 && rng.IntN(4) > 0 {
			r.Positive = r.List[rng.IntN(len(r.List))]
		}
		for range rng.IntN(5) {
			if c := int32(rng.IntN(m)); c != r.Positive {
				r.Ignore = append(r.Ignore, c)
			}
		}
		switch {
		case counts == oneCount:
			r.Count = one
		case counts == mixedCounts && i%3 > 0:
			r.Count = randomCount(rng, m)
		}
		s.rows = append(s.rows, r)
	}
	return s
}

func randomCount(rng *rand.Rand, m int) []float32 {
	count := make([]float32, m)
	for i := range count {
		count[i] = float32(rng.IntN(5))
	}
	return count
}

// vectors are of length 1 or nearly so, about 0.1 apart. Their elements are multiples of 2^-9, so that similarities
// have no rounding, in whatever order they are summed up, and what differs is the loss.
func vectors(rng *rand.Rand, n, d int) blas32.General {
	stride := d + rng.IntN(3)
	m := blas32.General{Rows: n, Cols: d, Stride: stride, Data: make([]float32, n*stride)}
	for i := range m.Data {
		m.Data[i] = float32(math.NaN()) // in the gaps
	}
	for i := range n {
		row := matrix.Row(m, i)
		var norm float64
		for j := range row {
			row[j] = float32(1 + rng.NormFloat64()/3)
			norm += float64(row[j]) * float64(row[j])
		}
		for j := range row {
			row[j] = float32(math.Round(float64(row[j])/math.Sqrt(norm)*512) / 512)
		}
	}
	return m
}

func (s data) clone() data {
	s.dq.Data, s.dp.Data = slices.Clone(s.dq.Data), slices.Clone(s.dp.Data)
	return s
}

// goRows is the step by the Go rows.
func goRows(t testing.TB, l loss.Loss, s data) float64 {
	t.Helper()
	n, m := len(s.rows), s.p.Rows
	sim, grad := matrix.New(n, m), matrix.New(n, m)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, s.q, s.p, 0, sim)
	var sum float64
	for i := range s.rows {
		value, err := l.Row(&s.rows[i], matrix.Row(sim, i), matrix.Row(grad, i), 1/float64(n))
		require.NoError(t, err)
		sum += value
	}
	addProduct(s.dq, blas.NoTrans, grad, s.p)
	addProduct(s.dp, blas.Trans, grad, s.q)
	return sum / float64(n)
}

// goParts are the means of the loss's parts, not nil.
func goParts(t testing.TB, l loss.Loss, s data) []float64 {
	t.Helper()
	parted, ok := l.(loss.Parted)
	if !ok {
		return []float64{}
	}
	n, m := len(s.rows), s.p.Rows
	sim, grad := matrix.New(n, m), matrix.New(n, m)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, s.q, s.p, 0, sim)
	parts := make([]float64, len(parted.PartNames()))
	for i := range s.rows {
		_, err := parted.RowParts(&s.rows[i], matrix.Row(sim, i), matrix.Row(grad, i), 1, parts)
		require.NoError(t, err)
	}
	for i := range parts {
		parts[i] /= float64(n)
	}
	return parts
}

// addProduct adds the product to dst at its end: gonum's Gemm adds term by term, and rounds each time to the digits of
// what is in dst, which costs more than the 1e-5 that is tested.
func addProduct(dst blas32.General, trans blas.Transpose, a, b blas32.General) {
	product := matrix.New(dst.Rows, dst.Cols)
	blas32.Gemm(trans, blas.NoTrans, 1, a, b, 0, product)
	for i := range dst.Rows {
		row := matrix.Row(dst, i)
		for j, v := range matrix.Row(product, i) {
			row[j] += v
		}
	}
}

// requireNear wants |got - want| <= tol |want| of what was added to before, which is tol of all of it too.
func requireNear(t testing.TB, before, want, got blas32.General, tol float64, name string) {
	t.Helper()
	var diff, norm float64
	for i := range want.Rows {
		for j, w := range matrix.Row(want, i) {
			g, b := float64(matrix.Row(got, i)[j]), float64(matrix.Row(before, i)[j])
			diff += (g - float64(w)) * (g - float64(w))
			norm += (float64(w) - b) * (float64(w) - b)
		}
	}
	// Adding to what is there rounds, to 6e-8 of an element of at most 1.
	limit := tol*math.Sqrt(norm) + 1e-7*math.Sqrt(float64(want.Rows))
	require.LessOrEqual(t, math.Sqrt(diff), limit, "%s: norm %v", name, math.Sqrt(norm))
}

var losses = map[string]loss.Loss{
	"InfoNCE":       loss.InfoNCE{},
	"InfoNCE, mask": loss.InfoNCE{Temperature: 0.05, MaskRatio: 0.6},
	"ListwiseKL":    loss.ListwiseKL{},
	"MarginMSE":     loss.MarginMSE{Scale: 20},
	"Paper":         loss.Paper(),
	"two InfoNCEs, margin": loss.Sum{
		{Weight: 0.5, Loss: loss.InfoNCE{}},
		{Weight: -0.25, Loss: loss.MarginMSE{}},
		{Weight: 2, Loss: loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.9}},
	},
}

// The budgets give one block, blocks of whole rows, and tiles of a few columns; the last is below one element.
func TestStepsEqualTheGoRows(t *testing.T) {
	shapes := []struct{ n, m, d int }{{1, 1, 1}, {1, 40, 8}, {7, 1, 3}, {5, 33, 16}, {40, 200, 32}, {64, 700, 96}}
	for name, l := range losses {
		t.Run(name, func(t *testing.T) {
			for _, o := range []Options{
				{},
				{Budget: 1 << 16},
				{Budget: 1000},
				{Budget: 1},
				{Precision: "fp64", Budget: 1 << 15},
			} {
				got := open(t, l, o)
				rng := rand.New(rand.NewPCG(1, 2))
				for _, s := range shapes {
					if o.Budget > 0 && o.Budget <= 1000 && int64(s.n*s.m) > 300*o.Budget {
						continue // thousands of calls of LibTorch for little
					}
					for counts := range mixedCounts + 1 {
						compare(t, got, l, randomStep(rng, s.n, s.m, s.d, counts), fmt.Sprintf("%+v, %+v, counts %d", o, s, counts))
					}
				}
			}
		})
	}
}

func compare(t testing.TB, got *Loss, l loss.Loss, s data, name string) {
	t.Helper()
	want := s.clone()
	wantLoss := goRows(t, l, want)
	result := s.clone()
	parts := make([]float64, len(got.PartNames()))
	value, err := got.StepParts(context.Background(), s.rows, s.q, s.p, result.dq, result.dp, parts)
	require.NoError(t, err, name)
	require.InDeltaSlice(t, goParts(t, l, s), parts, 1e-5*max(1e-3, math.Abs(wantLoss)), name)
	require.InDelta(t, wantLoss, value, 1e-5*max(1e-3, math.Abs(wantLoss)), name)
	requireNear(t, s.dq, want.dq, result.dq, 1e-5, name+": dq")
	requireNear(t, s.dp, want.dp, result.dp, 1e-5, name+": dp")
}

// identity gives Step similarities of the test's choice: the passages are unit vectors, so q itself is the
// similarities, and dq their gradient.
type identity struct{ batch loss.Batch }

func (l identity) Row(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	if len(grad) != len(sim) {
		return 0, fmt.Errorf("query %q: %d similarities and a gradient of %d", r.ID, len(sim), len(grad))
	}
	p := unit(len(sim))
	q := blas32.General{Rows: 1, Cols: len(sim), Stride: len(sim), Data: sim}
	dq := matrix.New(1, len(sim))
	value, err := l.batch.Step(context.Background(), []loss.Row{*r}, q, p, dq, matrix.New(len(sim), len(sim)))
	for i, g := range dq.Data {
		grad[i] += float32(scale * float64(g))
	}
	return value, err
}

func unit(n int) blas32.General {
	m := matrix.New(n, n)
	for i := range n {
		m.Data[i*n+i] = 1
	}
	return m
}

// The central differences of the contract see every digit: exponentials are in float64.
func TestStepsKeepTheContractOfLosses(t *testing.T) {
	for name, l := range losses {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, losstest.TestLoss(t.Context(), identity{open(t, l, Options{})}))
		})
	}
	t.Run("in tiles", func(t *testing.T) {
		require.NoError(t, losstest.TestLoss(t.Context(), identity{open(t, loss.Paper(), Options{Budget: 150})}))
	})
}

// golden.json of package loss is PyTorch's autograd over the batch in which passages stand as often as in the lists.
func TestPaperStepEqualsPyTorchOverTheDuplicatedBatch(t *testing.T) {
	var golden struct {
		Paper struct {
			Count []float32 `json:"count"`
			Rows  []struct {
				List     []int32   `json:"list"`
				Teacher  []float64 `json:"teacher"`
				Positive int32     `json:"positive"`
				Sim      []float32 `json:"sim"`
				KL       float64   `json:"kl"`
				InfoNCE  float64   `json:"infonce"`
				Grad     []float64 `json:"grad"`
			} `json:"rows"`
		} `json:"paper"`
	}
	file, err := os.ReadFile("../testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(file, &golden))
	g := golden.Paper
	m := len(g.Count)
	require.Greater(t, slices.Max(g.Count), float32(1))
	for _, budget := range []int64{0, 600} {
		l := open(t, loss.Paper(), Options{Budget: budget})
		q := matrix.New(len(g.Rows), m)
		rows := make([]loss.Row, len(g.Rows))
		var want float64
		for i, r := range g.Rows {
			rows[i] = loss.Row{ID: fmt.Sprint(i), List: r.List, Teacher: r.Teacher, Positive: r.Positive, Count: g.Count}
			copy(matrix.Row(q, i), r.Sim)
			want += (r.KL + 0.1*r.InfoNCE) / float64(len(g.Rows))
		}
		dq := matrix.New(len(rows), m)
		value, err := l.Step(t.Context(), rows, q, unit(m), dq, matrix.New(m, m))
		require.NoError(t, err)
		require.InEpsilon(t, want, value, 1e-12)
		for i, r := range g.Rows {
			for c, w := range r.Grad {
				require.InDelta(t, w/float64(len(rows)), matrix.Row(dq, i)[c], 5e-7*max(1, math.Abs(w)))
			}
		}
	}
}

func TestStepsNameWhatIsWrong(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	l := open(t, loss.Paper(), Options{})
	for name, test := range map[string]struct {
		change func(*data)
		want   []string
	}{
		"a list column out of range": {func(s *data) { s.rows[3].List[0] = 30 }, []string{`"query 3"`, "column 30 is out of range: there are 30"}},
		"a positive out of range":    {func(s *data) { s.rows[3].Positive = -2 }, []string{`"query 3"`, "column -2"}},
		"an ignored column":          {func(s *data) { s.rows[3].Ignore = []int32{99} }, []string{`"query 3"`, "column 99"}},
		"teacher NaN":                {func(s *data) { s.rows[3].Teacher[1] = math.NaN() }, []string{`"query 3"`, "NaN"}},
		"teacher beyond the mask's":  {func(s *data) { s.rows[3].Teacher[1] = 1.5 }, []string{`"query 3"`, "1.5", "[0,1]"}},
		"too few counts": {
			func(s *data) { s.rows[3].Count = s.rows[3].Count[1:] }, []string{`"query 3"`, "29 counts"},
		},
		"a count NaN": {func(s *data) {
			s.rows[3].Count = slices.Clone(s.rows[3].Count)
			s.rows[3].Count[7] = nan
		}, []string{`"query 3"`, "count NaN of column 7"}},
		"a query vector NaN": {func(s *data) { matrix.Row(s.q, 4)[2] = nan }, []string{`"query 4"`, "NaN"}},
		"a query vector Inf": {func(s *data) { matrix.Row(s.q, 4)[2] = -inf }, []string{`"query 4"`, "Inf"}},
		"a passage vector NaN": {func(s *data) {
			s.rows[3].List[0] = 8
			matrix.Row(s.p, 8)[0] = nan
		}, []string{"column 8", `"query 3"`, "NaN"}},
		"similarities out of range": {
			func(s *data) { matrix.Row(s.q, 4)[2], matrix.Row(s.p, 8)[2] = 1e19, 1e20 }, []string{"losstorch", "norm"},
		},
		"too few queries":       {func(s *data) { s.rows = s.rows[1:] }, []string{"q: it is [6 x 5], want [5 x 5]"}},
		"another width":         {func(s *data) { s.p.Cols-- }, []string{"p: it is [30 x 4], want [30 x 5]"}},
		"no room for gradients": {func(s *data) { s.dp.Data = nil }, []string{"dp: it is [30 x 5]", "too few"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := randomStep(rand.New(rand.NewPCG(3, 4)), 6, 30, 5, oneCount)
			for i := range s.rows {
				s.rows[i].List, s.rows[i].Teacher = []int32{1, 2, 3}, []float64{0.9, 0.5, 0.1}
				s.rows[i].Positive, s.rows[i].Ignore = 1, nil
			}
			test.change(&s)
			_, err := l.Step(t.Context(), s.rows, s.q, s.p, s.dq, s.dp)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestStepsOfNothing(t *testing.T) {
	l := open(t, loss.Paper(), Options{})
	value, err := l.Step(t.Context(), nil, matrix.New(0, 4), matrix.New(3, 4), matrix.New(0, 4), matrix.New(3, 4))
	require.NoError(t, err)
	require.Zero(t, value)
	rows := []loss.Row{{ID: "q", Positive: -1}}
	value, err = l.Step(t.Context(), rows, matrix.New(1, 4), matrix.New(0, 4), matrix.New(1, 4), matrix.New(0, 4))
	require.NoError(t, err)
	require.Zero(t, value)
}

// ending is a context that ends when it has been asked n times.
type ending struct {
	context.Context
	left atomic.Int64
}

func (c *ending) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestStepsStopBetweenBlocks(t *testing.T) {
	s := randomStep(rand.New(rand.NewPCG(5, 6)), 40, 100, 8, oneCount)
	for _, budget := range []int64{16 * 100 * 34, 16 * 100} { // whole rows in two blocks; tiles
		l := open(t, loss.Paper(), Options{Budget: budget})
		for after := range 3 {
			ctx := &ending{Context: t.Context()}
			ctx.left.Store(int64(after))
			_, err := l.Step(ctx, s.rows, s.q, s.p, s.clone().dq, s.clone().dp)
			require.ErrorIs(t, err, context.Canceled)
		}
		compare(t, l, loss.Paper(), s, "after that")
	}
}

func TestStepsAreTheSameBitsEveryTimeAlsoSideBySide(t *testing.T) {
	l := open(t, loss.Paper(), Options{Budget: 1 << 14})
	s := randomStep(rand.New(rand.NewPCG(7, 8)), 20, 300, 16, mixedCounts)
	step := func() (float64, data) {
		c := s.clone()
		value, err := l.Step(context.Background(), c.rows, c.q, c.p, c.dq, c.dp)
		if err != nil {
			t.Error(err)
		}
		return value, c
	}
	value, want := step()
	done := make(chan bool)
	for range 4 {
		go func() {
			v, got := step()
			done <- v == value && sameBits(got.dq, want.dq) && sameBits(got.dp, want.dp)
		}()
	}
	for range 4 {
		require.True(t, <-done)
	}
}

func sameBits(a, b blas32.General) bool {
	return slices.EqualFunc(a.Data, b.Data, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func TestAClosedLossSaysSo(t *testing.T) {
	l, err := New(loss.Paper(), Options{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	s := randomStep(rand.New(rand.NewPCG(9, 9)), 2, 3, 4, noCounts)
	_, err = l.Step(t.Context(), s.rows, s.q, s.p, s.dq, s.dp)
	require.ErrorContains(t, err, "closed")
	_, err = l.Row(&loss.Row{Positive: -1}, nil, nil, 1)
	require.NoError(t, err)
}
