package report

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
)

func TestNumbersAreWrittenAsPapersWriteThem(t *testing.T) {
	for want, v := range map[string]float64{
		".3566": 0.35659, "1.0000": 1, ".0000": -0.00001, "−.0243": -0.0243, "10.5000": 10.5, "−10.5000": -10.5, "1.235e+06": 1234567,
	} {
		require.Equal(t, want, number(v))
	}
	require.Equal(t, "+.0345", signed(0.0345))
	require.Equal(t, "−.0345", signed(-0.0345))
	require.Equal(t, ".0000", signed(0.00001))
	for want, p := range map[string]float64{
		"< .0001": 0.00002, ".00077": 0.00077, ".0011": 0.00114, ".49": 0.49, ".99": 0.99, "1": 0.9999, ".050": 0.05,
	} {
		require.Equal(t, want, pValue(p))
	}
	for want, n := range map[string]int{"0": 0, "999": 999, "1,000": 1000, "12,345,678": 12345678, "−1,000": -1000, "−100": -100} {
		require.Equal(t, want, count(n))
	}
	for want, s := range map[string]float64{
		"0.00 s": 0, "0.42 s": 0.42, "12.3 s": 12.34, "59.9 s": 59.94, "1 min 00 s": 59.96, "3 min 20 s": 200, "1 h 00 min": 3599.6, "2 h 05 min": 7500,
		"2 h 06 min": 7530,
	} {
		require.Equal(t, want, duration(s))
	}
	for want, b := range map[string]int64{"812 B": 812, "1.4 GiB": 1 << 30 * 14 / 10, "1.0 MiB": 1<<20 - 1, "1.0 KiB": 1024} {
		require.Equal(t, want, size(b))
	}
}

func TestShortenCutsBetweenWordsAndNeverInACharacter(t *testing.T) {
	require.Equal(t, "é é", shorten(" é\n\té ", 3))
	require.Equal(t, "éé …", shorten("ééé", 2))
	require.Equal(t, "a …", shorten("a bcd", 2))
	require.Equal(t, "12345678 …", shorten("12345678 abc", 10))
	require.Equal(t, "12345 …", shorten("12345 789", 5))
	require.Equal(t, "1 3456 …", shorten("1 3456789", 6), "a long word is cut")
	require.Equal(t, "", shorten("", 2))
}

func TestTicksAreAFewRoundNumbers(t *testing.T) {
	labels := func(low, high float64) (all []string) {
		for _, tick := range ticks(low, high) {
			all = append(all, tick.Label)
		}
		return all
	}
	require.Equal(t, []string{"0", ".2", ".4", ".6", ".8", "1.0"}, labels(0, 1))
	require.Equal(t, []string{"−.2", "0", ".2", ".4", ".6"}, labels(-0.34, 0.64))
	require.Equal(t, []string{"0", "1,000", "2,000", "3,000", "4,000"}, labels(0, 4625))
	require.Equal(t, []string{".76", ".77", ".78", ".79", ".80"}, labels(0.7567, 0.8046))
	require.Equal(t, []string{"0", "100", "200", "300"}, labels(0, 372))
	require.Empty(t, labels(1, 1))
	for _, r := range [][2]float64{{-1e15, 1e15}, {1e-15, 2e-15}, {1e15 - 1, 1e15}, {0, 1e-300}, {-1e-6, 1e15}, {0.1, 0.1 + 1e-15}} {
		require.LessOrEqual(t, len(ticks(r[0], r[1])), 12, "%v", r)
		for _, tick := range ticks(r[0], r[1]) {
			require.True(t, tick.Value >= r[0]-(r[1]-r[0])/10 && tick.Value <= r[1]+(r[1]-r[0])/10, "%v: %v", r, tick)
		}
	}
}

func TestAPanicOfThePlotterIsAnError(t *testing.T) {
	p := newPlot("x", "y")
	p.X.Tick.Marker = plot.TickerFunc(func(float64, float64) []plot.Tick { panic("cannot") })
	_, err := svg(p, 100, "title", "description")
	require.EqualError(t, err, `chart "title": cannot`)
}
