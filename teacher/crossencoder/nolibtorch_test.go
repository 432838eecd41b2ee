//go:build !libtorch

package crossencoder

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestWithoutLibTorchWhatNeedsItSaysWhatHelps(t *testing.T) {
	for name, o := range map[string]Options{"a GPU": {Device: "cuda"}, "bf16": {Precision: "bf16"}} {
		_, err := Open(t.Context(), "testdata/bert", o)
		require.ErrorIs(t, err, retort.ErrNoLibTorch, name)
	}
}
