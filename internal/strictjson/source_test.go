package strictjson_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lenient are the packages that fold names, or that only this package may call, with what of them is refused; nil is
// all.
var lenient = map[string]map[string]bool{
	"encoding/json":                         {"Unmarshal": true, "NewDecoder": true, "Decoder": true},
	"github.com/go-json-experiment/json":    nil,
	"github.com/go-json-experiment/json/v1": nil,
	"github.com/json-iterator/go":           nil,
	"github.com/tidwall/gjson":              nil,
}

// Examples are programs of public packages: what they decode they have written themselves.
func TestNoOtherPackageDecodesJSON(t *testing.T) {
	root := filepath.Join("..", "..")
	require.FileExists(t, filepath.Join(root, "go.mod"))
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || path == filepath.Join(root, "examples")) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			filepath.Dir(path) == filepath.Join(root, "internal", "strictjson") {
			return nil
		}
		files++
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := lenientDecoding(path, source)
		if err != nil {
			return err
		}
		for _, place := range found {
			t.Errorf("%s: call internal/strictjson, internal/jsonfile or internal/jsonl", place)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 300, "the walk did not see the source tree")
}

func TestLenientDecodingIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		found  int
	}{
		"Unmarshal":           {`import "encoding/json"; var _ = json.Unmarshal`, 1},
		"a decoder":           {`import "encoding/json"; func f(r io.Reader) { json.NewDecoder(r).Decode(nil) }`, 1},
		"a decoder's type":    {`import "encoding/json"; var d json.Decoder`, 1},
		"another name":        {`import std "encoding/json"; var _ = std.Unmarshal`, 1},
		"no name":             {`import . "encoding/json"; var _ = Unmarshal`, 1},
		"the strict library":  {`import "github.com/go-json-experiment/json"; var _ = json.Unmarshal`, 1},
		"encoding is free":    {`import "encoding/json"; var _ = json.Marshal; var _ json.RawMessage`, 0},
		"this package itself": {`import "github.com/retort-ir/retort/internal/strictjson"; var _ = strictjson.Unmarshal`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := lenientDecoding("x.go", []byte("package p; "+c.source))
			require.NoError(t, err)
			require.Len(t, found, c.found)
		})
	}
}

// lenientDecoding returns the places in a Go file that decode JSON in another way than through this package.
func lenientDecoding(path string, source []byte) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	report := func(node ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s uses %s", files.Position(node.Pos()), what))
	}
	names := map[string]map[string]bool{} // of imported packages, with what is refused of them
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		refused, ok := lenient[imported]
		switch {
		case !ok:
		case refused == nil || spec.Name != nil && spec.Name.Name == ".":
			report(spec, imported)
		case spec.Name != nil:
			names[spec.Name.Name] = refused
		default:
			names[filepath.Base(imported)] = refused
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && names[x.Name][selector.Sel.Name] {
				report(selector, x.Name+"."+selector.Sel.Name)
			}
		}
		return true
	})
	return found, nil
}
