package libtorch

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// glooSources are the wrapper of c10d's Gloo, which gotch lacks, and the headers that LibTorch lacks.
//
//go:embed gloo
var glooSources embed.FS

// glooFailed is a file in the folder of a build with the reason why Gloo could not be compiled.
const glooFailed = "no-gloo.txt"

// glooHeader exists if LibTorch was built with c10d.
const glooHeader = "torch/csrc/distributed/c10d/ProcessGroupGloo.hpp"

// The flags that compile the wrapper, link it alone, and join it with gotch's wrappers.
var (
	glooCompile = []string{"-DUSE_C10D_GLOO", "-c"}
	glooLink    = []string{"-shared", "-ltorch_cpu", "-lc10", "-Wl,-z,defs", "-Wl,--allow-shlib-undefined"}
	glooJoin    = []string{"-r", "-nostdlib", "-no-pie"}
)

// writeGloo writes the sources, for the hash of a build or to compile them.
func writeGloo(write func(name string, text []byte) error) error {
	return fs.WalkDir(glooSources, "gloo", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := glooSources.ReadFile(path)
		if err != nil {
			return err
		}
		return write(path, text)
	})
}

// addGloo compiles the wrapper of Gloo into torch_api.o, so that Go's builds link it. Without Gloo in LibTorch it adds
// nothing.
func (b *build) addGloo(ctx context.Context, dir string, progress io.Writer) error {
	if _, err := os.Stat(filepath.Join(b.torch.Include, glooHeader)); err != nil {
		fmt.Fprintln(progress, "this LibTorch has no c10d: training with several processes is unavailable")
		return nil
	}
	err := b.compileGloo(ctx, dir)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(progress, "Gloo does not compile: training with several processes is unavailable (%v)\n", err)
		return os.WriteFile(filepath.Join(dir, glooFailed), []byte(err.Error()), 0o644)
	}
	return err
}

// lacksGloo reports whether compiling Gloo failed. Another attempt may succeed, for example after a full disk.
func lacksGloo(build string) bool {
	_, err := os.Stat(filepath.Join(build, glooFailed))
	return err == nil
}

func (b *build) compileGloo(ctx context.Context, dir string) error {
	err := writeGloo(func(name string, text []byte) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	})
	if err != nil {
		return err
	}
	gloo, wrappers, both := filepath.Join(dir, "gloo.o"), filepath.Join(dir, "torch_api.o"), filepath.Join(dir, "both.o")
	folder := filepath.Join(dir, "gloo")
	if err := b.run(ctx, dir, glooCompile, []string{"-I" + folder}, b.flags(dir),
		[]string{"-o", gloo, filepath.Join(folder, "retort_gloo.cpp")}); err != nil {
		return err
	}
	// Linking Gloo alone finds missing symbols here, and not in programs that do not use Gloo.
	if err := b.run(ctx, dir, []string{"-o", filepath.Join(dir, "gloo.so"), gloo, "-L" + b.torch.Lib},
		glooLink); err != nil {
		return err
	}
	if err := b.run(ctx, dir, glooJoin, []string{"-o", both, wrappers, gloo}); err != nil {
		return err
	}
	return os.Rename(both, wrappers)
}

// run calls the compiler in the folder dir. Its error contains the compiler's output.
func (b *build) run(ctx context.Context, dir string, args ...[]string) error {
	cmd := exec.CommandContext(ctx, b.compiler[0], slices.Concat(b.compiler[1:], slices.Concat(args...))...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, firstLines(strings.TrimSpace(string(output)), 3))
	}
	return nil
}
