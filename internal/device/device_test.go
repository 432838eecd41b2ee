package device

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseReadsTheNamesOfPyTorch(t *testing.T) {
	for name, want := range map[string]int{"": CPU, "cpu": CPU, "cuda": 0, "cuda:0": 0, "cuda:1": 1, "cuda:12": 12} {
		got, err := Parse(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{
		"CPU", "cpu:0", "gpu", "1", "cuda:", "cuda:-1", "cuda:+1", "cuda:01", "cuda:1 ", "cuda:99999999999999999999", "mps",
		"cuda1",
	} {
		_, err := Parse(name)
		require.ErrorContains(t, err, "device \""+name+"\" is not supported; supported are cpu, cuda", name)
	}
}
