package causallm

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSamplerDrawsByProbability(t *testing.T) {
	logits := []float32{1, 3, 2, -200, 0, 3.5}
	for _, c := range []struct {
		name              string
		temperature, topP float64
		kept              []int
	}{
		{"all", 1, 1, []int{0, 1, 2, 4, 5}},
		{"hot", 3, 1, []int{0, 1, 2, 4, 5}},
		{"nucleus", 1, .8, []int{1, 5}},
		{"nucleus of one", .2, .5, []int{5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := make([]float64, len(logits))
			total := 0.0
			for _, i := range c.kept {
				want[i] = math.Exp(float64(logits[i]) / c.temperature)
				total += want[i]
			}
			const n = 40000
			got := make([]float64, len(logits))
			s := newSampler(7, c.temperature, c.topP)
			for range n {
				id, err := s.next(logits)
				require.NoError(t, err)
				got[id] += 1. / n
			}
			for i := range want {
				p := want[i] / total
				require.InDelta(t, p, got[i], 1e-9+5*math.Sqrt(p*(1-p)/n), "token %d", i)
			}
		})
	}
}

func TestSamplerIsItsSeeds(t *testing.T) {
	logits := make([]float32, 1000)
	draw := func(seed uint64) (ids []int32) {
		s := newSampler(seed, .8, 1)
		for range 20 {
			id, err := s.next(logits)
			require.NoError(t, err)
			ids = append(ids, id)
		}
		return ids
	}
	require.Equal(t, draw(1), draw(1))
	require.NotEqual(t, draw(1), draw(2))
	// A shift of all logits, and rounding, change nothing.
	want := draw(3)
	for i := range logits {
		logits[i] += 5 + float32(i%3)*1e-6
	}
	require.Equal(t, want, draw(3))
}

func TestSamplerWithoutTemperatureTakesTheFirstOfTheBest(t *testing.T) {
	id, err := newSampler(1, 0, 1).next([]float32{1, 4, 4, 2})
	require.NoError(t, err)
	require.EqualValues(t, 1, id)
}

func TestSamplerRefusesLogitsThatAreNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, logits := range [][]float32{{1, nan}, {nan, 1}, {1, inf}, {-inf, -inf}} {
		_, err := newSampler(1, 1, 1).next(logits)
		require.ErrorIs(t, err, errNotFinite)
	}
}

func TestFirstStopLooksAcrossTokens(t *testing.T) {
	for _, c := range []struct {
		text   string
		before int
		want   int
	}{
		{"abcd", 3, -1},
		{"ab\ncd", 2, 2},
		{"ab\ncd", 3, -1}, // it was found before
		{"ab##cd", 3, 2},
		{"##\n", 1, 0},
		{"\n##", 0, 0},
	} {
		require.Equal(t, c.want, firstStop([]byte(c.text), c.before, [][]byte{[]byte("##"), []byte("\n")}), c.text)
	}
}
