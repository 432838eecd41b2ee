package libtorch

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/isolated"
)

// resolve follows the NEEDED entries of the shared libraries names in lib. It returns the folders outside lib that an
// RPATH adds, and the missing libraries as "NAME (needed by LIBRARY)".
func resolve(ctx context.Context, lib string, names []string) (dirs, missing []string, err error) {
	system := systemLibraries(ctx)
	queue := make([]string, 0, len(names))
	for _, name := range names {
		queue = append(queue, filepath.Join(lib, name))
	}
	seen := map[string]bool{}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		needed, search, err := dynamic(path)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range needed {
			if seen[name] {
				continue
			}
			seen[name] = true
			found := lookFor(name, append(search, lib))
			switch {
			case found != "":
				queue = append(queue, found)
				if dir := filepath.Dir(found); dir != lib && !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			case !system(name):
				missing = append(missing, fmt.Sprintf("%s (needed by %s)", name, filepath.Base(path)))
			}
		}
	}
	return dirs, missing, nil
}

// dynamic returns a shared library's NEEDED entries and the folders of its RPATH and RUNPATH.
func dynamic(path string) (needed, search []string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	needed, err = f.DynString(elf.DT_NEEDED)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := f.DynString(tag)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, p := range paths {
			for _, dir := range filepath.SplitList(p) {
				search = append(search, filepath.Clean(strings.ReplaceAll(dir, "$ORIGIN", filepath.Dir(path))))
			}
		}
	}
	return needed, search, nil
}

func lookFor(name string, dirs []string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// systemLibraries returns a test for libraries that the dynamic linker finds without an RPATH.
func systemLibraries(ctx context.Context) func(name string) bool {
	ldconfig, err := exec.LookPath("ldconfig")
	if err != nil {
		ldconfig = "/sbin/ldconfig"
	}
	known := map[string]bool{}
	if cmd, remove, err := isolated.Command(ctx, ldconfig, "-p"); err == nil {
		defer remove()
		out, _ := cmd.Output() // the folders below are the fallback
		for line := range strings.Lines(string(out)) {
			if fields := strings.Fields(line); len(fields) > 0 {
				known[fields[0]] = true
			}
		}
	}
	dirs := append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), "/lib64", "/usr/lib64", "/lib", "/usr/lib",
		"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
	return func(name string) bool {
		return known[name] || strings.HasPrefix(name, "ld-linux") || lookFor(name, dirs) != ""
	}
}

// cxx11ABI reports whether the library uses libstdc++'s C++11 strings, as LibTorch does since 2.7.
func cxx11ABI(path string) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return slices.ContainsFunc(symbols, func(s elf.Symbol) bool {
		return s.Section != elf.SHN_UNDEF && strings.Contains(s.Name, "__cxx1112basic_string")
	}), nil
}
