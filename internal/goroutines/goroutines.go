// Package goroutines is for tests of code that starts goroutines and must leave none behind.
package goroutines

import (
	"runtime"
	"testing"
	"time"
)

// RequireNoMore fails the test where more than before goroutines are alive after wait: one takes a moment to go after its last
// line. It starts none itself, as require.Eventually would.
func RequireNoMore(t testing.TB, before int, wait time.Duration) {
	t.Helper()
	for range wait / time.Millisecond {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		stacks := make([]byte, 1<<20)
		t.Fatalf("%d goroutines, %d before:\n%s", now, before, stacks[:runtime.Stack(stacks, true)])
	}
}
