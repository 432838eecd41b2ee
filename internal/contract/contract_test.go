package contract

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunNamesEachViolation(t *testing.T) {
	var dir string
	cleaned := 0
	err := Run(t.Context(), "rule", func(c *T) {
		dir = c.TempDir()
		c.Cleanup(func() { cleaned++ })
		c.Cleanup(func() { c.NoError(errors.New("does not close"), "closing") })
		c.Errorf("one of %d", 2)
		c.Equal(1, 2, "row %d", 3)
		t.Error("a check goes on after a violation")
	})
	require.Equal(t, 1, cleaned)
	require.NoDirExists(t, dir)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, "rule: one of 2", lines[0])
	require.Contains(t, lines[1], "rule: row 3: got 2, want 1 (contract_test.go:")
	require.Contains(t, lines[2], "rule: closing: error does not close (contract_test.go:")
}

func TestWhatHoldsIsNoError(t *testing.T) {
	require.NoError(t, Run(t.Context(), "rule", func(c *T) {
		c.True(true)
		c.NoError(nil)
		c.Error(os.ErrExist)
		c.ErrorIs(os.ErrExist, os.ErrExist)
		c.ErrorContains(os.ErrExist, "exists")
		c.Equal([]int{1}, []int{1})
		c.NotEqual(1, 2)
		c.InDelta(1, 1.5, 0.5)
		c.InEpsilon(2, 2.2, 0.11)
		c.InDeltas([]float32{1}, []float32{1.5}, 0.5)
		c.Skip()
		t.Error("a check goes on after Skip")
	}))
}

func TestEachCheckFindsItsViolation(t *testing.T) {
	nan := float32(0)
	nan /= nan
	for name, check := range map[string]func(*T){
		"true":     func(c *T) { c.True(false) },
		"no error": func(c *T) { c.NoError(os.ErrExist) },
		"error":    func(c *T) { c.Error(nil) },
		"is":       func(c *T) { c.ErrorIs(os.ErrExist, context.Canceled) },
		"contains": func(c *T) { c.ErrorContains(nil, "") },
		"equal":    func(c *T) { c.Equal(1, int64(1)) },
		"unequal":  func(c *T) { c.NotEqual(1, 1) },
		"delta":    func(c *T) { c.InDelta(1, float64(nan), 9) },
		"epsilon":  func(c *T) { c.InEpsilon(1, 2, 0.5) },
		"deltas":   func(c *T) { c.InDeltas([]float32{1, 2}, []float32{1, nan}, 9) },
		"length":   func(c *T) { c.InDeltas([]float32{1}, nil, 9) },
		"panic":    func(*T) { panic("at once") },
	} {
		require.Error(t, Run(t.Context(), "rule", check), name)
	}
}

// A program can run the contract tests too, without the flags of package testing.
func TestThePublicTestPackagesImportNoTestingPackage(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool to list the imports with")
	}
	out, err := exec.Command(tool, "list", "-deps", "../../encoder/encodertest", "../../loss/losstest").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, "github.com/retort-ir/retort/internal/contract")
	require.NotContains(t, deps, "testing")
	for _, d := range deps {
		require.NotContains(t, d, "testify")
	}
}
