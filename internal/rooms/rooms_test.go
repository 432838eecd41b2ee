package rooms

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const small = `
# floor room most may import
2  cmd       -   below
2  examples  -   public
1  mine      40  retort internal
1  mine/deep  -  mine
0  retort    2   internal
0  internal  -
`

func TestImportsThatTheTableAllows(t *testing.T) {
	table, err := parse([]byte(small))
	require.NoError(t, err)
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd", "internal/x", true},
		{"cmd/inner", "mine/deep/er", true},
		{"cmd", "examples", false}, // the same floor
		{"examples/a", "examples/b", true},
		{"examples/a", "mine", true},
		{"examples/a", "internal/x", false},
		{"mine", ".", true},
		{"mine", "mine/deep", false},
		{"mine/deep", "mine", true},
		{"mine/deep", ".", false},
		{"internal/x", "internal/y", true},
		{"internal/x", ".", false},
		{".", "mine", false},
	} {
		from, known := table.Of(c.from)
		require.True(t, known, c.from)
		to, known := table.Of(c.to)
		require.True(t, known, c.to)
		require.Equal(t, c.want, table.Allows(from, to), "%s imports %s", c.from, c.to)
	}
	_, known := table.Of("mines")
	require.False(t, known, "of no room")
}

func TestMalformedTablesAreRefusedWithTheirLine(t *testing.T) {
	for _, c := range []struct{ name, table, want string }{
		{"too few fields", "0 a", "1: 2 fields"},
		{"no floor", "\nx a -", `2: floor "x"`},
		{"no bound", "0 a many", `1: bound "many"`},
		{"twice", "0 a -\n0 a -", "room a occurs twice"},
		{"no such room", "0 a - b", "may import b, which is no room"},
		{"upward", "0 a - b\n1 b -", "imports run down only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rooms.txt")
			require.NoError(t, os.WriteFile(path, []byte(c.table), 0o644))
			_, err := Read(path)
			require.ErrorContains(t, err, path+":")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestImportsOfATree(t *testing.T) {
	dir := t.TempDir()
	write := func(name, source string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(source), 0o644))
	}
	write("a.go", "package retort\n\nimport (\n\t\"os\"\n\t_ \""+Module+"/internal/x\"\n)")
	write("mine/m.go", "//go:build never\n\npackage mine\n\nimport \""+Module+"\"\nimport \""+Module+"er\"")
	write("mine/m_test.go", "package mine\n\nimport \""+Module+"/cmd\"")
	write("mine/testdata/t.go", "package t\n\nimport \""+Module+"/cmd\"")
	write(".git/g.go", "package g\n\nimport \""+Module+"/cmd\"")
	imports, err := Imports(dir)
	require.NoError(t, err)
	require.Equal(t, []Import{{".", "internal/x"}, {"mine", "."}}, imports)

	write("broken.go", "package")
	_, err = Imports(dir)
	require.ErrorContains(t, err, "broken.go")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("0 a 0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parse(data)
		if err != nil {
			return
		}
		for _, from := range table {
			for _, to := range table {
				require.False(t, table.Allows(from, to) && to.Floor > from.Floor)
			}
		}
	})
}
