//go:build libtorch

package gloo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Neither the store nor a worker's connections have a password, so nobody beyond this machine may reach them where the
// group is on this machine.
func TestAGroupOnThisMachineListensOnLoopbackOnly(t *testing.T) {
	j := job{Dir: t.TempDir(), Epochs: 50, LR: 1e-3, Pause: 5 * time.Millisecond}
	workers := startWorkers(t, j, j)
	workers[0].waitFor(t, 2)
	for r, w := range workers {
		addresses := listening(t, w.Process.Pid)
		require.NotEmpty(t, addresses, "worker %d", r)
		for _, a := range addresses {
			// 127.0.0.1, as the kernel writes it
			require.True(t, strings.HasPrefix(a, "0100007F:"), "worker %d listens on %s", r, a)
		}
	}
	require.NoError(t, workers[0].Process.Kill())
	for _, w := range workers {
		w.end()
	}
}

// listening returns the addresses on which a process accepts connections.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	const listen = "0A"
	var sockets []string
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil {
			sockets = append(sockets, link)
		}
	}
	var found []string
	for _, name := range []string{"tcp", "tcp6"} {
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		require.NoError(t, err)
		for line := range strings.Lines(string(table)) {
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == listen && slices.Contains(sockets, "socket:["+fields[9]+"]") {
				found = append(found, fields[1])
			}
		}
	}
	return found
}
