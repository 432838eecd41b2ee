package pypi

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
	"github.com/retort-ir/retort/cmd/retort/internal/isolated"
)

// Wheel is a pinned file of the index.
type Wheel struct {
	Project, Version string
	SHA256           string   // of the wheel, in hex
	Size             int64    // of the wheel in bytes
	Platforms        []string // pip's platform tags; nil for a wheel that runs anywhere
}

// ErrNoPip means that no Python with pip is installed.
var ErrNoPip = errors.New(
	"python3 with pip is needed to download a package: install it (Debian: apt install python3-pip)")

// Python returns the path of a Python 3 with pip, or ErrNoPip.
func Python(ctx context.Context) (string, error) {
	for _, name := range []string{"python3", "python"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cmd, remove, err := isolated.Python(ctx, path, "-m", "pip", "--version")
		if err != nil {
			return "", err
		}
		err = cmd.Run()
		remove()
		if err == nil {
			return path, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return "", ErrNoPip
}

// Download downloads the wheel to the existing folder dir and returns its path. pip's temporary files are in dir too.
// Download removes a file with another SHA-256 and fails.
func Download(ctx context.Context, w Wheel, dir string) (string, error) {
	python, err := Python(ctx)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	dest, err := os.MkdirTemp(dir, "wheel-")
	if err != nil {
		return "", err
	}
	cmd, remove, err := isolated.Python(ctx, python, pipArgs(w, dest)...)
	if err != nil {
		return "", err
	}
	defer remove()
	cmd.Env = append(cmd.Environ(), "TMPDIR="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("pip download %s==%s: %w\n%s", w.Project, w.Version, err, lastLines(output.String(), 6))
	}
	wheels, err := wheelsIn(dest)
	if err != nil {
		return "", err
	}
	if len(wheels) != 1 {
		return "", fmt.Errorf("pip download %s==%s: %d wheels instead of one in %s", w.Project, w.Version, len(wheels), dest)
	}
	if err := artifact.Check(wheels[0], w.SHA256); err != nil {
		os.Remove(wheels[0])
		return "", err
	}
	return wheels[0], nil
}

// wheelsIn returns the paths of the wheels in a folder. It avoids filepath.Glob, because the path may contain
// characters of a pattern.
func wheelsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var wheels []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".whl" && e.Type().IsRegular() {
			wheels = append(wheels, filepath.Join(dir, e.Name()))
		}
	}
	return wheels, nil
}

func pipArgs(w Wheel, dest string) []string {
	args := []string{
		"-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--progress-bar", "off",
		"--no-deps", "--only-binary=:all:", "--dest", dest,
	}
	if w.Platforms != nil {
		args = append(args, "--python-version", "3.12", "--implementation", "cp")
	}
	for _, p := range w.Platforms {
		args = append(args, "--platform", p)
	}
	return append(args, w.Project+"=="+w.Version)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
