//go:build !libtorch

package main

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder/transformer"
)

// Without LibTorch a real model answers, and says what would train it.
func TestAPlainBuildAnswersAndDoesNotTrain(t *testing.T) {
	tiny := filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny")
	f := start(t, t.TempDir(), tiny, func(o *settings) {
		o.Open = func(ctx context.Context, dir string, _ bool) (model, error) {
			return transformer.Open(ctx, dir, transformer.Options{})
		}
	})
	_, err := f.ask("opens the valve", 3)
	require.NoError(t, err)
	status, text := f.post(t)
	require.Equal(t, http.StatusNotImplemented, status)
	require.Contains(t, text, "run the service with -specialise, built with LibTorch")

	o := f.settings
	o.Every = 10
	o.Dir = t.TempDir()
	_, err = openService(t.Context(), f.corpus, o)
	require.ErrorContains(t, err, "-every 10")
}
