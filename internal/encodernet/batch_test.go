package encodernet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMicroBatchesOnAProcessorGrowWithItsThreads(t *testing.T) {
	for _, test := range []struct {
		threads int
		onCPU   bool
		want    int
	}{
		{1, true, 512}, {2, true, 512}, {8, true, 2048}, {64, true, 4096}, {2, false, 4096},
	} {
		require.Equal(t, test.want, BatchTokens(test.threads, test.onCPU), "%+v", test)
	}
}
