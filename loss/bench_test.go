package loss_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
)

// bigRow is one query of the paper's step: 4,096 lists of 20.
func bigRow(columns, list int) (loss.Row, []float32) {
	rng := rand.New(rand.NewPCG(5, 6))
	r := loss.Row{ID: "q", Count: make([]float32, columns)}
	sim := make([]float32, columns)
	for i := range sim {
		sim[i] = float32(0.6 + 0.05*rng.NormFloat64())
		r.Count[i] = 1 + float32(i%3)
	}
	for i := range list {
		r.List = append(r.List, int32(i*(columns/list)))
		r.Teacher = append(r.Teacher, 1-float64(i)/float64(list))
	}
	return r, sim
}

func BenchmarkRow(b *testing.B) {
	for _, bench := range []struct {
		name          string
		loss          loss.Loss
		columns, list int
	}{
		{"InfoNCE", loss.InfoNCE{MaskRatio: 0.6}, 81_920, 20},
		{"ListwiseKL", loss.ListwiseKL{}, 81_920, 20},
		{"ListwiseKL", loss.ListwiseKL{}, 81_920, 100},
		{"MarginMSE", loss.MarginMSE{}, 81_920, 20},
		{"Paper", loss.Paper(), 81_920, 20},
	} {
		b.Run(fmt.Sprintf("%s/columns=%d/list=%d", bench.name, bench.columns, bench.list), func(b *testing.B) {
			r, sim := bigRow(bench.columns, bench.list)
			grad := make([]float32, len(sim))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.loss.Row(&r, sim, grad, 1e-9); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestLossesAllocateNothingOnceWarm(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector a sync.Pool drops what it holds at random")
	}
	r, sim := bigRow(1000, 20)
	grad := make([]float32, len(sim))
	for _, l := range []loss.Loss{loss.InfoNCE{MaskRatio: 0.6}, loss.ListwiseKL{}, loss.MarginMSE{}, loss.Paper()} {
		allocs := testing.AllocsPerRun(100, func() {
			_, err := l.Row(&r, sim, grad, 1)
			if err != nil {
				t.Error(err)
			}
		})
		require.Zero(t, allocs, "%T", l)
	}
}
