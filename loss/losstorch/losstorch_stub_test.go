//go:build !libtorch

package losstorch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/loss"
)

func TestNewWithoutLibTorchLooksAtItsArgumentsAndThenSaysWhatHelps(t *testing.T) {
	_, err := New(loss.Paper(), Options{})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
	_, err = New(loss.InfoNCE{Temperature: -1}, Options{})
	require.ErrorContains(t, err, "InfoNCE.Temperature is -1")
}
