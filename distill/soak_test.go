package distill

import (
	"os"
	"runtime"
	"testing"

	"github.com/retort-ir/retort"
	"github.com/stretchr/testify/require"
)

// The heap does not grow with the steps: 400 in every test run, 10,000 in the soak run (RETORT_SOAK=1).
func TestTrainingLeavesTheHeapFlat(t *testing.T) {
	epochs := 80
	if os.Getenv("RETORT_SOAK") != "" {
		epochs = 2000
	}
	corpus, lists := world(t)
	opts := quick()
	opts.Schedule.Epochs, opts.Selection.DevFraction = epochs, 0
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	var before, after float64
	opts.Events.Step = func(s retort.Step) {
		switch s.Step {
		case s.Steps / 10:
			before = heap()
		case s.Steps:
			after = heap()
		}
	}
	result, err := Train(t.Context(), newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, epochs*5, result.Steps)
	require.Less(t, after, before+1, "MiB of heap after a tenth of the steps and after all")
}
