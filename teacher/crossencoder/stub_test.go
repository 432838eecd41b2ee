//go:build !libtorch

package crossencoder

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestOpenWithoutLibTorchReadsTheFolderAndThenSaysWhatHelps(t *testing.T) {
	_, err := Open(t.Context(), "testdata/bert", Options{})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
}
