package retort_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/rooms"
)

const roomsFile = "testdata/rooms.txt"

func TestImportsRunDownThroughTheRooms(t *testing.T) {
	table, err := rooms.Read(roomsFile)
	require.NoError(t, err)
	imports, err := rooms.Imports(".")
	require.NoError(t, err)
	require.Greater(t, len(imports), 200)
	for _, i := range imports {
		from, known := table.Of(i.From)
		if !known {
			t.Errorf("package %s is in no room of %s: add its room there", i.From, roomsFile)
			continue
		}
		to, known := table.Of(i.To)
		if !known {
			t.Errorf("package %s imports %s, which is in no room of %s: add its room there", i.From, i.To, roomsFile)
			continue
		}
		if !table.Allows(from, to) {
			t.Errorf("package %s imports %s, but %s lets the room %s import only: %s", i.From, i.To, roomsFile, from.Name,
				strings.Join(from.May, ", "))
		}
	}
}

func TestAPackagePullsInNoMoreThanItsRoomAllows(t *testing.T) {
	table, err := rooms.Read(roomsFile)
	require.NoError(t, err)
	for _, r := range table {
		if r.Most == 0 {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			if files, err := filepath.Glob(filepath.Join(r.Folder(), "*.go")); err != nil || len(files) == 0 {
				t.Errorf("%s has the room %s, but there is no such package: %v", roomsFile, r.Name, err)
				return
			}
			packages, err := rooms.Dependencies(t.Context(), ".", r.Folder())
			require.NoError(t, err)
			if len(packages) > r.Most {
				t.Errorf("package %s pulls in %d packages, but %s allows %d:\n%s", r.Name, len(packages), roomsFile, r.Most,
					strings.Join(packages, "\n"))
			}
		})
	}
}

// A program that only trains builds anywhere and stays small.
func TestHeavyPackagesStayOutOfReach(t *testing.T) {
	for _, c := range []struct {
		folder string
		heavy  []string
	}{
		{
			"distill",
			[]string{
				"bleve", "protobuf", "gotch", "internal/torch", "sugarme/tokenizer", "openai", "/retort/mine",
				"/retort/generate",
			},
		},
		{"mine", []string{"gotch", "internal/torch", "sugarme/tokenizer", "openai"}},
		{"teacher", []string{"bleve", "gotch", "internal/torch", "sugarme/tokenizer", "openai"}},
		{"generate", []string{"bleve", "gotch", "internal/torch", "sugarme/tokenizer", "openai"}},
		{"eval", []string{"bleve", "gotch", "internal/torch", "sugarme/tokenizer", "openai"}},
		{"loss", []string{"bleve", "gotch", "internal/torch", "sugarme/tokenizer", "openai"}},
		{"encoder", []string{"bleve", "gotch", "internal/torch", "sugarme/tokenizer", "openai"}},
	} {
		packages, err := rooms.Dependencies(t.Context(), ".", c.folder)
		require.NoError(t, err)
		for _, heavy := range c.heavy {
			if i := slices.IndexFunc(packages, func(p string) bool { return strings.Contains(p, heavy) }); i >= 0 {
				t.Errorf("package %s pulls in %s", c.folder, packages[i])
			}
		}
	}
}

// The stores of the examples are no dependencies of Retort.
func TestTheRootModuleDoesNotRequireWhatItsExamplesNeed(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	for _, name := range []string{"jackc/pgx", "pgvector", "sqlite", "qdrant", "opensearch", "elasticsearch"} {
		require.NotContains(t, string(mod), name)
	}
}
