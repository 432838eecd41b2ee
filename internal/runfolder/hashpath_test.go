package runfolder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALinkIsHashedAsWhatItLeadsTo(t *testing.T) {
	root := t.TempDir()
	path := func(name string) string { return filepath.Join(root, name) }
	write := func(name, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path(name)), 0o755))
		require.NoError(t, os.WriteFile(path(name), []byte(content), 0o644))
	}
	write("plain/config.json", "{}")
	write("plain/1_Pooling/config.json", "[]")
	write("blobs/a", "{}")
	write("blobs/pooling/config.json", "[]")
	require.NoError(t, os.Mkdir(path("linked"), 0o755))
	for link, target := range map[string]string{
		"link": "plain", "linked/config.json": "../blobs/a", "linked/1_Pooling": "../blobs/pooling",
	} {
		require.NoError(t, os.Symlink(target, path(link)))
	}
	hash := func(name string) string {
		h, err := HashPath(t.Context(), path(name))
		require.NoError(t, err)
		return h
	}
	// sha256 of the names, quoted and in order, each with its content, as it was before links to folders were followed
	require.Equal(t, "9f0479e02b0ef819011afb638d6d3995465c48f99e72b0722c79b67df0ec1d22", hash("plain"))
	require.Equal(t, hash("plain"), hash("link"))
	require.Equal(t, hash("plain"), hash("linked"))

	require.NoError(t, os.Symlink("..", path("plain/1_Pooling/up")))
	_, err := HashPath(t.Context(), path("link"))
	require.ErrorContains(t, err, filepath.Join("link", "1_Pooling", "up")+" is a link to a folder around it")
}
