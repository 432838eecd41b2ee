// Package goroutines checks in tests that no goroutine is left behind.
package goroutines

import (
	"runtime"
	"testing"
	"time"
)

// RequireNoMore fails the test if more than before goroutines are alive after wait. It waits because a goroutine ends a
// moment after its last statement, and starts no goroutine itself, as require.Eventually would.
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
