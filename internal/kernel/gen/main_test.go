package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheGeneratedFilesAreCurrent(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile("../" + name)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is not what the generator writes: run go generate", name)
	}
}
