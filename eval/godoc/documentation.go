package godoc

import (
	"context"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

// Documentation is the documentation of a Go installation. It is safe for concurrent use.
type Documentation struct {
	// Version is the version of Go, such as "go1.26.8".
	Version string
	// Corpus has one passage for each package and for each exported constant, variable, function, type, method and
	// interface method that has a comment. The id and the title are the name as a programmer would qualify it with the
	// import path ("net/http", "encoding/json.Marshal", "net/http.Server.Shutdown"); the text is the comment as plain
	// text, one line a paragraph. The packages are those that the machine's operating system and architecture build,
	// without internal, vendor, testdata and cmd.
	//
	// Written and Examples judge against Corpus. A caller may replace Corpus by a part of it before it calls them.
	Corpus *retort.MemoryCorpus

	root string
}

// Load reads the sources of the Go installation whose go command is on the PATH. Without such a command it reads those
// in the environment's GOROOT.
func Load(ctx context.Context) (*Documentation, error) {
	root, err := findGOROOT(ctx)
	if err != nil {
		return nil, err
	}
	return load(ctx, root)
}

func load(ctx context.Context, root string) (*Documentation, error) {
	version, err := goVersion(root)
	if err != nil {
		return nil, err
	}
	passages, err := buildPassages(ctx, root)
	if err != nil {
		return nil, err
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return nil, err
	}
	return &Documentation{Version: version, Corpus: corpus, root: root}, nil
}

// Written returns the queries of a half, "dev" or "test", that were written by hand as Go programmers ask them. No
// package has relevant symbols in both halves: "dev" is for choosing settings, "test" for reporting. Relevant symbols
// that the corpus does not hold are left out, since another version of Go may lack them, and so are queries that are
// left with none.
func (d *Documentation) Written(split string) (*eval.Collection, error) {
	set, err := writtenQueries(split, d.Corpus)
	if err != nil {
		return nil, err
	}
	return set.collection(d.Corpus), nil
}

// Examples returns the comments of runnable examples as queries. Each is judged relevant to the symbol or package that
// the example belongs to. The queries are made from the installation's sources: this repository holds no text of Go's.
func (d *Documentation) Examples(ctx context.Context) (*eval.Collection, error) {
	set, err := exampleQueries(ctx, d.root, d.Corpus)
	if err != nil {
		return nil, err
	}
	return set.collection(d.Corpus), nil
}
