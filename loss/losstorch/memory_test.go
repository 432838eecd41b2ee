//go:build libtorch && linux

package losstorch

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
)

// 256 queries x 60,000 passages are 59 MiB of similarities, and 234 MiB with all that has their shape. The vectors,
// twice (on the host and for LibTorch), and their gradients are small.
func TestSimilaritiesStayWithinTheBudget(t *testing.T) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skip("the peak of memory cannot be reset here:", err)
	}
	const n, m, d = 256, 60_000, 4
	rng := rand.New(rand.NewPCG(13, 14))
	s := randomStep(rng, n, m, d, noCounts)
	peak := func(budget int64) float64 {
		l := open(t, loss.Paper(), Options{Budget: budget})
		small := s
		small.rows, small.q.Rows, small.dq.Rows = s.rows[:1], 1, 1
		_, err := l.Step(t.Context(), small.rows, small.q, small.p, small.dq, small.dp) // what is made once
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
		before := statusMiB(t, "VmHWM:")
		_, err = l.Step(t.Context(), s.rows, s.q, s.p, s.dq, s.dp)
		require.NoError(t, err)
		return statusMiB(t, "VmHWM:") - before
	}
	require.Less(t, peak(16<<20), 64.0, "MiB more with a budget of 16")
	require.Greater(t, peak(1<<30), 200.0, "MiB more with room for all: else this test measures nothing")
}

func statusMiB(t *testing.T, key string) float64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(status), key)
	require.True(t, ok)
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return float64(kb) / 1024
}
