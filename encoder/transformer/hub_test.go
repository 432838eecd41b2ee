package transformer

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/hub/hubtest"
)

// Without LibTorch the files are downloaded and read all the same.
func TestAModelIsOpenedByItsNameOnTheHub(t *testing.T) {
	h := hubtest.New(t, map[string]*hubtest.Repository{"org/tiny": hubtest.Folder(t, "testdata/tiny")})
	model, err := Open(t.Context(), "org/tiny", Options{})
	if !errors.Is(err, retort.ErrNoLibTorch) {
		require.NoError(t, err)
		require.NoError(t, model.Close())
	}
	require.Len(t, h.Large.Requests(), 1)
	_, err = Open(t.Context(), "org/other", Options{})
	require.ErrorContains(t, err, "org/other: not a path here; on the Hugging Face hub: no such repository")
}
