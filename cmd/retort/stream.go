package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/runfolder"
)

const (
	stdinPath = "-"              // as the value of -corpus
	stdinName = "standard input" // in errors
)

var errTerminal = fmt.Errorf("%w: -corpus -: standard input is a terminal: pipe a corpus into it, or name a file",
	errUsage)

// isStream reports whether path can be read only once: it is standard input or a pipe.
func isStream(path string) bool {
	if path == stdinPath {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// openCorpus opens a corpus without loading it into memory. It copies a stream to a temporary file.
func openCorpus(ctx context.Context, path string) (*retort.FileCorpus, error) {
	if !isStream(path) {
		return retort.OpenCorpus(ctx, path)
	}
	return readStream(ctx, path)
}

func loadCorpus(ctx context.Context, path string) (*retort.MemoryCorpus, error) {
	if !isStream(path) {
		return await(ctx, func() (*retort.MemoryCorpus, error) { return retort.LoadCorpus(path) })
	}
	return await(ctx, func() (*retort.MemoryCorpus, error) {
		stream, err := openStream(path)
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		var passages []retort.Passage
		for p, err := range retort.ReadPassages(stream, stream.name) {
			if err != nil {
				return nil, err
			}
			passages = append(passages, p)
		}
		if len(passages) == 0 {
			return nil, fmt.Errorf("%s: no passages: want JSON Lines, one object per line", stream.name)
		}
		corpus, err := retort.NewCorpus(passages)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stream.name, err)
		}
		return corpus, nil
	})
}

func readStream(ctx context.Context, path string) (*retort.FileCorpus, error) {
	return await(ctx, func() (*retort.FileCorpus, error) {
		stream, err := openStream(path)
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		return retort.ReadCorpus(ctx, stream, stream.name)
	})
}

type stream struct {
	io.Reader
	file *os.File
	name string
}

// Close leaves standard input open.
func (s *stream) Close() error {
	if s.name == stdinName {
		return nil
	}
	return s.file.Close()
}

func openStream(path string) (*stream, error) {
	if path != stdinPath {
		f, err := regular.OpenStream(path)
		if err != nil {
			return nil, err
		}
		return &stream{f, f, path}, nil
	}
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errTerminal
	}
	return &stream{stdin, os.Stdin, stdinName}, nil
}

// stdin is buffered, so that isEmpty can peek at it.
var stdin = bufio.NewReader(os.Stdin)

// isEmpty reports whether path is standard input without a corpus: a terminal, or a pipe that holds no byte.
func isEmpty(ctx context.Context, path string) (bool, error) {
	if path != stdinPath || term.IsTerminal(int(os.Stdin.Fd())) {
		return path == stdinPath, nil
	}
	return await(ctx, func() (bool, error) {
		_, err := stdin.Peek(1)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		return false, err
	})
}

// openRunCorpus opens the corpus of a run. For an empty stream it opens the copy that an earlier call left in the run
// folder, so that a run with a piped corpus can resume.
func openRunCorpus(ctx context.Context, path, run string, p *progress.Progress) (*retort.FileCorpus, error) {
	if !isStream(path) {
		return retort.OpenCorpus(ctx, path)
	}
	kept := filepath.Join(run, runCorpus)
	if _, err := os.Stat(kept); err != nil {
		return readStream(ctx, path)
	}
	empty, err := isEmpty(ctx, path)
	if err != nil {
		return nil, err
	}
	if !empty {
		return readStream(ctx, path)
	}
	if err := runfolder.CheckRead(ctx, run, runfolder.Pipeline, runCorpus); err != nil {
		return nil, fmt.Errorf("standard input is empty, and the run's copy of the corpus is unusable: "+
			"%w, and pipe the corpus again", err)
	}
	corpus, err := retort.OpenCorpus(ctx, kept)
	if err != nil {
		return nil, fmt.Errorf("standard input is empty, and the run's copy of the corpus cannot be read: %w", err)
	}
	p.Print(fmt.Sprintf("standard input is empty: reading the copy of the corpus in %s", run))
	return corpus, nil
}

// The copy of the corpus and the specialised model in a run folder.
const runCorpus, runModel, runPage = "corpus.jsonl", "model", "report.html"
