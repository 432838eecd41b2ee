package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/eval/godoc"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/mine"
)

// answersResult is the JSON result of demo -answer.
type answersResult struct {
	Answers []answered `json:"answers"`
	OpenMS  float64    `json:"open_ms"`  // to open the model
	QueryMS float64    `json:"query_ms"` // to encode a query and rank the passages: the median
	Bytes   int64      `json:"bytes"`    // of this program
}

type answered struct {
	Query string  `json:"query"`
	ID    string  `json:"_id"` // of the best passage
	Score float32 `json:"score"`
}

// answerDemo answers queries of the demo with the model and the vectors in the folder of a finished run.
func answerDemo(ctx context.Context, run string, stdout, stderr io.Writer) (err error) {
	p := progress.New(stderr)
	corpus, err := loadCorpus(ctx, filepath.Join(run, runCorpus))
	if err != nil {
		return err
	}
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return err
	}
	test, err := documentation.Written("test")
	if err != nil {
		return err
	}
	model := filepath.Join(run, runModel)
	if err := checkModelOfRun(ctx, model); err != nil { // reads all of it, so it is not in the time to open the model
		return err
	}
	start := time.Now()
	enc, err := openEncoder(ctx, model, transformer.Options{Logger: slog.New(lineHandler{p})})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, enc.Close()) }()
	r := answersResult{OpenMS: milliseconds(start)}
	index, err := openRunVectors(ctx, enc, corpus, run, p)
	if err != nil {
		return err
	}
	if r.Answers, r.QueryMS, err = answerEach(ctx, index, corpus, demoSample(test.Queries)); err != nil {
		return err
	}
	if r.Bytes, err = programSize(); err != nil {
		return err
	}
	return r.print(stdout)
}

// openRunVectors opens the passage vectors of a run, unless its model has another passage tower.
func openRunVectors(
	ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, run string, p *progress.Progress,
) (*mine.Dense, error) {
	path := filepath.Join(run, "vectors.npy")
	index, err := readDense(enc, corpus, path, p)
	if err != nil {
		return nil, err
	}
	first, err := corpus.At(0)
	if err != nil {
		return nil, err
	}
	stored := matrix.Rows(index.Vectors(), 0, 1)
	if err := encoder.CheckVectors(ctx, enc, []string{first.Content()}, stored); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return index, nil
}

// answerEach returns the best passage of each query, and the median time of a query in milliseconds.
func answerEach(
	ctx context.Context, index *mine.Dense, corpus retort.Corpus, queries []retort.Query,
) (answers []answered, median float64, err error) {
	times := make([]float64, len(queries))
	for i, q := range queries {
		start := time.Now()
		rankings, err := index.Search(ctx, []retort.Query{q}, 1)
		if err != nil {
			return nil, 0, err
		}
		times[i] = milliseconds(start)
		best := rankings[0][0]
		passage, err := corpus.At(best.Index)
		if err != nil {
			return nil, 0, err
		}
		answers = append(answers, answered{q.Text, passage.ID, best.Score})
	}
	slices.Sort(times)
	return answers, times[len(times)/2], nil
}

func (r answersResult) print(w io.Writer) error {
	if wantsJSON(w) {
		return writeResult(w, r)
	}
	fmt.Fprintln(w)
	for _, a := range r.Answers {
		fmt.Fprintf(w, "%-60q  %s (%.3f)\n", a.Query, a.ID, a.Score)
	}
	_, err := fmt.Fprintf(w, "\nanswered by one binary of %.1f MiB (CGO_ENABLED=%s): %.0f ms to open the model, "+
		"%.1f ms a query (median of %d)\n", float64(r.Bytes)/(1<<20), cgoEnabled(), r.OpenMS, r.QueryMS, len(r.Answers))
	return err
}

func programSize() (int64, error) {
	path, err := os.Executable()
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// cgoEnabled returns the value of CGO_ENABLED that this program was built with.
func cgoEnabled() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "CGO_ENABLED" {
				return s.Value
			}
		}
	}
	return "unknown"
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }
