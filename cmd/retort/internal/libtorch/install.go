package libtorch

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Options configures Install. The zero value compiles the operations that Retort calls.
type Options struct {
	AllOps bool // compile every wrapper that the compiler accepts, for programs that use gotch directly
}

// temporary is the prefix of working folders. The next install removes the folders of a killed install.
const temporary = "unfinished-"

// spaceToBuild is the disk space in bytes for the compiled wrappers.
const spaceToBuild = 100_000_000

// Install prepares home for builds with LibTorch. It keeps valid parts of an earlier installation, and writes one line
// per step to progress.
func Install(ctx context.Context, home string, o Options, progress io.Writer) (*Installation, error) {
	ops := Ops()
	if o.AllOps {
		ops = nil
	}
	return install(ctx, home, ops, progress)
}

// install is Install for a list of operations; nil means all.
func install(ctx context.Context, home string, ops []string, progress io.Writer) (*Installation, error) {
	if err := checkPlatform(runtime.GOOS); err != nil {
		return nil, err
	}
	compiler, err := cxxCompiler(ctx, home)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(home, "libtorch")
	if strings.ContainsAny(root, ",\n:") {
		return nil, fmt.Errorf("%s: linker flags allow no comma, colon or newline in a path: "+
			"set RETORT_HOME to another folder", root)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, root, progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeUnfinished(root); err != nil {
		return nil, err
	}
	gotchDir, err := gotch(ctx)
	if err != nil {
		return nil, err
	}
	torch, err := findOrDownload(ctx, root, compiler, progress)
	if err != nil {
		return nil, err
	}
	return buildWrappers(ctx, home, &build{torch: torch, gotch: gotchDir, compiler: compiler, ops: ops}, progress)
}

// findOrDownload returns an existing LibTorch, or downloads the pinned one.
func findOrDownload(ctx context.Context, root string, compiler []string, progress io.Writer) (*LibTorch, error) {
	torch, note, err := find(ctx)
	if err != nil {
		return nil, err
	}
	if note != "" {
		fmt.Fprintln(progress, note)
	}
	if torch == nil || torch.Standard == "gnu++20" {
		if _, err := compilerVersion(ctx, compiler); err != nil {
			return nil, err
		}
	}
	if torch == nil {
		if torch, err = pinnedTorch(ctx, filepath.Join(root, pinned+"-cpu"), progress); err != nil {
			return nil, err
		}
	}
	kind := "CPU"
	if torch.CUDA {
		kind = "CUDA"
	}
	fmt.Fprintf(progress, "LibTorch %s (%s) in %s\n", torch.Version, kind, torch.Lib)
	if !torch.CUDA && hasGPU(ctx) {
		fmt.Fprintf(progress, "there is a GPU, but this LibTorch has no CUDA: run python3 -m pip install torch==%s (3 GB), "+
			"then install again\n", pinned)
	}
	return torch, nil
}

// pinnedTorch returns the pinned LibTorch in dir, and downloads it if it is missing or incomplete.
func pinnedTorch(ctx context.Context, dir string, progress io.Writer) (*LibTorch, error) {
	torch, err := use(ctx, dir, false)
	if err == nil {
		return torch, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return download(ctx, dir, progress)
}

func buildWrappers(ctx context.Context, home string, b *build, progress io.Writer) (*Installation, error) {
	var err error
	if b.sources, err = readSources(b.gotch); err != nil {
		return nil, err
	}
	root := filepath.Join(home, "libtorch")
	i := &Installation{
		LibTorch: *b.torch, Build: filepath.Join(root, "build-"+b.hash()), Ops: opsHash(b.ops), Gotch: b.gotch,
		Compiler: b.compiler,
	}
	if i.check() == nil && !lacksGloo(i.Build) {
		if i.Rejected, err = readRejected(i.Build); err != nil {
			return nil, err
		}
	} else {
		if err := checkSpace(root, spaceToBuild); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(i.Build); err != nil {
			return nil, err
		}
		if i.Rejected, err = b.make(ctx, i.Build, progress); err != nil {
			return nil, err
		}
	}
	if err := i.save(home); err != nil {
		return nil, err
	}
	return i, nil
}

func readRejected(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "rejected.txt"))
	if len(data) == 0 {
		return nil, err
	}
	return strings.Fields(string(data)), err
}

// cxxCompiler returns the C++ compiler of the go command, with its arguments. If that is our wrapper, it returns the
// compiler behind the wrapper.
func cxxCompiler(ctx context.Context, home string) ([]string, error) {
	env, err := goEnv(ctx, "CXX")
	if err != nil {
		return nil, err
	}
	words, err := goSplit(env["CXX"])
	if err != nil || len(words) == 0 {
		return nil, fmt.Errorf("CXX=%s: not a command", env["CXX"])
	}
	if isOurs(home, words[0]) {
		words = []string{"g++"}
		if i, err := Installed(home); err == nil {
			words = i.Compiler
		}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return nil, fmt.Errorf("no C++ compiler (%s): install one (Debian: apt install g++), or set CXX", words[0])
	}
	if filepath.Base(words[0]) != words[0] { // builds call it from other folders
		if words[0], err = filepath.Abs(words[0]); err != nil {
			return nil, err
		}
	}
	return words, nil
}

func isOurs(home, path string) bool {
	return strings.HasPrefix(path, filepath.Join(home, "libtorch")+string(filepath.Separator))
}

// removeUnfinished removes the working folders of killed installations. It avoids filepath.Glob, because root may
// contain characters of a pattern.
func removeUnfinished(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), temporary) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
