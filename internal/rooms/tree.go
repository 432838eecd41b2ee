package rooms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the path of Retort's module.
const Module = "github.com/retort-ir/retort"

// Import is an import of one package of the tree by another: their folders, relative to the root.
type Import struct {
	From, To string
}

// Imports returns every import of one package of the tree by another, each once and sorted. Tests and testdata are
// not read, build constraints are not looked at, and modules below the root count as part of the tree.
func Imports(dir string) ([]Import, error) {
	found := map[Import]bool{}
	err := Walk(dir, func(file string) error {
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			to, ours := strings.CutPrefix(imported+"/", Module+"/")
			if ours {
				found[Import{From: path.Dir(file), To: path.Clean(to)}] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	imports := make([]Import, 0, len(found))
	for i := range found {
		imports = append(imports, i)
	}
	slices.SortFunc(imports, func(a, b Import) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return imports, nil
}

// Walk calls f for every file of the tree with its path below dir. It leaves out Go's tests, folders named testdata,
// and names that begin with a dot.
func Walk(dir string, f func(file string) error) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(file string, d fs.DirEntry, err error) error {
		switch name := path.Base(file); {
		case err != nil:
			return err
		case file == ".":
			return nil
		case strings.HasPrefix(name, ".") || name == "testdata":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		return f(file)
	})
}

// Dependencies returns the packages outside the standard library that the package in a folder pulls in, itself not
// counted, built without LibTorch and without cgo. It runs "go list".
func Dependencies(ctx context.Context, dir, folder string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+folder)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("go list of %s: %w", folder, err)
	}
	own := path.Join(Module, folder)
	return slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return p == own }), nil
}
