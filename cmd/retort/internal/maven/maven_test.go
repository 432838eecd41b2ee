package maven

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var wanted = Artifact{Group: "org.example", Name: "model", Version: "1.0"}

func TestDownloadChecksAndReturnsTheJar(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	fakeMaven(t, `echo "$@" >"`+asked+`"; printf weights >"$dest/model-1.0.jar"`)
	a := wanted
	sum := sha256.Sum256([]byte("weights"))
	a.SHA256 = hex.EncodeToString(sum[:])
	jar, err := Download(t.Context(), a, t.TempDir())
	require.NoError(t, err)
	raw, err := os.ReadFile(jar)
	require.NoError(t, err)
	require.Equal(t, "weights", string(raw))
	raw, err = os.ReadFile(asked)
	require.NoError(t, err)
	require.Contains(t, string(raw), "dependency:copy -Dartifact=org.example:model:1.0 -DoutputDirectory=/")
}

func TestDownloadErrors(t *testing.T) {
	for _, c := range []struct{ name, maven, want string }{
		{"another file", `printf changed >"$dest/model-1.0.jar"`, ", want "},
		{"no such artifact", `echo "[ERROR] Could not find artifact"; exit 1`, "org.example:model:1.0: exit status 1\n[ERROR] Could not find artifact"},
		{"nothing downloaded", `true`, "downloaded no jar"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakeMaven(t, c.maven)
			dir := t.TempDir()
			_, err := Download(t.Context(), wanted, dir)
			require.ErrorContains(t, err, c.want)
			left, err := filepath.Glob(filepath.Join(dir, "*", "*.jar"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// mvn obeys the settings of the first folder .mvn that it finds on its way up from the working folder.
func TestNoFolderAboveTellsMavenWhatToLoad(t *testing.T) {
	found := filepath.Join(t.TempDir(), "found")
	fakeMaven(t, `until [ -d .mvn ] || [ "$PWD" = / ]; do cd ..; done; echo "$PWD" >"`+found+`"; ls .mvn >>"`+found+`"`)
	here := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(here, ".mvn"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(here, ".mvn", "extensions.xml"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(here, "models"), 0o755))
	t.Chdir(here)
	_, err := Download(t.Context(), wanted, "models")
	require.ErrorContains(t, err, "downloaded no jar")
	raw, err := os.ReadFile(found)
	require.NoError(t, err)
	require.Regexp(t, `/models/jar-[0-9]+\n$`, string(raw), "the folder, and nothing in its .mvn")
}

func TestDownloadStopsWithItsContext(t *testing.T) {
	fakeMaven(t, `exec sleep 60`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Download(ctx, wanted, t.TempDir())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestAMachineWithoutMavenIsToldHowToGetIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Download(t.Context(), wanted, t.TempDir())
	require.ErrorIs(t, err, ErrNoMaven)
}

// fakeMaven puts an mvn first on the path that runs body with dest set to the output folder.
func fakeMaven(t *testing.T, body string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	script := "#!/bin/sh\nfor a in \"$@\"; do case $a in -DoutputDirectory=*) dest=${a#*=};; esac; done\n" + body + "\n"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mvn"), []byte(script), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}
