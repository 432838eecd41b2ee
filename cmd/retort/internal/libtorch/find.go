package libtorch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/isolated"
	"github.com/retort-ir/retort/internal/torch"
)

// LibTorch is an installation of LibTorch.
type LibTorch struct {
	Version  string `json:"version"` // such as 2.15.0
	Lib      string `json:"lib"`     // the folder of libtorch_cpu.so
	Include  string `json:"include"` // the folder of ATen/ATen.h
	CXX11ABI bool   `json:"cxx11_abi"`
	Standard string `json:"standard"` // the C++ standard that its headers require, such as gnu++20
	// CUDA means that builds link the CUDA libraries: LibTorch has them, with all their dependencies, and there is a GPU.
	CUDA bool `json:"cuda"`
	// LinkDirs are the folders outside Lib that hold dependencies.
	LinkDirs []string `json:"link_dirs,omitempty"`
}

const oldest = "2.1"

// find looks for LibTorch in $LIBTORCH and then in Python's torch package. It returns nil if there is none. note is the
// reason why an unusable torch package was skipped. An unusable $LIBTORCH is an error.
func find(ctx context.Context) (found *LibTorch, note string, err error) {
	gpu := hasGPU(ctx)
	if dir := os.Getenv("LIBTORCH"); dir != "" {
		found, err := use(ctx, dir, gpu)
		if err != nil {
			return nil, "", fmt.Errorf("LIBTORCH=%s: %w: unset it, or point it to a folder with lib/ and include/", dir, err)
		}
		return found, "", nil
	}
	dir := pythonTorch(ctx)
	if dir == "" {
		return nil, "", nil
	}
	found, err = use(ctx, dir, gpu)
	if err != nil {
		return nil, fmt.Sprintf("Python's torch is unusable: %v", err), nil
	}
	return found, "", nil
}

// use returns the LibTorch in dir, which has the folders lib and include.
func use(ctx context.Context, dir string, gpu bool) (*LibTorch, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t, err := inspect(filepath.Join(dir, "lib"), filepath.Join(dir, "include"))
	if err != nil {
		return nil, err
	}
	if !atLeast(t.Version, oldest) {
		return nil, fmt.Errorf("%s is LibTorch %s, want %s or newer", dir, t.Version, oldest)
	}
	names := []string{"libtorch_cpu.so", "libc10.so"}
	dirs, missing, err := resolve(ctx, t.Lib, names)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s lacks %s", t.Lib, strings.Join(missing, ", "))
	}
	t.LinkDirs = dirs
	if _, err := os.Stat(filepath.Join(t.Lib, "libtorch_cuda.so")); err != nil || !gpu {
		return t, nil
	}
	dirs, missing, err = resolve(ctx, t.Lib, append(names, "libtorch_cuda.so", "libc10_cuda.so"))
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s has CUDA but lacks %s", t.Lib, strings.Join(missing, ", "))
	}
	t.CUDA, t.LinkDirs = true, dirs
	return t, nil
}

// inspect reads the properties of a LibTorch from its files.
func inspect(lib, include string) (*LibTorch, error) {
	version, err := torch.HeaderVersion(include)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(lib, "libtorch_cpu.so")); err != nil {
		return nil, err
	}
	abi, err := cxx11ABI(filepath.Join(lib, "libc10.so"))
	if err != nil {
		return nil, err
	}
	header, err := os.ReadFile(filepath.Join(include, "ATen", "ATen.h"))
	if err != nil {
		return nil, err
	}
	standard := "gnu++17"
	if strings.Contains(string(header), "202002L") {
		standard = "gnu++20"
	}
	return &LibTorch{Version: version, Lib: lib, Include: include, CXX11ABI: abi, Standard: standard}, nil
}

// atLeast compares versions such as 2.15.0 part by part. A part that is not a number counts as 0.
func atLeast(version, least string) bool {
	v, l := strings.Split(version, "."), strings.Split(least, ".")
	for i := range l {
		have := 0
		if i < len(v) {
			have, _ = strconv.Atoi(v[i])
		}
		if want, _ := strconv.Atoi(l[i]); have != want {
			return have > want
		}
	}
	return true
}

// findTorch adds the user's site-packages, because an isolated Python ignores it. A folder without __init__.py is not
// the torch package.
const findTorch = `import importlib.machinery, importlib.util, os, site, sys
s = importlib.util.find_spec("torch")
own = site.getusersitepackages()
if not s and sys.prefix == sys.base_prefix and os.path.isabs(own):
    s = importlib.machinery.PathFinder.find_spec("torch", [own])
print(s.submodule_search_locations[0] if s and s.origin and s.submodule_search_locations else "")`

// pythonTorch returns the folder of Python's torch package, or "". It does not import the package.
func pythonTorch(ctx context.Context) string {
	for _, python := range []string{"python3", "python"} {
		cmd, remove, err := isolated.Python(ctx, python, "-c", findTorch)
		if err != nil {
			return ""
		}
		out, err := cmd.Output()
		remove()
		if err != nil {
			continue
		}
		if dir := strings.TrimSpace(string(out)); dir != "" {
			return dir
		}
	}
	return ""
}

func hasGPU(ctx context.Context) bool {
	if _, err := os.Stat("/dev/nvidia0"); err == nil {
		return true
	}
	cmd, remove, err := isolated.Command(ctx, "nvidia-smi", "-L")
	if err != nil {
		return false
	}
	defer remove()
	return cmd.Run() == nil
}

// checkPlatform refuses unsupported systems.
func checkPlatform(goos string) error {
	if goos == "linux" {
		return nil
	}
	return fmt.Errorf("LibTorch on %s is not supported: build without the tag, or use Linux (a container is enough)", goos)
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
