//go:build libtorch && linux

package transformer

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/torch"
)

const memoryVariable = "RETORT_TEST_MEMORY"

// The process of the test itself must not run out of memory.
func TestTooLittleMemoryIsAnErrorThatSaysWhatToDo(t *testing.T) {
	what := os.Getenv(memoryVariable)
	if what != "" {
		withLittleMemory(t, what)
		return
	}
	// Backward is not among them: how much it needs beside what its graph holds depends on the machine.
	for _, what := range []string{"encode", "forward"} {
		t.Run(what, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$")
			cmd.Env = append(os.Environ(), memoryVariable+"="+what)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
}

func withLittleMemory(t *testing.T, what string) {
	m := openModel(t, "testdata/tiny", Options{BatchTokens: math.MaxInt, PassageTokens: 64, Threads: 2})
	texts := make([]string, 20_000)
	for i := range texts {
		texts[i] = strings.Repeat("read a file ", 20)
	}
	in, err := m.Prepare(t.Context(), encoder.Passage, texts)
	require.NoError(t, err)
	require.Equal(t, 64, in.Tokens(0))
	_ = encode(t, m, encoder.Passage, texts[:200]) // starts LibTorch's threads
	_ = encode(t, m, encoder.Passage, texts[:1])
	held := make([]byte, 256<<20) // room for Go's own heap, which ends the program where it gets no memory
	held[0] = 1
	held = nil
	runtime.GC() // else Go asks for new memory until its next collection

	unlimited := limitMemory(t, 160<<20) // Go may want an arena and some threads
	switch what {
	case "encode":
		_, err = m.Encode(context.Background(), encoder.Passage, texts)
	case "forward":
		_, err = m.Forward(context.Background(), in, span(0, len(texts)), true)
	}
	unlimited()
	require.ErrorIs(t, err, torch.ErrMemory)
	require.ErrorContains(t, err,
		fmt.Sprintf("a micro-batch of %d texts, %d tokens with padding", len(texts), 64*len(texts)))
	require.ErrorContains(t, err, "Options.BatchTokens")
	require.NotContains(t, err.Error(), "frame #")
	_ = encode(t, m, encoder.Query, texts[:300]) // the model serves on
}

// limitMemory bounds the process's address space to what it has and some room, until the function that it returns is
// called.
func limitMemory(t *testing.T, room uint64) (unlimited func()) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, size, found := strings.Cut(string(status), "VmSize:")
	require.True(t, found)
	var kb uint64
	_, err = fmt.Sscan(size, &kb)
	require.NoError(t, err)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_AS, &before))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: kb<<10 + room, Max: before.Max}))
	return func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &before)) }
}
