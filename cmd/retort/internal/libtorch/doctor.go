package libtorch

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/retort-ir/retort/cmd/retort/internal/isolated"
	"github.com/retort-ir/retort/cmd/retort/internal/pypi"
)

// ErrUnhealthy means that Doctor printed a failed check.
var ErrUnhealthy = errors.New("a check failed: the lines above suggest a fix")

// Doctor checks all requirements of a build with LibTorch, and writes one line per check: "ok", or a fix. It builds and
// runs a small program, which takes a minute if Go's build cache does not contain gotch.
func Doctor(ctx context.Context, home string, w io.Writer) error {
	checks := []struct {
		name string
		run  func(ctx context.Context, home string) (found string, err error)
	}{
		{"system", checkSystem},
		{"go", checkGo},
		{"c++", checkCXX},
		{"pip", checkPip},
		{"disk", checkDisk},
		{"installation", checkInstallation},
		{"libraries", checkLibraries},
		{"program", checkProgram},
	}
	var failed error
	for _, c := range checks {
		found, err := c.run(ctx, home)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = ErrUnhealthy
			fmt.Fprintf(w, "%-13s FAILS  %v\n", c.name, err)
			continue
		}
		fmt.Fprintf(w, "%-13s ok     %s\n", c.name, found)
	}
	return failed
}

func checkSystem(context.Context, string) (string, error) {
	return platform(), checkPlatform(runtime.GOOS)
}

func checkGo(ctx context.Context, _ string) (string, error) {
	env, err := goEnv(ctx, "GOVERSION", "GOMOD")
	return env["GOVERSION"], err
}

func checkCXX(ctx context.Context, home string) (string, error) {
	words, err := cxxCompiler(ctx, home)
	if err != nil {
		return "", err
	}
	return compilerVersion(ctx, words)
}

// compilerVersion returns the first line of the compiler's version text. It fails for a compiler without C++20.
func compilerVersion(ctx context.Context, words []string) (string, error) {
	cmd, remove, err := isolated.Command(ctx, words[0], append(words[1:len(words):len(words)], "-std=gnu++20", "-x", "c++",
		"-fsyntax-only", "-")...)
	if err != nil {
		return "", err
	}
	defer remove()
	cmd.Stdin = strings.NewReader("#include <concepts>\n#include <span>\n" +
		"int main() { std::span<int> s; return s.size(); }\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s does not compile C++20: install g++ 11 or newer, or set CXX\n%s",
			words[0], firstLines(string(out), 3))
	}
	version := exec.CommandContext(ctx, words[0], append(words[1:len(words):len(words)], "--version")...)
	version.Dir = cmd.Dir
	out, err := version.Output()
	return firstLines(string(out), 1), err
}

// checkPip accepts a machine without pip if LibTorch is installed.
func checkPip(ctx context.Context, home string) (string, error) {
	python, err := pypi.Python(ctx)
	if _, installed := Installed(home); err != nil && installed == nil {
		return "not found, and not needed: LibTorch is installed", nil
	}
	return python, err
}

func checkDisk(_ context.Context, home string) (string, error) {
	dir := home
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	need := uint64(spaceToDownload)
	if _, err := Installed(home); err == nil {
		need = spaceToBuild
	}
	if err := checkSpace(dir, need); err != nil {
		return "", err
	}
	free, err := freeSpace(dir)
	if err != nil {
		return "unknown", nil
	}
	return fmt.Sprintf("%.1f GB free in %s", float64(free)/1e9, dir), nil
}

func checkInstallation(_ context.Context, home string) (string, error) {
	i, err := current(home)
	if err != nil {
		return "", err
	}
	kind := "CPU"
	if i.LibTorch.CUDA {
		kind = "CUDA"
	}
	ops := fmt.Sprintf("%d operations", len(Ops()))
	if i.Ops == allOps {
		ops = "all operations"
	}
	if len(i.Rejected) > 0 {
		ops += fmt.Sprintf(" except %q", i.Rejected)
	}
	return fmt.Sprintf("LibTorch %s (%s) in %s, %s", i.LibTorch.Version, kind, i.LibTorch.Lib, ops), nil
}

func checkLibraries(ctx context.Context, home string) (string, error) {
	i, err := Installed(home)
	if err != nil {
		return "", err
	}
	names := []string{"libtorch_cpu.so", "libc10.so"}
	if i.LibTorch.CUDA {
		names = append(names, "libtorch_cuda.so", "libc10_cuda.so")
	}
	_, missing, err := resolve(ctx, i.LibTorch.Lib, names)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("not found: %s: install them, or install LibTorch again", strings.Join(missing, ", "))
	}
	return "found all libraries that LibTorch needs", err
}

//go:embed smoke/main.go
var smokeProgram []byte

// smokeSums are gotch's lines of go.sum. With them the small program needs no network if gotch is in the module cache.
const smokeSums = gotchModule + " " + gotchVersion + " h1:J6JCE1C2AfPmM1xk0p46LdzWtfNvbvZZnWdkj9v54jo=\n" +
	gotchModule + " " + gotchVersion + "/go.mod h1:dien16KQcZPg/g+YiEH3q3ldHlKO2//2I2i2Gp5OQcI=\n"

// checkProgram builds and runs the small program in a new module, as a user would.
func checkProgram(ctx context.Context, home string) (string, error) {
	variables, err := Env(ctx, home)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "retort-doctor-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"main.go": string(smokeProgram),
		"go.mod":  "module doctor\n\ngo 1.24\n\nrequire " + gotchModule + " " + gotchVersion + "\n",
		"go.sum":  smokeSums,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", "program", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PWD="+dir, "GOWORK=off")
	for _, v := range variables {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, firstLines(string(out), 12))
	}
	program := exec.CommandContext(ctx, filepath.Join(dir, "program"))
	program.Dir = dir
	out, err := program.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run the small program: %w\n%s", err, firstLines(string(out), 12))
	}
	return "a small program builds and runs", nil
}
