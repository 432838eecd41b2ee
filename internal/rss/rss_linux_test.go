package rss

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPeakRisesWithWhatIsTouched(t *testing.T) {
	const size = 64 << 20
	before := Peak()
	require.Positive(t, before)
	touched := make([]byte, before+size)
	for i := 0; i < len(touched); i += 4096 {
		touched[i] = 1
	}
	require.GreaterOrEqual(t, Peak(), before+size)
	require.EqualValues(t, 1, touched[0])
}

func TestPeakOfAStatus(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tretort\nVmHWM:\t   10500 kB\nVmRSS:\t 9 kB\n": 10500 << 10,
		"Name:\tretort\n": 0,
		"VmHWM:\tmuch\n":  0,
	} {
		require.Equal(t, want, peakOf([]byte(status)))
	}
}
