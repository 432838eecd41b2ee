package encodernet

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/jsonfile"
)

func TestAModelTypeThatIsNotAskedForIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), ConfigFile)
	require.NoError(t, jsonfile.Write(path, map[string]any{"model_type": "roberta"}))
	_, err := ReadConfig(path, "bert")
	require.ErrorContains(t, err, `config.json: model_type is "roberta"; only bert is supported`)
	_, err = ReadConfig(path, "bert", "xlm-roberta")
	require.ErrorContains(t, err, "only bert, xlm-roberta are supported")
	_, err = ReadConfig(path, "roberta")
	require.ErrorContains(t, err, "no hidden_size")
}

func TestSegmentsBeginWhereTheSecondTextDoes(t *testing.T) {
	b := NewBatch([][]int32{{2, 7, 3, 8, 3}, {2, 3, 3}}, 0).WithSegments([]int{3, 2})
	require.Equal(t, []int64{2, 7, 3, 8, 3, 2, 3, 3, 0, 0}, b.ids)
	require.Equal(t, []int64{0, 0, 0, 1, 1, 0, 0, 1, 0, 0}, b.segments, "padding counts as the first")
	require.True(t, b.padded())
}
