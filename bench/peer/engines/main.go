// Command engines is one side of "make bench-engines", which bench/peer/bench_engines.py drives: an encoder in pure Go,
// or on LibTorch where it was built with it. It opens a model, prints what it is, and then answers each line of its
// input, a request as JSON, by a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/kernel"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/torch"
)

func main() {
	model := flag.String("model", "", "model folder")
	threads := flag.Int("threads", 0, "threads; 0: as many as there are cores")
	tokens := flag.Int("tokens", 128, "maximum length of a passage in tokens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *model, transformer.Options{Threads: *threads, PassageTokens: *tokens}, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer/engines:", err)
		os.Exit(1)
	}
}

// opening is the first line of output.
type opening struct {
	Engine   string  `json:"engine"`
	Seconds  float64 `json:"seconds"`  // that opening the model took
	Resident int64   `json:"resident"` // bytes of the process's memory
}

// request asks for vectors of texts, or for times.
type request struct {
	Do      string   `json:"do"` // calls, batch, vectors, tokens or memory
	Texts   []string `json:"texts"`
	Calls   int      `json:"calls"`   // of one text each
	Callers int      `json:"callers"` // at the same time
}

func run(ctx context.Context, dir string, o transformer.Options, in io.Reader, out io.Writer) (err error) {
	begun := time.Now()
	model, err := transformer.Open(ctx, dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	answers := json.NewEncoder(out)
	opened := opening{Engine: "pure Go, " + kernel.Active().String(), Seconds: time.Since(begun).Seconds()}
	if version := torch.LoadedVersion(); version != "" {
		opened.Engine = "LibTorch " + version
	}
	opened.Resident = rss.Resident()
	if err := answers.Encode(opened); err != nil {
		return err
	}
	decode := func(line []byte) (request, error) { return jsonl.Decode[request](line, nil) }
	for r, err := range jsonl.ReadRecords(in, "request", decode) {
		if err != nil {
			return err
		}
		answer, err := r.Value.answer(ctx, model)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func (r request) answer(ctx context.Context, m *transformer.Model) (any, error) {
	switch r.Do {
	case "calls":
		return r.calls(ctx, m)
	case "batch":
		begun := time.Now()
		_, err := m.Encode(ctx, encoder.Passage, r.Texts)
		return time.Since(begun).Seconds(), err
	case "vectors":
		rows, err := m.Encode(ctx, encoder.Passage, r.Texts)
		return rows.Data, err
	case "tokens":
		return r.tokens(ctx, m)
	case "memory":
		return rss.Peak(), nil
	}
	return nil, fmt.Errorf(`request to do %q, want calls, batch, vectors, tokens or memory`, r.Do)
}

// calls returns the seconds of each call, and of all together as the last number.
func (r request) calls(ctx context.Context, m *transformer.Model) ([]float64, error) {
	took := make([]float64, r.Calls+1)
	next := make(chan int)
	callers, ctx := errgroup.WithContext(ctx)
	begun := time.Now()
	for range max(r.Callers, 1) {
		callers.Go(func() error {
			for i := range next {
				start := time.Now()
				if _, err := m.Encode(ctx, encoder.Passage, r.Texts[i%len(r.Texts):][:1]); err != nil {
					return err
				}
				took[i] = time.Since(start).Seconds()
			}
			return nil
		})
	}
	for i := 0; i < r.Calls && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	err := callers.Wait()
	took[r.Calls] = time.Since(begun).Seconds()
	return took, err
}

// tokens returns how many tokens each text has.
func (r request) tokens(ctx context.Context, m *transformer.Model) ([]int, error) {
	in, err := m.Prepare(ctx, encoder.Passage, r.Texts)
	if err != nil {
		return nil, err
	}
	all := make([]int, len(r.Texts))
	for i := range all {
		all[i] = in.Tokens(i)
	}
	return all, nil
}
