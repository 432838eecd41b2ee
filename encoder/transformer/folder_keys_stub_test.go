//go:build !libtorch

package transformer

import "testing"

// requireVectors needs LibTorch: without it the folder is read, and no more.
func requireVectors(*testing.T, string, string, []string, []float32) {}
