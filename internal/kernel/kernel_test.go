package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every test runs on each path of the machine. The reference is the definition, computed in float64.

func onEachPath(t *testing.T, test func(t *testing.T)) {
	for _, p := range Paths() {
		t.Run(p.String(), func(t *testing.T) {
			t.Cleanup(Force(p))
			test(t)
		})
	}
}

func TestProductsAreThoseOfFloat64(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for rows := 1; rows <= 27; rows++ {
			for _, out := range []int{1, 3, 8, 15, 16, 17, 31, 32, 40, 64, 65} {
				for _, in := range []int{1, 2, 3, 5, 13, 32, 64} {
					checkProduct(t, random, rows, out, in)
				}
			}
		}
		for _, s := range [][3]int{
			{1, 384, 384}, {12, 1536, 384}, {13, 384, 1536}, {150, 33, 1029}, {300, 16, 40}, {2, 1000, 7},
		} {
			checkProduct(t, random, s[0], s[1], s[2])
		}
	})
}

func checkProduct(t *testing.T, random *rand.Rand, rows, out, in int) {
	t.Helper()
	a, weights, bias := normal(random, rows*in), normal(random, out*in), normal(random, out)
	for _, bias := range [][]float32{nil, bias} {
		p := Pack(weights, out, in, bias)
		dst := guarded(rows * out)
		p.Mul(dst, a, rows)
		for i := range rows {
			for j := range out {
				want, size := 0.0, 0.0
				if bias != nil {
					want = float64(bias[j])
					size = math.Abs(want)
				}
				for k := range in {
					product := float64(a[i*in+k]) * float64(weights[j*in+k])
					want += product
					size += math.Abs(product)
				}
				if got := float64(dst[i*out+j]); !(math.Abs(got-want) <= rounding*(1+size)) {
					t.Fatalf("%d rows, %d x %d: element %d, %d is %g, want %g", rows, out, in, i, j, got, want)
				}
			}
		}
		checkGuard(t, dst, fmt.Sprintf("%d rows, %d x %d", rows, out, in))
	}
}

// rounding bounds the error of a sum relative to the sum of its terms' sizes.
const rounding = 1e-6

// A row of a product is the same whichever rows are beside it, and a column whichever columns: a batch gives what its
// texts give one by one.
func TestAnElementDependsOnItsRowAndColumnAlone(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		const rows, out, in = 29, 70, 1100
		a, weights, bias := normal(random, rows*in), normal(random, out*in), normal(random, out)
		all := make([]float32, rows*out)
		Pack(weights, out, in, bias).Mul(all, a, rows)
		for n := 1; n <= rows; n++ {
			some := make([]float32, n*out)
			Pack(weights, out, in, bias).Mul(some, a[(rows-n)*in:], n)
			require.Equal(t, all[(rows-n)*out:], some, "%d rows", n)
		}
		for j := range out {
			column := make([]float32, rows)
			Pack(weights[j*in:], 1, in, bias[j:]).Mul(column, a, rows)
			for i, got := range column {
				require.Equal(t, all[i*out+j], got, "column %d", j)
			}
		}
	})
}

func TestStridesReadAndWriteOnlyTheirOwnColumns(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(5, 6))
		for _, rows := range []int{1, 2, 5, 7, 12, 13, 40} {
			const out, in, lda, ldd, ldw = 21, 19, 50, 33, 41
			a, weights := normal(random, rows*lda), normal(random, out*ldw)
			var p Packed
			p.Load(weights, ldw, out, in)
			want := make([]float32, rows*out)
			p.Mul(want, compact(a, rows, in, lda), rows)

			dst := make([]float32, rows*ldd)
			p.MulStrided(dst, ldd, a, lda, rows)
			require.Equal(t, want, compact(dst, rows, out, ldd))
			for r := range rows {
				require.Equal(t, make([]float32, ldd-out), dst[r*ldd+out:][:ldd-out], "right of row %d", r)
			}
			// The last rows end with their slices.
			short := make([]float32, (rows-1)*ldd+out)
			p.MulStrided(short, ldd, a[:(rows-1)*lda+in], lda, rows)
			require.Equal(t, dst[:len(short)], short)
		}
	})
}

func TestATransposedMatrixPacksAsItsTranspose(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 8))
		for _, s := range [][2]int{{32, 12}, {64, 128}, {5, 7}, {33, 1}, {1, 33}, {16, 16}, {24, 9}} {
			out, in, ld := s[0], s[1], s[0]+3
			values := normal(random, in*ld)
			weights := make([]float32, out*in)
			for i := range in {
				for j := range out {
					weights[j*in+i] = values[i*ld+j]
				}
			}
			a := normal(random, 3*in)
			want, got := make([]float32, 3*out), make([]float32, 3*out)
			Pack(weights, out, in, nil).Mul(want, a, 3)
			var p Packed
			p.LoadTransposed(values[:(in-1)*ld+out], ld, out, in)
			p.Mul(got, a, 3)
			require.Equal(t, want, got, "%d x %d", out, in)
		}
	})
}

func TestLoadLeavesNothingOfWhatWasThere(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(9, 10))
		p := Pack(normal(random, 60*50), 60, 50, normal(random, 60))
		for _, s := range [][2]int{{60, 50}, {7, 9}, {33, 20}, {1, 1}} {
			weights, a := normal(random, s[0]*s[1]), normal(random, s[1])
			want, got := make([]float32, s[0]), make([]float32, s[0])
			Pack(weights, s[0], s[1], nil).Mul(want, a, 1)
			p.Load(weights, s[1], s[0], s[1])
			p.Mul(got, a, 1)
			require.Equal(t, want, got)
		}
	})
}

func TestNoInputsLeaveTheBias(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		dst := []float32{9, 9, 9, 9}
		Pack(nil, 2, 0, []float32{1, 2}).Mul(dst, nil, 2)
		require.Equal(t, []float32{1, 2, 1, 2}, dst)
		Pack(nil, 0, 3, nil).Mul(nil, []float32{1, 2, 3}, 1)
		Pack([]float32{1}, 1, 1, nil).Mul(nil, nil, 0)
	})
}

func TestProductsAllocateNothing(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(11, 12))
		weights, a, dst := normal(random, 37*20), normal(random, 14*20), make([]float32, 14*37)
		p := Pack(weights, 37, 20, nil)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			p.Load(weights, 20, 37, 20)
			p.Mul(dst, a, 14)
			Softmax(dst[:37])
			LayerNorm(a[:20], a[:20], nil, weights[:20], nil, 1e-5)
		}))
	})
}

func TestGoroutinesMayShareWeights(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(13, 14))
		const rows, out, in = 9, 45, 31
		p, a := Pack(normal(random, out*in), out, in, nil), normal(random, rows*in)
		want := make([]float32, rows*out)
		p.Mul(want, a, rows)
		var wg sync.WaitGroup
		results := make([][]float32, 8)
		for i := range results {
			wg.Go(func() {
				results[i] = make([]float32, rows*out)
				for range 20 {
					p.Mul(results[i], a, rows)
				}
			})
		}
		wg.Wait()
		for _, got := range results {
			require.Equal(t, want, got)
		}
	})
}

func TestSizes(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		p := Pack(make([]float32, 384*100), 384, 100, nil)
		require.Equal(t, 384, p.Out())
		require.Equal(t, 100, p.In())
		require.InEpsilon(t, 4*384*101, p.Bytes(), .01)
	})
}

func TestTheFastestPathIsTakenUnlessAnotherIsForced(t *testing.T) {
	require.Equal(t, Paths()[0], Active())
	require.Contains(t, Paths(), Plain)
	restore := Force(Plain)
	require.Equal(t, "plain", Active().String())
	restore()
	require.Equal(t, Paths()[0], Active())
}

func compact(m []float32, rows, columns, ld int) []float32 {
	var all []float32
	for r := range rows {
		all = append(all, m[r*ld:][:columns]...)
	}
	return all
}

// guarded returns n NaNs within a slice that has more of them behind it.
func guarded(n int) []float32 {
	s := make([]float32, n+64)
	for i := range s {
		s[i] = guard
	}
	return s[:n]
}

func guardedCopy(x []float32) []float32 {
	s := guarded(len(x))
	copy(s, x)
	return s
}

var guard = float32(math.NaN())

func checkGuard(t *testing.T, s []float32, what string) {
	t.Helper()
	for i, v := range s[len(s):cap(s)] {
		if v == v {
			t.Fatalf("%s: %g was written %d behind the end", what, v, i)
		}
	}
}

func normal(random *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(random.NormFloat64())
	}
	return s
}
