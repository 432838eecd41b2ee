//go:build !libtorch

package transformer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestOpenWithoutLibTorchReadsTheFolderAndThenSaysWhatHelps(t *testing.T) {
	_, err := Open(t.Context(), "testdata/tiny", Options{})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
	_, err = Open(t.Context(), "testdata/none", Options{})
	require.ErrorContains(t, err, "testdata/none")
}
