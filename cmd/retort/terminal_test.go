//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: what is written to the second file, the first gives.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	return master, slave
}

// onTerminal returns what a process writes to a terminal, stdout and stderr alike, and its exit code.
func onTerminal(t *testing.T, environment []string, args ...string) (string, int) {
	t.Helper()
	master, slave := terminal(t)
	p := newProcess(t, args...)
	p.Env = append(append(p.Env, "NO_COLOR=", "TERM=xterm"), environment...)
	p.Stdout, p.Stderr = slave, slave
	p.start(t)
	require.NoError(t, slave.Close())
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&shown, master) // ends with EIO when the process has closed its end
	}()
	code := p.code()
	<-read
	return shown.String(), code
}

func TestATerminalGetsColoursAndALineInPlace(t *testing.T) {
	dir := collection(t, nil)
	eval := []string{"eval", "-collection", dir, "-bm25"}
	for _, c := range []struct {
		name            string
		environment     []string
		colours, inLine bool
	}{
		{"a terminal", nil, true, true},
		{"NO_COLOR", []string{"NO_COLOR=1"}, false, true},
		{"a dumb terminal", []string{"TERM=dumb"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown, code := onTerminal(t, c.environment, "help")
			require.Equal(t, exitOK, code)
			require.Contains(t, shown, "Commands")
			require.Equal(t, c.colours, bytes.Contains([]byte(shown), []byte("\x1b[1mCommands\x1b[0m")), "%q", shown)

			shown, code = onTerminal(t, c.environment, "search")
			require.Equal(t, exitUsage, code)
			require.Equal(t, c.colours, bytes.Contains([]byte(shown), []byte("\x1b[31mretort search:\x1b[0m")), "%q", shown)

			shown, code = onTerminal(t, c.environment, eval...)
			require.Equal(t, exitOK, code)
			require.Contains(t, shown, "answer queries  3/3")
			require.Equal(t, c.inLine, bytes.Contains([]byte(shown), []byte("\ranswer queries  0/3")), "%q", shown)
			require.NotContains(t, shown, "\x1b", "%q", shown)
		})
	}
	shown, _ := onTerminal(t, nil, append(eval, "-quiet")...)
	require.NotContains(t, shown, "answer")
}
