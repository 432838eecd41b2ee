// Package maven downloads pinned artifacts from a Maven repository and checks their SHA-256. The user's mvn downloads
// them, so that the user's mirrors, proxy and certificates apply.
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

// Artifact is a pinned jar.
type Artifact struct {
	Group, Name, Version string
	SHA256               string // of the jar, in hex
	Size                 int64  // of the jar in bytes
}

// String returns the coordinates.
func (a Artifact) String() string { return a.Group + ":" + a.Name + ":" + a.Version }

// ErrNoMaven means that mvn is not installed.
var ErrNoMaven = errors.New("mvn (Maven) is needed to download this model: install it (Debian: apt install maven)")

// Download downloads the jar to the existing folder dir and returns its path. It removes a file with another SHA-256
// and fails; mvn's local repository may keep the file.
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
	cmd.Dir = dest // mvn would read a pom.xml of the working folder
	// Without a folder .mvn here, mvn would look for one in every parent folder. Its files may name code to load.
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
		return "", fmt.Errorf("mvn dependency:copy %s: downloaded no jar: %w", a, err)
	}
	if err := artifact.Check(jar, a.SHA256); err != nil {
		os.Remove(jar)
		return "", err
	}
	return jar, nil
}

// firstLines returns the start of the output. The rest is generic advice.
func firstLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[:min(n, len(lines))], "\n")
}
