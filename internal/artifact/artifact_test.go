package artifact

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/artifact/artifacttest"
)

func TestUnpackWritesWhatIsWanted(t *testing.T) {
	archive := artifacttest.Zip(t, "made.zip", map[string]string{"p/a/x.txt": "x", "p/b.py": "b", "p/a/": ""})
	dir := t.TempDir()
	require.NoError(t, Unpack(t.Context(), archive, dir, under("p/a/")))
	data, err := os.ReadFile(filepath.Join(dir, "x.txt"))
	require.NoError(t, err)
	require.Equal(t, "x", string(data))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestUnpackErrors(t *testing.T) {
	whole := artifacttest.Zip(t, "made.zip", map[string]string{"p/x": strings.Repeat("x", 10_000)})
	data, err := os.ReadFile(whole)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.zip")
	require.NoError(t, os.WriteFile(cut, data[:len(data)/2], 0o644))
	for _, c := range []struct{ name, archive, prefix, want string }{
		{"a member that climbs out", artifacttest.Zip(t, "made.zip", map[string]string{"p/../../evil": "x"}), "p/", "would leave the folder"},
		{"an absolute member", artifacttest.Zip(t, "made.zip", map[string]string{"p//etc/evil": "x"}), "p/", "would leave the folder"},
		{"nothing wanted", whole, "q/", "holds nothing of what was wanted"},
		{"half an archive", cut, "p/", "not a valid zip file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			require.ErrorContains(t, Unpack(t.Context(), c.archive, dir, under(c.prefix)), c.want)
			require.NoFileExists(t, filepath.Join(dir, "..", "evil"))
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Unpack(ctx, whole, t.TempDir(), under("p/")), context.Canceled)
}

func under(prefix string) func(string) string {
	return func(member string) string {
		rest, ok := strings.CutPrefix(member, prefix)
		if !ok {
			return ""
		}
		return rest
	}
}
