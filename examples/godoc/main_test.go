package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/eval/godoc"
)

func TestTheFolderHoldsTheWrittenQueriesOfBothHalves(t *testing.T) {
	documentation, err := godoc.Load(t.Context())
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, write(t.Context(), dir))
	for _, split := range []string{"dev", "test"} {
		got, err := eval.LoadCollection(dir, split)
		require.NoError(t, err)
		want, err := documentation.Written(split)
		require.NoError(t, err)
		require.Equal(t, want.Qrels, got.Qrels)
		require.Len(t, got.Queries, len(want.Queries))
		require.Greater(t, got.Corpus.Len(), 7000)
	}
}
