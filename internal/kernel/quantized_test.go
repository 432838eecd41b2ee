package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/half"
)

func TestWidenedHalvesAreExact(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		x := make([]uint16, 1<<16)
		for i := range x {
			x[i] = uint16(i)
		}
		for n := range 40 {
			got := guarded(n)
			Widen(got, x[0x3c00:][:n])
			for i := range n {
				require.Equal(t, half.Float32(x[0x3c00+i]), got[i])
			}
			checkGuard(t, got, "widen")
		}
		got := make([]float32, len(x))
		Widen(got, x)
		for i, h := range x {
			want := half.Float32(h)
			if want != want {
				require.True(t, got[i] != got[i], "%#04x", h)
				continue
			}
			require.Equal(t, math.Float32bits(want), math.Float32bits(got[i]), "%#04x", h)
		}
	})
}

func TestDotsOfInt8AreThoseOfWholeNumbers(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for d := range 130 {
			row, queries := make([]int8, d), make([]int16, 4*d)
			for i := range row {
				row[i] = int8(random.IntN(256) - 128)
			}
			for i := range queries {
				queries[i] = int16(random.IntN(1<<16) - 1<<15)
			}
			if d > 0 {
				row[0], queries[0] = -128, -1<<15
			}
			var want [4]int64
			for q := range want {
				for i, v := range row {
					want[q] += int64(v) * int64(queries[q*d+i])
				}
			}
			var got [4]int32
			DotsInt8(&got, row, queries)
			for q := range want {
				require.Equal(t, want[q], int64(got[q]), "query %d, %d numbers", q, d)
			}
		}
	})
}

func TestHammingCountsTheBitsThatDiffer(t *testing.T) {
	require.Zero(t, Hamming(nil, nil))
	require.Equal(t, 64+3, Hamming([]uint64{0, 7, 5}, []uint64{math.MaxUint64, 0, 5}))
}

func BenchmarkQuantized(b *testing.B) {
	const d = 384
	onEachPathOf(b, func(b *testing.B) {
		dst, halves := make([]float32, d), make([]uint16, d)
		row, queries := make([]int8, d), make([]int16, 4*d)
		signs := make([]uint64, d/64)
		var dots [4]int32
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"widen", func() { Widen(dst, halves) }},
			{"4 dots of int8", func() { DotsInt8(&dots, row, queries) }},
			{"hamming", func() { Hamming(signs, signs) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, d), func(b *testing.B) {
				for b.Loop() {
					c.f()
				}
			})
		}
	})
}
