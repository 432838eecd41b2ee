//go:build !libtorch

package torch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestOpenWithoutLibTorchNamesTheCommandThatHelps(t *testing.T) {
	_, err := Open(Options{})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
	require.ErrorContains(t, err, "retort libtorch install")
}
