// Package isolated runs programs outside the working folder, which may hold files that Python would import or settings
// that a build tool would read.
package isolated

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// Command is exec.CommandContext in a new empty folder, which remove deletes. Relative entries of variables such as
// PATH and LD_LIBRARY_PATH then have no effect. Paths in args should be absolute.
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

// Python is Command for Python. It ignores the working folder, PYTHONPATH and the user's site-packages, but not a
// virtual environment.
func Python(ctx context.Context, python string, args ...string) (cmd *exec.Cmd, remove func(), err error) {
	return Command(ctx, python, append([]string{"-I"}, args...)...)
}
