package mine_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A search service that imports mine gets these modules and no other. In particular no index store of bleve, nothing
// that talks to a network by itself, and no cgo beyond the standard library's own.
func TestMinePullsInLittle(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command to list the imports with")
	}
	out, err := exec.Command("go", "list", "-deps", "-f",
		"{{if not .Standard}}{{.Module.Path}} {{.ImportPath}} {{if .CgoFiles}}cgo{{end}}{{end}}", ".").Output()
	require.NoError(t, err)
	var modules, ours []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		require.Len(t, f, 2, "%s uses cgo", f[1])
		if f[0] == "github.com/retort-ir/retort" {
			ours = append(ours, strings.TrimPrefix(f[1], "github.com/retort-ir/"))
		} else if !slices.Contains(modules, f[0]) {
			modules = append(modules, f[0])
		}
		for _, heavy := range []string{"/index/", "bbolt", "faiss", "vellum", "zapx"} {
			require.NotContains(t, f[1], heavy)
		}
	}
	require.ElementsMatch(t, []string{
		"retort", "retort/encoder", "retort/mine", "retort/internal/atomicfile", "retort/internal/ctxio", "retort/internal/device",
		"retort/internal/filekind", "retort/internal/filelock", "retort/internal/half", "retort/internal/jsonl", "retort/internal/kernel", "retort/internal/matrix",
		"retort/internal/language", "retort/internal/ledger", "retort/internal/mmap", "retort/internal/nolibtorch", "retort/internal/npy", "retort/internal/parallel",
		"retort/internal/percentile", "retort/internal/regular", "retort/internal/strictjson", "retort/internal/textfile", "retort/internal/zscore",
	}, ours)
	require.ElementsMatch(t, []string{
		"github.com/blevesearch/bleve/v2", "github.com/blevesearch/bleve_index_api", "github.com/blevesearch/geo",
		"github.com/blevesearch/go-porterstemmer", "github.com/blevesearch/segment", "github.com/blevesearch/snowballstem",
		"github.com/blevesearch/upsidedown_store_api", "github.com/go-json-experiment/json", "github.com/json-iterator/go",
		"github.com/klauspost/compress", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/text", "gonum.org/v1/gonum",
	}, modules)
}
