// Package rsstest measures resident memory in tests.
package rsstest

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/rss"
)

// MB returns the resident memory of the process in MiB.
func MB(t testing.TB) float64 {
	t.Helper()
	runtime.GC()
	resident := rss.Resident()
	require.Positive(t, resident)
	return float64(resident) / (1 << 20)
}

// Growth calls f some times and returns the median of what each call added, in MiB: the allocator takes much at once now
// and then.
func Growth(t testing.TB, calls int, f func()) float64 {
	t.Helper()
	grown := make([]float64, calls)
	for i := range grown {
		before := MB(t)
		f()
		grown[i] = MB(t) - before
	}
	slices.Sort(grown)
	return grown[calls/2]
}

// threshold is what glibc calls the size of blocks that the system gets back at once when they are freed.
const threshold = "MALLOC_MMAP_THRESHOLD_"

// WithoutHoles runs the whole test again in a process of its own, in which freed blocks leave no holes between those that
// are kept: what is resident there is in use. It reports whether this is that process. In an ordinary process a network
// in bfloat16 leaves holes of up to a quarter.
func WithoutHoles(t *testing.T) bool {
	t.Helper()
	if os.Getenv(threshold) != "" {
		return true
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), threshold+"=65536")
	output, err := c.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return false
}
