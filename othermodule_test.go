package retort_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const userProgram = `package main

import (
	"context"
	"fmt"
	"log"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

func main() {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "how to sort a slice"}, {ID: "b", Text: "open a file"}})
	if err != nil {
		log.Fatal(err)
	}
	index, err := mine.NewBM25(context.Background(), corpus, mine.BM25Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer index.Close()
	hits, err := index.Search(context.Background(), []retort.Query{{ID: "q", Text: "sorted slices"}}, 1)
	fmt.Println(hits[0][0].Index, err)
}
`

// A user's module requires Retort, adds the command as its tool and builds both. The user's go.sum begins as Retort's
// own, so entries that it has gained at the end are missing in Retort's. The go command may download go.mod files that
// the module cache lacks.
func TestAnotherModuleBuildsItsProgramAndTheCommand(t *testing.T) {
	root, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	sums, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	write("go.sum", string(sums))
	write("main.go", userProgram)
	write("go.mod",
		"module example.com/user\n\ngo 1.26.0\n\nrequire github.com/retort-ir/retort v0.0.0\n\nreplace github.com/retort-ir/retort => "+root+"\n")
	command := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOSUMDB=off", "GOWORK=off", "CGO_ENABLED=0",
			"GOBIN="+filepath.Join(dir, "bin"))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoError(t, err, "%s %v: %s", name, args, stderr.String())
		return string(out)
	}
	require.Equal(t, "0 <nil>\n", command("go", "run", "-mod=mod", "."))
	command("go", "mod", "edit", "-tool", "github.com/retort-ir/retort/cmd/retort")
	command("go", "install", "-mod=mod", "github.com/retort-ir/retort/cmd/retort")
	require.Contains(t, command(filepath.Join(dir, "bin", "retort"), "version"), "retort 0.1.0\n")
	after, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	require.NoError(t, err)
	require.Subset(t, strings.Split(string(sums), "\n"), strings.Split(string(after), "\n"),
		"go.sum needs entries that Retort's has not")
}
