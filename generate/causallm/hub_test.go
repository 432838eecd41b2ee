package causallm

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/hub/hubtest"
)

// Without LibTorch the files are downloaded and read all the same.
func TestAModelIsOpenedByItsNameOnTheHub(t *testing.T) {
	h := hubtest.New(t, map[string]*hubtest.Repository{"org/llama3-sharded": hubtest.Folder(t, "testdata/llama3-sharded")})
	model, err := Open(t.Context(), "org/llama3-sharded", Options{})
	if !errors.Is(err, retort.ErrNoLibTorch) {
		require.NoError(t, err)
		require.NoError(t, model.Close())
	}
	require.Len(t, h.Large.Requests(), 4)
	h.Repositories["org/gguf"] = &hubtest.Repository{Commit: hubtest.Commit, Files: map[string]string{"m.gguf": "no GGUF"}}
	_, err = Open(t.Context(), "org/gguf:m.gguf", Options{})
	require.ErrorContains(t, err, "m.gguf")
	require.Len(t, h.Large.Requests(), 5)
	_, err = Open(t.Context(), "org/other", Options{})
	require.ErrorContains(t, err, "org/other: not a path here; on the Hugging Face hub: no such repository")
}
