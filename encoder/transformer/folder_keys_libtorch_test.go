//go:build libtorch

package transformer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

// requireVectors compares the rows of a folder's model with those wanted, end to end.
func requireVectors(t *testing.T, dir, role string, texts []string, want []float32) {
	m := openModel(t, dir, Options{Threads: 1})
	r := encoder.Query
	if role == encoder.Passage.String() {
		r = encoder.Passage
	}
	got := encode(t, m, r, texts)
	require.Equal(t, len(want), len(got.Data))
	for i := range want {
		require.InDelta(t, want[i], got.Data[i], 1e-5, "%s %d, value %d", role, i/got.Cols, i%got.Cols)
	}
}
