package libtorch

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTwoInstallsDoNotCollide(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no locks there, and no LibTorch")
	}
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir, &recorder{})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	second := &recorder{}
	_, err = lock(ctx, dir, second)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, second.String(), "another install is running")
	unlock()
	unlock, err = lock(t.Context(), dir, &recorder{})
	require.NoError(t, err)
	unlock()
}

// TestTheLockOfAKilledInstallIsFree runs itself as the install that is killed.
func TestTheLockOfAKilledInstallIsFree(t *testing.T) {
	if dir := os.Getenv("RETORT_TEST_HOLD_LOCK"); dir != "" {
		_, err := lock(context.Background(), dir, &recorder{})
		require.NoError(t, err)
		os.Stdout.WriteString("held\n")
		time.Sleep(time.Minute)
	}
	if runtime.GOOS == "windows" {
		t.Skip("no locks there, and no LibTorch")
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestTheLockOfAKilledInstallIsFree$")
	cmd.Env = append(os.Environ(), "RETORT_TEST_HOLD_LOCK="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = lock(ctx, dir, &recorder{})
	require.ErrorIs(t, err, context.DeadlineExceeded, "the other process holds it")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	unlock, err := lock(t.Context(), dir, &recorder{})
	require.NoError(t, err)
	unlock()
}
