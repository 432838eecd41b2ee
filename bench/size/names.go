package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/rooms"
)

// exportedNames counts the exported types, functions, variables and constants at the top level of each public package.
// Methods and fields do not count, nor do programs, examples and the modules below the root.
func exportedNames(dir string) (map[string]int, error) {
	names := map[string]map[string]bool{}
	err := rooms.Walk(dir, func(file string) error {
		folder := path.Dir(file)
		if path.Ext(file) != ".go" || !public(folder) {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if parsed.Name.Name == "main" {
			return nil
		}
		if names[folder] == nil {
			names[folder] = map[string]bool{}
		}
		for _, decl := range parsed.Decls {
			for _, name := range declared(decl) {
				if ast.IsExported(name) {
					names[folder][name] = true
				}
			}
		}
		return nil
	})
	counts := map[string]int{}
	for folder, n := range names {
		counts[folder] = len(n)
	}
	return counts, err
}

// public says whether users may import the package in a folder: it is in the root's module, and is neither internal nor
// a program's.
func public(folder string) bool {
	first, _, _ := strings.Cut(folder, "/")
	switch first {
	case "cmd", "examples", "internal", "bench", "beam", "scripts":
		return false
	}
	return !strings.Contains(folder+"/", "/internal/")
}

// declared returns the names that a declaration declares at the top level.
func declared(decl ast.Decl) []string {
	var names []string
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}
