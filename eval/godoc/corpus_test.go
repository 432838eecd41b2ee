package godoc

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

const smallGOROOT = "testdata/goroot"

func passage(id, text string) retort.Passage { return retort.Passage{ID: id, Title: id, Text: text} }

func TestBuildTakesEveryDocumentedSymbolOfThisPlatformAndNothingElse(t *testing.T) {
	got, err := buildPassages(t.Context(), smallGOROOT)
	require.NoError(t, err)
	require.Equal(t, []retort.Passage{
		passage("box", "Package box packs things. See Box and the Box.Open method."),
		passage("box.MaxItems", "MaxItems is the most that a box holds."),
		passage("box.ErrFull", "ErrFull is returned when nothing more fits."),
		passage("box.Box", "Box is a container.\n\nThe zero value is an empty box:\n\n\tvar b Box\n\tb.Open()"),
		passage("box.New", "New returns a box of the given size."),
		passage("box.Pack", "Pack puts items in a box."),
		passage("box.Box.Open", "Open opens the box. It returns ErrFull when the box is full."),
		passage("box.Box.Weigh", "Weigh is a method of an embedded type that is not exported."),
		passage("box.Opener", "Opener is what can be opened."),
		passage("box.Opener.Open", "Open opens it."),
		passage("box.Opener.Shut", "Shut shuts it."),
		passage("box.Size", "Size is how much a box holds."),
		passage("box.Small", "fits in a pocket"),
		passage("box.Medium", "Sizes of boxes."),
		passage("box.Large", "Large boxes need a van.\n\nmore than a metre"),
		passage("box/lid", "Package lid closes boxes."),
		passage("builtin", "Package builtin names what the language predeclares."),
		passage("builtin.size", "The size built-in function tells how large a value is."),
		passage("builtin.bool", "The bool type has two values."),
		passage("builtin.error", "The error type is an interface."),
		passage("builtin.error.Error", "Error describes the error."),
	}, got)
}

func TestBuildIsDeterministic(t *testing.T) {
	first, err := buildPassages(t.Context(), smallGOROOT)
	require.NoError(t, err)
	for range 20 {
		again, err := buildPassages(t.Context(), smallGOROOT)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}

func TestBuildRefusesWhatIsNoGOROOT(t *testing.T) {
	write := func(t *testing.T, source string) string {
		root := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(root, "src", "p"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "src", "p", "p.go"), []byte(source), 0o644))
		return root
	}
	for _, c := range []struct {
		name, source, want string
	}{
		{"broken source", "package p\n\nfunc {", "p.go:3:6"},
		{"nothing documented", "package p\n", "no documented package"},
		{"broken constraint", "//go:build (linux\n\npackage p\n", "p.go"},
		{"no utf-8", "// Package p \xff.\npackage p\n", "p.go:1:14"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := buildPassages(t.Context(), write(t, c.source))
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("no such folder", func(t *testing.T) {
		_, err := buildPassages(t.Context(), filepath.Join(t.TempDir(), "nowhere"))
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "nowhere")
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := buildPassages(ctx, smallGOROOT)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// realCorpus returns the corpus of this machine's Go, or skips the test where its sources are not there.
func realCorpus(tb testing.TB) (goroot string, corpus *retort.MemoryCorpus) {
	tb.Helper()
	goroot, err := findGOROOT(tb.Context())
	if err != nil {
		tb.Skip("no Go on this machine: put the go command on the PATH to run this test:", err)
	}
	if _, err := os.Stat(filepath.Join(goroot, "src", "fmt", "print.go")); err != nil {
		tb.Skip("this Go came without its sources: install a release from go.dev to run this test:", err)
	}
	corpus, err = machineCorpus()
	require.NoError(tb, err)
	return goroot, corpus
}

// machineCorpus builds that corpus once for all tests. NewCorpus refuses empty and repeated ids.
var machineCorpus = sync.OnceValues(func() (*retort.MemoryCorpus, error) {
	documentation, err := Load(context.Background())
	if err != nil {
		return nil, err
	}
	return documentation.Corpus, nil
})

func TestBuildOfThisMachinesGo(t *testing.T) {
	goroot, corpus := realCorpus(t)
	version, err := goVersion(goroot)
	require.NoError(t, err)
	t.Logf("%s: %d passages", version, corpus.Len())
	// go1.26.8 on linux/amd64 has 7,618. Other versions and systems differ, mostly in package syscall.
	require.Greater(t, corpus.Len(), 6000)
	require.Less(t, corpus.Len(), 12000)

	for i := range corpus.Len() {
		p, err := corpus.At(i)
		require.NoError(t, err)
		require.Equal(t, p.ID, p.Title)
		require.NotEmpty(t, strings.TrimSpace(p.Text), p.ID)
		require.True(t, utf8.ValidString(p.Text), p.ID)
		for _, part := range strings.FieldsFunc(p.ID, func(r rune) bool { return r == '/' || r == '.' }) {
			require.False(t, skipped[part], p.ID)
		}
	}
}

func TestCorpusHoldsSymbolsOfEveryKind(t *testing.T) {
	_, corpus := realCorpus(t)
	for _, c := range []struct{ id, text string }{
		{"net/http", "Package http provides HTTP client and server implementations."},
		{"encoding/json.Marshal", "Marshal returns the JSON encoding of v."},
		{"net/http.Server.Shutdown", "Shutdown gracefully shuts down the server"},
		{"bufio.Scanner", "Scanner provides a convenient interface for reading data"},
		{"bufio.NewScanner", "NewScanner returns a new Scanner to read from r."},  // in go/doc a function of its type
		{"net.Conn.SetDeadline", "SetDeadline sets the read and write deadlines"}, // of an interface
		{"testing.T.Errorf", "Errorf is equivalent to Logf followed by Fail."},    // of an embedded type
		{"io.EOF", "EOF is the error returned by Read when no more input is available."},
		{"log.Lshortfile", "final file name element and line number"}, // a comment behind the name
		{"time.RFC3339", "These are predefined layouts"},              // the comment of its group
		{"builtin.append", "The append built-in function appends elements"},
	} {
		i, ok := corpus.Index(c.id)
		require.True(t, ok, c.id)
		p, err := corpus.At(i)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(p.Text, c.text), "%s: %.80s", c.id, p.Text)
	}
}

func BenchmarkBuild(b *testing.B) {
	goroot, _ := realCorpus(b)
	for b.Loop() {
		_, err := buildPassages(b.Context(), goroot)
		require.NoError(b, err)
	}
}
