// Package maven brings pinned artifacts from a Maven repository: the user's mvn downloads the jar, so that the user's own
// mirrors, proxy and certificates apply, and its SHA-256 is checked.
package maven

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact"
)

// Artifact is one jar, pinned.
type Artifact struct {
	Group, Name, Version string
	SHA256               string // of the jar, in hex
	Size                 int64  // of the jar in bytes
}

// String returns the coordinates.
func (a Artifact) String() string { return a.Group + ":" + a.Name + ":" + a.Version }

// ErrNoMaven says that there is no Maven, and how to get one.
var ErrNoMaven = errors.New("mvn (Maven) is needed to download this model: install it (Debian: apt install maven)")

// Download brings the jar into the folder dir, which exists, and returns its path. A file whose SHA-256 is not the pinned
// one is removed and reported; mvn's own store of downloads may still hold it.
func Download(ctx context.Context, a Artifact, dir string) (string, error) {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", ErrNoMaven
	}
	dest, err := os.MkdirTemp(dir, "jar-")
	if err != nil {
		return "", err
	}
	if dest, err = filepath.Abs(dest); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, mvn, "--batch-mode", "--quiet", "-Dstyle.color=never", "dependency:copy",
		"-Dartifact="+a.String(), "-DoutputDirectory="+dest)
	cmd.Dir = dest // not in a folder with a pom.xml of the user's
	// mvn looks for a folder .mvn, whose files may name code to load, here and then in every folder above.
	if err := os.Mkdir(filepath.Join(dest, ".mvn"), 0o755); err != nil {
		return "", err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("mvn dependency:copy %s: %w\n%s", a, err, firstLines(output.String(), 6))
	}
	jar := filepath.Join(dest, a.Name+"-"+a.Version+".jar")
	if _, err := os.Stat(jar); err != nil {
		return "", fmt.Errorf("mvn dependency:copy %s: it brought no jar: %w", a, err)
	}
	if err := artifact.Check(jar, a.SHA256); err != nil {
		os.Remove(jar)
		return "", err
	}
	return jar, nil
}

// firstLines are what mvn says before its advice.
func firstLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[:min(n, len(lines))], "\n")
}
