package distill

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The trainer builds in any Go program: nothing of LibTorch and no cgo below it.
func TestImportsAreFreeOfLibTorch(t *testing.T) {
	const format = "{{if not .Standard}}{{.ImportPath}} {{len .CgoFiles}}{{end}}"
	out, err := exec.Command("go", "list", "-deps", "-f", format, ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Greater(t, len(lines), 3)
	for _, line := range lines {
		path, cgoFiles, _ := strings.Cut(line, " ")
		require.Equal(t, "0", cgoFiles, "%s uses cgo", path)
		for _, heavy := range []string{
			"/internal/torch", "/internal/libtorch", "/encoder/transformer", "/loss/losstorch", "/distill/gloo", "/teacher/crossencoder", "/gotch",
		} {
			require.NotContains(t, path, heavy)
		}
	}
}
