//go:build !libtorch

package gloo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestConnectWithoutLibTorchSaysWhatHelps(t *testing.T) {
	_, err := Connect(context.Background(), Options{Host: "localhost", Port: 29500, Size: 1})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
}
