package artifact

import (
	"archive/zip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact/artifacttest"
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
		{"nothing wanted", whole, "q/", "no wanted member"},
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

// A link in the folder, or as a member, leads nothing out of it.
func TestUnpackFollowsNoLinkOutOfItsFolder(t *testing.T) {
	parent := t.TempDir()
	victim, dir := filepath.Join(parent, "victim"), filepath.Join(parent, "out")
	require.NoError(t, os.MkdirAll(victim, 0o755))
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(victim, "x"), []byte("mine"), 0o644))
	require.NoError(t, os.Symlink(victim, filepath.Join(dir, "sub")))
	require.NoError(t, os.Symlink(filepath.Join(victim, "x"), filepath.Join(dir, "file")))
	for _, member := range []string{"p/sub/x", "p/sub/new", "p/file"} {
		require.Error(t, Unpack(t.Context(), artifacttest.Zip(t, "made.zip", map[string]string{member: "evil"}), dir,
			under("p/")), member)
	}
	entries, err := os.ReadDir(victim)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	data, err := os.ReadFile(filepath.Join(victim, "x"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(data))

	archive := filepath.Join(t.TempDir(), "links.zip")
	f, err := os.Create(archive)
	require.NoError(t, err)
	z := zip.NewWriter(f)
	header := &zip.FileHeader{Name: "p/link"}
	header.SetMode(os.ModeSymlink | 0o777)
	w, err := z.CreateHeader(header)
	require.NoError(t, err)
	_, err = w.Write([]byte(victim))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
	require.ErrorContains(t, Unpack(t.Context(), archive, t.TempDir(), under("p/")),
		`member "p/link" is not a regular file`)
}

func TestUnpackRefusesTwoMembersForOnePlace(t *testing.T) {
	archive := artifacttest.Zip(t, "made.zip", map[string]string{"p/x": "1", "q/x": "2"})
	err := Unpack(t.Context(), archive, t.TempDir(), func(member string) string { return member[2:] })
	require.ErrorIs(t, err, os.ErrExist)
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
