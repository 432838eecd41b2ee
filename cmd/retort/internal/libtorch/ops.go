package libtorch

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed ops.txt
var opsFile string

// Ops returns the C functions of gotch that Retort calls, sorted. "go generate ./cmd/retort/internal/libtorch" writes
// the list.
func Ops() []string { return strings.Fields(opsFile) }

const libtchImport = "github.com/sugarme/gotch/libtch"

// UsedOps returns the C functions that Go files under root call through gotch's package libtch, and the C functions in
// their C code. The folder libtch holds the source of the package. UsedOps ignores build tags and testdata, and
// includes tests.
func UsedOps(root, libtch string) ([]string, error) {
	calls, err := cCalls(libtch)
	if err != nil {
		return nil, err
	}
	ops := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		return addOps(ops, path, calls)
	})
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(ops)), nil
}

// addOps adds the functions that one Go file calls.
func addOps(ops map[string]bool, path string, calls map[string][]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return err
	}
	name := importName(file, libtchImport)
	if name == "" {
		return nil
	}
	if name == "." {
		return fmt.Errorf("%s: a dot import of %s hides which functions are called", path, libtchImport)
	}
	for _, called := range selectors(file, name) {
		for _, c := range calls[called] {
			ops[c] = true
		}
	}
	for _, c := range inPreamble.FindAllString(preamble(file), -1) {
		ops[c] = true
	}
	return nil
}

// importName returns the local name of the imported package, or "" without the import.
func importName(file *ast.File, path string) string {
	for _, imp := range file.Imports {
		if p, err := strconv.Unquote(imp.Path.Value); err != nil || p != path {
			continue
		}
		if imp.Name != nil {
			return imp.Name.Name
		}
		return path[strings.LastIndexByte(path, '/')+1:]
	}
	return ""
}

// inPreamble matches gotch's C functions in C code. A false match is harmless, because no wrapper has the name.
var inPreamble = regexp.MustCompile(`\b(at|atg|atm|ati|ato|ats|atc)_\w+`)

// preamble returns the C code above a file's import "C".
func preamble(file *ast.File) string {
	for _, decl := range file.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.IMPORT {
			for _, spec := range d.Specs {
				if imp, ok := spec.(*ast.ImportSpec); ok && imp.Path.Value == `"C"` {
					return d.Doc.Text() + imp.Doc.Text()
				}
			}
		}
	}
	return ""
}

// cCalls maps each Go function of package libtch to the C functions that it calls, directly or not.
func cCalls(libtch string) (map[string][]string, error) {
	paths, err := filepath.Glob(filepath.Join(libtch, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s has no Go files", libtch)
	}
	direct, inner := map[string][]string{}, map[string][]string{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil {
				continue
			}
			direct[f.Name.Name] = slices.DeleteFunc(selectors(f, "C"), func(c string) bool { return !exported.MatchString(c) })
			inner[f.Name.Name] = identifiers(f)
		}
	}
	all := map[string][]string{}
	for name := range direct {
		all[name] = closure(name, direct, inner, map[string]bool{})
	}
	return all, nil
}

func closure(name string, direct, inner map[string][]string, seen map[string]bool) []string {
	if seen[name] {
		return nil
	}
	seen[name] = true
	out := slices.Clone(direct[name])
	for _, called := range inner[name] {
		if _, ok := direct[called]; ok {
			out = append(out, closure(called, direct, inner, seen)...)
		}
	}
	return out
}

// selectors returns the names X of every expression pkg.X below the node.
func selectors(node ast.Node, pkg string) []string {
	var names []string
	ast.Inspect(node, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				names = append(names, s.Sel.Name)
			}
		}
		return true
	})
	return names
}

// identifiers returns the unqualified names that are called below the node.
func identifiers(node ast.Node) []string {
	var names []string
	ast.Inspect(node, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if x, ok := call.Fun.(*ast.Ident); ok {
				names = append(names, x.Name)
			}
		}
		return true
	})
	return names
}
