// Command benchpeer is Retort's side of "make bench-peer", which bench/peer/bench_peer.py drives. It opens a model,
// prints the texts to encode as one line of JSON, and then answers each line of its input:
//
//	time     encodes all texts and prints the seconds that it took
//	vectors  encodes all texts and prints the vectors end to end as one JSON array
//
// Start-up and the transport of vectors are thus no part of what is measured.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/eval/godoc"
	"github.com/retort-ir/retort/internal/torch"
)

func main() {
	model := flag.String("model", "", "model folder")
	texts := flag.Int("texts", 512, "number of texts")
	threads := flag.Int("threads", 0, "threads; 0: as many as there are cores")
	flag.Parse()
	if *texts < 1 {
		fmt.Fprintf(os.Stderr, "benchpeer: -texts is %d, want at least 1\n", *texts)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *model, *texts, *threads, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer:", err)
		os.Exit(1)
	}
}

// opening is the first line of output.
type opening struct {
	Go       string   `json:"go"`       // the version whose documentation the texts are
	LibTorch string   `json:"libtorch"` // version
	Texts    []string `json:"texts"`
}

func run(ctx context.Context, dir string, n, threads int, in io.Reader, out io.Writer) (err error) {
	o, err := open(ctx, n)
	if err != nil {
		return err
	}
	model, err := transformer.Open(ctx, dir, transformer.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	return serve(ctx, model, o, in, out)
}

// serve prints o and answers the requests until in ends.
func serve(ctx context.Context, e encoder.Encoder, o *opening, in io.Reader, out io.Writer) error {
	answers := json.NewEncoder(out)
	if err := answers.Encode(o); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer, err := answerTo(ctx, lines.Text(), e, o.Texts)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answerTo(ctx context.Context, request string, e encoder.Encoder, texts []string) (any, error) {
	if request != "time" && request != "vectors" {
		return nil, fmt.Errorf("request is %q, want time or vectors", request)
	}
	start := time.Now()
	vectors, err := e.Encode(ctx, encoder.Passage, texts)
	if err != nil {
		return nil, err
	}
	if request == "time" {
		return time.Since(start).Seconds(), nil
	}
	return vectors.Data, nil
}

func open(ctx context.Context, n int) (*opening, error) {
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return nil, err
	}
	texts, err := spread(documentation.Corpus, n)
	if err != nil {
		return nil, err
	}
	return &opening{Go: documentation.Version, LibTorch: torch.LoadedVersion(), Texts: texts}, nil
}

// spread returns the contents of n passages at equal distances.
func spread(corpus retort.Corpus, n int) ([]string, error) {
	n = min(n, corpus.Len())
	texts := make([]string, n)
	for i := range texts {
		p, err := corpus.At(i * corpus.Len() / n)
		if err != nil {
			return nil, err
		}
		texts[i] = p.Content()
	}
	return texts, nil
}
