//go:build !libtorch

package causallm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestOpenWithoutLibTorchReadsTheFilesAndThenSaysWhatHelps(t *testing.T) {
	_, err := Open(t.Context(), "testdata/llama-tied", Options{})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
	_, err = Open(t.Context(), "testdata/none", Options{})
	require.ErrorContains(t, err, "testdata/none")
}
