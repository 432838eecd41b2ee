package artifact

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact/artifacttest"
)

// FuzzUnpack: whatever an archive holds, nothing is written outside the folder, and nothing that is larger than the
// archive can be.
func FuzzUnpack(f *testing.F) {
	for _, members := range []map[string]string{
		{"a.txt": "a", "b/c.txt": "some text, some text, some text, some text"},
		{"../up.txt": "x"},
		{"/root.txt": "x", "b/": ""},
	} {
		data, err := os.ReadFile(artifacttest.Zip(f, "x.zip", members))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		path, out := filepath.Join(root, "x.zip"), filepath.Join(root, "outer", "out")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		_ = Unpack(t.Context(), path, out, func(member string) string { return member })
		var size int64
		require.NoError(t, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || name == path {
				return err
			}
			inside, err := filepath.Rel(out, name)
			require.NoError(t, err)
			require.True(t, filepath.IsLocal(inside), name)
			info, err := entry.Info()
			size += info.Size()
			return err
		}))
		require.LessOrEqual(t, size, int64(len(data))*int64(len(data))*maxDeflate)
	})
}
