package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/examples/godoc"
)

func TestTheFolderHoldsTheWrittenQueriesOfBothHalves(t *testing.T) {
	root, err := godoc.GOROOT(t.Context())
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, write(t.Context(), root, dir))
	for _, split := range []godoc.Split{godoc.Dev, godoc.Test} {
		c, err := eval.LoadCollection(dir, string(split))
		require.NoError(t, err)
		want, err := godoc.WrittenQueries(split, c.Corpus)
		require.NoError(t, err)
		require.Equal(t, eval.Qrels(want.Qrels), c.Qrels)
		require.Len(t, c.Queries, len(want.Queries))
		require.Greater(t, c.Corpus.Len(), 7000)
	}
}
