package runfolder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// How fast files are compared with their checksums, once they are in memory.
func BenchmarkSum(b *testing.B) {
	dir := b.TempDir()
	const size = 64 << 20
	require.NoError(b, os.WriteFile(filepath.Join(dir, "vectors"), make([]byte, size), 0o644))
	root, err := os.OpenRoot(dir)
	require.NoError(b, err)
	defer root.Close()
	b.SetBytes(size)
	for b.Loop() {
		_, err := sumOf(b.Context(), root, "vectors")
		require.NoError(b, err)
	}
}
