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
		require.Equal(t, want, valueOf([]byte(status), "VmHWM:"))
	}
}

func TestAnonymousMemoryOfAStatus(t *testing.T) {
	require.EqualValues(t, 10500<<10, valueOf([]byte("Name:\tx\nVmHWM:\t 9 kB\nRssAnon:\t   10500 kB\n"), "RssAnon:"))
	require.Zero(t, valueOf([]byte("RssAnon:\tmuch\n"), "RssAnon:"))
	require.Zero(t, valueOf(nil, "RssAnon:"))
}
