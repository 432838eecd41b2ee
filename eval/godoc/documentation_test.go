package godoc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestQueriesAreJudgedAgainstTheCorpusInHand(t *testing.T) {
	d, err := load(t.Context(), smallGOROOT)
	require.NoError(t, err)
	require.Equal(t, "go1.99.1", d.Version)
	require.Equal(t, 21, d.Corpus.Len())
	examples, err := d.Examples(t.Context())
	require.NoError(t, err)
	require.Len(t, examples.Queries, 5)
	require.Same(t, d.Corpus, examples.Corpus)

	d.Corpus, err = retort.NewCorpus([]retort.Passage{{ID: "box.Pack", Text: "x"}, {ID: "io.EOF", Text: "x"}})
	require.NoError(t, err)
	examples, err = d.Examples(t.Context())
	require.NoError(t, err)
	require.Equal(t, []retort.Query{{ID: "box.ExamplePack", Text: "send two books to a friend. It prints nothing."}},
		examples.Queries)
	for _, split := range []string{"dev", "test"} {
		written, err := d.Written(split)
		require.NoError(t, err)
		require.Len(t, written.Qrels, len(written.Queries))
		for _, gains := range written.Qrels {
			require.Contains(t, gains, "io.EOF")
		}
	}
	_, err = d.Written("train")
	require.ErrorContains(t, err, `"train"`)
}
