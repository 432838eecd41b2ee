//go:build !libtorch

package torch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/nolibtorch"
)

func TestOpenWithoutLibTorchNamesTheCommandThatHelps(t *testing.T) {
	_, err := Open(Options{})
	require.ErrorIs(t, err, nolibtorch.Err)
	require.ErrorContains(t, err, "retort libtorch install")
}
