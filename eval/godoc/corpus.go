package godoc

import (
	"context"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/retort-ir/retort"
)

// buildPassages returns the documentation of the packages under goroot/src as passages: those that the machine's
// operating system and architecture build, without internal, vendor, testdata and cmd.
//
// There is one passage for each package and for each exported constant, variable, function, type, method and interface
// method that has a comment. Its id and its title are the name as a programmer would qualify it with the import path
// ("net/http", "encoding/json.Marshal", "net/http.Server.Shutdown"); its text is the comment as plain text, one line a
// paragraph. What has no comment is left out, because a search has nothing to find it by but its name. A constant or
// variable of a group that has no comment of its own takes the group's. Struct fields are not in the corpus. Package
// builtin stands for the language's predeclared names, exported or not.
//
// The order is that of the import paths and, in a package, that of go/doc. It ends soon after ctx does.
func buildPassages(ctx context.Context, goroot string) ([]retort.Passage, error) {
	dirs, err := packageDirs(ctx, goroot)
	if err != nil {
		return nil, err
	}
	found := make([][]retort.Passage, len(dirs))
	err = eachDir(ctx, dirs, func(i int, d packageDir) (err error) {
		found[i], err = packagePassages(d)
		return err
	})
	if err != nil {
		return nil, err
	}
	var passages []retort.Passage
	for _, f := range found {
		passages = append(passages, f...)
	}
	if len(passages) == 0 {
		return nil, fmt.Errorf("%s: no documented package: is this the GOROOT of a Go installation with its sources?",
			filepath.Join(goroot, "src"))
	}
	return passages, nil
}

// packagePassages returns the passages of the package in d, none when nothing there is built on this machine.
func packagePassages(d packageDir) ([]retort.Passage, error) {
	fset := token.NewFileSet()
	files, err := parseDir(fset, d, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }, nil)
	if err != nil || len(files) == 0 || files[0].Name.Name == "main" {
		return nil, err
	}
	var mode doc.Mode
	if d.importPath == "builtin" {
		mode = doc.AllDecls
	}
	pkg, err := doc.NewFromFiles(fset, files, d.importPath, mode)
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", d.dir, err)
	}
	c := newCollector(pkg, mode)
	c.add(d.importPath, pkg.Doc)
	c.values(pkg.Consts)
	c.values(pkg.Vars)
	c.funcs(pkg.Funcs)
	for _, t := range pkg.Types {
		c.typ(t)
	}
	return c.passages, nil
}

// collector gathers the passages of one package.
type collector struct {
	pkg      *doc.Package
	all      bool // also what is not exported
	text     func(comment string) string
	passages []retort.Passage
}

func newCollector(pkg *doc.Package, mode doc.Mode) *collector {
	p := pkg.Parser()
	pr := pkg.Printer()
	pr.TextWidth = -1 // one line a paragraph
	return &collector{
		pkg:  pkg,
		all:  mode&doc.AllDecls != 0,
		text: func(comment string) string { return strings.TrimSpace(string(pr.Text(p.Parse(comment)))) },
	}
}

func (c *collector) add(id, comment string) {
	if text := c.text(comment); text != "" {
		c.passages = append(c.passages, retort.Passage{ID: id, Title: id, Text: text})
	}
}

func (c *collector) symbol(name, comment string) { c.add(c.pkg.ImportPath+"."+name, comment) }

func (c *collector) exported(name string) bool {
	return name != "_" && (c.all || token.IsExported(name))
}

func (c *collector) values(groups []*doc.Value) {
	for _, g := range groups {
		for _, s := range g.Decl.Specs {
			spec := s.(*ast.ValueSpec)
			comment := comments(spec.Doc, spec.Comment)
			if comment == "" {
				comment = g.Doc
			}
			for _, n := range spec.Names {
				if c.exported(n.Name) {
					c.symbol(n.Name, comment)
				}
			}
		}
	}
}

func (c *collector) funcs(funcs []*doc.Func) {
	for _, f := range funcs {
		c.symbol(f.Name, f.Doc)
	}
}

func (c *collector) typ(t *doc.Type) {
	c.symbol(t.Name, t.Doc)
	c.values(t.Consts)
	c.values(t.Vars)
	c.funcs(t.Funcs)
	for _, m := range t.Methods {
		c.symbol(t.Name+"."+m.Name, m.Doc)
	}
	for _, s := range t.Decl.Specs {
		if i, ok := s.(*ast.TypeSpec).Type.(*ast.InterfaceType); ok {
			c.interfaceMethods(t.Name, i)
		}
	}
}

// interfaceMethods adds what go/doc leaves in the declaration: the comments on an interface's methods.
func (c *collector) interfaceMethods(typ string, i *ast.InterfaceType) {
	for _, m := range i.Methods.List {
		for _, n := range m.Names { // an embedded interface has none
			if c.exported(n.Name) {
				c.symbol(typ+"."+n.Name, comments(m.Doc, m.Comment))
			}
		}
	}
}

// comments joins the comment above a name and the one behind it.
func comments(above, behind *ast.CommentGroup) string {
	return strings.TrimSpace(above.Text() + "\n" + behind.Text())
}

// packageDir is a folder that may hold a package.
type packageDir struct {
	dir, importPath string
}

// skipped are the folders of goroot/src that hold nothing a program can import.
var skipped = map[string]bool{"internal": true, "vendor": true, "testdata": true, "cmd": true}

func packageDirs(ctx context.Context, goroot string) ([]packageDir, error) {
	src := filepath.Join(goroot, "src")
	var dirs []packageDir
	err := filepath.WalkDir(src, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !e.IsDir() || path == src {
			return nil
		}
		if skipped[e.Name()] || strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_") {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		dirs = append(dirs, packageDir{dir: path, importPath: filepath.ToSlash(rel)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the packages of GOROOT %s: %w", goroot, err)
	}
	return dirs, nil
}

// eachDir calls work for every folder, on all processors. It returns the first folder's error, or ctx's.
func eachDir(ctx context.Context, dirs []packageDir, work func(i int, d packageDir) error) error {
	errs := make([]error, len(dirs))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				errs[i] = work(i, dirs[i])
			}
		}()
	}
	for i := range dirs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// parseDir parses the Go files in d that this machine builds, whose name wantName and whose source wantSource (which
// may be nil) accept.
func parseDir(
	fset *token.FileSet, d packageDir, wantName func(string) bool, wantSource func([]byte) bool,
) ([]*ast.File, error) {
	platform := build.Default
	platform.CgoEnabled = true // so that the corpus does not hang on CGO_ENABLED
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || !wantName(e.Name()) {
			continue
		}
		path := filepath.Join(d.dir, e.Name())
		built, err := platform.MatchFile(d.dir, e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !built {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if wantSource != nil && !wantSource(source) {
			continue
		}
		file, err := parser.ParseFile(fset, path, source, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse Go's sources: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}
