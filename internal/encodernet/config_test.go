package encodernet

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/jsonfile"
)

func TestAModelTypeThatIsNotSupportedIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), ConfigFile)
	require.NoError(t, jsonfile.Write(path, map[string]any{"model_type": "deberta-v2"}))
	_, err := ReadConfig(path)
	require.ErrorContains(t, err, `config.json: model_type is "deberta-v2"; supported are bert (MiniLM, `)
	require.ErrorContains(t, err, "; mpnet (all-mpnet-base-v2, ")
	require.NoError(t, jsonfile.Write(path, map[string]any{"model_type": "roberta"}))
	_, err = ReadConfig(path)
	require.ErrorContains(t, err, "no hidden_size")
}

func TestSegmentsBeginWhereTheSecondTextDoes(t *testing.T) {
	b := NewBatch([][]int32{{2, 7, 3, 8, 3}, {2, 3, 3}}, 0).WithSegments([]int{3, 2})
	require.Equal(t, []int64{2, 7, 3, 8, 3, 2, 3, 3, 0, 0}, b.ids)
	require.Equal(t, []int64{0, 0, 0, 1, 1, 0, 0, 1, 0, 0}, b.segments, "padding counts as the first")
	require.True(t, b.padded())
}
