//go:build libtorch

package main

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
)

var tiny = filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny")

func openTiny(ctx context.Context, dir string) (model, error) {
	m, err := transformer.Open(ctx, dir, transformer.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// The same as on the in-memory encoder, on LibTorch: a real BERT, though a tiny one with random weights.
func TestNoSearchFailsWhileABERTIsSwapped(t *testing.T) {
	z := &zoo{open: openTiny}
	f := start(t, t.TempDir(), tiny, func(o *settings) {
		o.Open = z.Open
		o.Tune = func(r *pipeline.Recipe) { // it has nothing to be better at
			tuned(200, 1e-3, 2)(r)
			r.KeepLast = true
		}
	})
	f.zoo = z
	searchThroughASwap(t, f)
}

func TestNoFolderIsNoModel(t *testing.T) {
	err := run(t.Context(), []string{"-model", filepath.Join(t.TempDir(), "none"), "-dir", t.TempDir()}, io.Discard)
	require.ErrorContains(t, err, "none")
}
