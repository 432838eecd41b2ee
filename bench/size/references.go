package main

import (
	"cmp"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort/internal/rooms"
)

// references are how the files of a package use what other files of it declare.
type references struct {
	Files  int
	Pairs  int // (a, b): file a uses a name that file b declares at the top level, or a method that b declares
	Upward int // pairs to take away so that the files can be laid in floors, each of which uses lower ones only
}

// packageReferences reads the packages in the folders below dir, each by its path.
func packageReferences(dir string) (map[string]references, error) {
	files := map[string][]string{}
	err := rooms.Walk(dir, func(file string) error {
		if path.Ext(file) == ".go" {
			files[path.Dir(file)] = append(files[path.Dir(file)], file)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := map[string]references{}
	for folder, names := range files {
		graph, err := fileGraph(dir, names)
		if err != nil {
			return nil, err
		}
		found[folder] = references{Files: len(names), Pairs: graph.size(), Upward: graph.upward()}
	}
	return found, nil
}

// graph maps each node to those that it uses.
type graph [][]int

func (g graph) size() int {
	n := 0
	for _, to := range g {
		n += len(to)
	}
	return n
}

// fileGraph type-checks one package without its imports, which is enough to see where the package's own names are
// declared. What depends on an imported type stays unresolved.
func fileGraph(dir string, names []string) (graph, error) {
	set := token.NewFileSet()
	var files []*ast.File
	number := map[*token.File]int{}
	for i, name := range names {
		file, err := parser.ParseFile(set, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		number[set.File(file.FileStart)] = i
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{
		Importer: noImports{}, FakeImportC: true, DisableUnusedImportCheck: true,
		Error: func(error) {},
	}
	pkg, _ := config.Check(files[0].Name.Name, set, files, info) // its errors say what is not known of the imports
	g := make(graph, len(files))
	for ident, object := range info.Uses {
		if object.Pkg() != pkg || !topLevel(object) {
			continue
		}
		from, to := number[set.File(ident.Pos())], number[set.File(object.Pos())]
		if from != to && !slices.Contains(g[from], to) {
			g[from] = append(g[from], to)
		}
	}
	for _, to := range g {
		slices.Sort(to)
	}
	return g, nil
}

type noImports struct{}

var errNotRead = errors.New("imports are not read")

func (noImports) Import(string) (*types.Package, error) { return nil, errNotRead }

// topLevel says whether an object is declared at the top level of its package, or is a method.
func topLevel(object types.Object) bool {
	if f, ok := object.(*types.Func); ok && f.Signature().Recv() != nil {
		return true
	}
	return object.Parent() == object.Pkg().Scope()
}

// upward counts the references that run back up in an order of the files that has few: Eades, Lin and Smyth's (1993)
// greedy order, then single files moved as long as that helps. It is 0 exactly where no file depends on itself through
// others.
func (g graph) upward() int {
	order := g.greedyOrder()
	for improved := true; improved; {
		improved = false
		for _, node := range slices.Clone(order) {
			if g.moveToBest(order, node) {
				improved = true
			}
		}
	}
	return g.back(order)
}

// greedyOrder puts what nothing uses first, what uses nothing last, and otherwise first what uses the most more than it
// is used.
func (g graph) greedyOrder() []int {
	left := map[int]bool{}
	for i := range g {
		left[i] = true
	}
	var first, last []int
	for len(left) > 0 {
		in, out := g.degrees(left)
		nodes := slices.Sorted(maps.Keys(left))
		if i := slices.IndexFunc(nodes, func(n int) bool { return out[n] == 0 }); i >= 0 {
			last = append(last, nodes[i])
			delete(left, nodes[i])
			continue
		}
		if i := slices.IndexFunc(nodes, func(n int) bool { return in[n] == 0 }); i >= 0 {
			first = append(first, nodes[i])
			delete(left, nodes[i])
			continue
		}
		best := slices.MaxFunc(nodes, func(a, b int) int { return cmp.Compare(out[a]-in[a], out[b]-in[b]) })
		first = append(first, best)
		delete(left, best)
	}
	slices.Reverse(last)
	return append(first, last...)
}

func (g graph) degrees(left map[int]bool) (in, out map[int]int) {
	in, out = map[int]int{}, map[int]int{}
	for from := range left {
		for _, to := range g[from] {
			if left[to] {
				in[to]++
				out[from]++
			}
		}
	}
	return in, out
}

// moveToBest moves a node to where the fewest references run back up, and says whether that took any away.
func (g graph) moveToBest(order []int, node int) bool {
	before := g.back(order)
	at := slices.Index(order, node)
	rest := slices.Delete(slices.Clone(order), at, at+1)
	best, fewest := at, before
	for i := range order {
		if n := g.back(slices.Insert(slices.Clone(rest), i, node)); n < fewest {
			best, fewest = i, n
		}
	}
	copy(order, slices.Insert(rest, best, node))
	return fewest < before
}

// back counts the references from a node to one before it.
func (g graph) back(order []int) int {
	place := make([]int, len(g))
	for i, node := range order {
		place[node] = i
	}
	n := 0
	for from, to := range g {
		for _, t := range to {
			if place[t] < place[from] {
				n++
			}
		}
	}
	return n
}
