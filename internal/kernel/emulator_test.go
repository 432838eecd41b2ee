package kernel

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// Debian's package qemu-user has the emulator.
func TestNEONPassesTheTestsInAnEmulator(t *testing.T) {
	emulator, err := exec.LookPath("qemu-aarch64")
	if err != nil || runtime.GOARCH == "arm64" {
		t.Skip("no qemu-aarch64, or not needed")
	}
	c := exec.Command("go", "test", "-exec", emulator, ".")
	c.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
