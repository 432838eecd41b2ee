package hub

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	for text, want := range map[string]name{
		"BAAI/bge-small-en-v1.5":      {"BAAI/bge-small-en-v1.5", "main", ""},
		"a/b@v1.0":                    {"a/b", "v1.0", ""},
		"a/b@refs/pr/1:x/m.Q4_1.gguf": {"a/b", "refs/pr/1", "x/m.Q4_1.gguf"},
		"_a/b:m.gguf":                 {"_a/b", "main", "m.gguf"},
	} {
		got, ok := parse(text)
		require.True(t, ok, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{
		"", "model", "/a/b", "a/b/", "a/b/c", "./a/b", "../b", "a/..", ".a/b", "a/b--c", "a/b..c", "a/b@", "a/b:", `a\b`,
		`C:\a`, "C:/a", "a b/c", "a/b\x00", "ä/b", "http://a/b", "a/" + strings.Repeat("b", 99), "a/-b", "~/b",
	} {
		require.False(t, IsName(text), text)
	}
}

// Whatever a name holds, its folder is in the cache.
func FuzzNames(f *testing.F) {
	for _, text := range []string{"a/b", "a/b@c:d", "../..", "a/b@../..", "a--b/c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := parse(text)
		if !ok {
			return
		}
		require.True(t, filepath.IsLocal(n.folder()), text)
		require.Equal(t, n.folder(), filepath.Base(n.folder()), text)
	})
}
