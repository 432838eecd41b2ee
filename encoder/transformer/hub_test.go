package transformer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/hub/hubtest"
)

func TestAModelIsOpenedByItsNameOnTheHub(t *testing.T) {
	h := hubtest.New(t, map[string]*hubtest.Repository{"org/tiny": hubtest.Folder(t, "testdata/tiny")})
	openModel(t, "org/tiny", Options{})
	require.Len(t, h.Large.Requests(), 1)
	_, err := Open(t.Context(), "org/other", Options{})
	require.ErrorContains(t, err, "org/other: not a path here; on the Hugging Face hub: no such repository")
}
