// Package isolated runs programs out of reach of the working folder, which may hold anything: files that Python would
// import, or settings that a build tool would obey.
package isolated

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// Command is exec.CommandContext in an empty folder of its own, which remove deletes once the program has ended.
// Relative entries of variables such as PATH and LD_LIBRARY_PATH then lead nowhere. Paths among args should be
// absolute.
func Command(ctx context.Context, name string, args ...string) (cmd *exec.Cmd, remove func(), err error) {
	dir, err := os.MkdirTemp("", "retort-empty-")
	if err != nil {
		return nil, nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	cmd = exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd, func() { os.RemoveAll(dir) }, nil
}

// Python is Command for a Python, which imports nothing but what is installed: neither the working folder, PYTHONPATH
// nor the user's own site-packages count. A virtual environment does.
func Python(ctx context.Context, python string, args ...string) (cmd *exec.Cmd, remove func(), err error) {
	return Command(ctx, python, append([]string{"-I"}, args...)...)
}
