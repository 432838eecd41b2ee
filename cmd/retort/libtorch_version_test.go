//go:build libtorch

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionNamesTheLibTorchThatIsLoaded(t *testing.T) {
	require.Regexp(t, `\nLibTorch \d+\.\d+\.\d+\n$`, succeed(t, "version"))
}
