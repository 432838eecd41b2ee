package godoc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// findGOROOT returns the root of the Go installation whose go command is on the PATH, as "go env GOROOT" prints it.
// Where there is no such command it returns the environment's GOROOT.
func findGOROOT(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if root := strings.TrimSpace(string(out)); err == nil && root != "" {
		return root, nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if root := os.Getenv("GOROOT"); root != "" {
		return root, nil
	}
	return "", fmt.Errorf("find Go's sources: set GOROOT or put the go command on the PATH: %w", err)
}

// goVersion returns the version of the Go installation at goroot, such as "go1.24.0".
func goVersion(goroot string) (string, error) {
	name := filepath.Join(goroot, "VERSION")
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: is %s the GOROOT of a Go release?", err, goroot)
	}
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("%s: no version on the first line", name)
	}
	return line, nil
}
