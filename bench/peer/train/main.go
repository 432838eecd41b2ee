// Command train is Retort's side of the comparison of training in "make bench-peer", which
// bench/peer/bench_peer_train.py drives.
//
//	train -make DIR [-corpus FILE] [-count N] [-list N]
//
// writes DIR/corpus.jsonl and DIR/lists.jsonl: extractive queries of passages at equal distances in the corpus, Go's
// own documentation where none is given, each with its source and BM25's first passages, scored by BM25. They need no
// model and cost a few seconds; as targets they are as good as any for measuring time and memory.
//
//	train -model DIR -corpus FILE -lists FILE [-steps N] [-queries N] [-list N] ...
//
// cuts steps out of the lists, prints them as one line of JSON, and then makes a step of distill.Train for each line
// "step" of its input, and prints what it was like. Between steps it waits, so that two programs can take turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/loss"
)

func main() {
	var s settings
	flag.StringVar(&s.make, "make", "", "write a corpus and lists to this folder, and exit")
	flag.IntVar(&s.count, "count", 1024, "queries that -make writes lists for")
	flag.StringVar(&s.model, "model", "", "model folder")
	flag.StringVar(&s.corpus, "corpus", "", "corpus.jsonl")
	flag.StringVar(&s.lists, "lists", "", "lists, such as a run's filter.jsonl")
	flag.StringVar(&s.precision, "precision", "fp32", "fp32 or bf16")
	flag.StringVar(&s.loss, "loss", "joint", "joint (KL and InfoNCE) or infonce")
	flag.Float64Var(&s.lr, "lr", 2e-5, "peak learning rate")
	flag.IntVar(&s.threads, "threads", 0, "threads; 0: as many as there are cores")
	flag.IntVar(&s.steps, "steps", 7, "maximum number of steps")
	flag.IntVar(&s.queries, "queries", 32, "queries per step")
	flag.IntVar(&s.length, "list", 20, "passages per list")
	flag.IntVar(&s.tokens, "tokens", 256, "maximum tokens of a text")
	flag.Int64Var(&s.graphBudget, "graph-budget", 0, "distill.Memory.GraphBudget, in bytes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, s, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer/train:", err)
		os.Exit(1)
	}
}

type settings struct {
	make, model, corpus, lists, precision, loss    string
	lr                                             float64
	count, threads, steps, queries, length, tokens int
	graphBudget                                    int64
}

func (s settings) validate() error {
	for _, f := range []struct {
		name         string
		value, least int
	}{
		{"count", s.count, 1},
		{"steps", s.steps, 1},
		{"queries", s.queries, 1},
		{"list", s.length, 2},
		{"tokens", s.tokens, 3},
	} {
		if f.value < f.least {
			return fmt.Errorf("-%s is %d, want at least %d", f.name, f.value, f.least)
		}
	}
	if !(s.lr > 0 && s.lr < math.Inf(1)) {
		return fmt.Errorf("-lr is %v, want a positive number", s.lr)
	}
	_, err := s.trainingLoss()
	return err
}

// trainingLoss has the paper's temperatures, without its mask: the peer's losses have none.
func (s settings) trainingLoss() (loss.Loss, error) {
	joint, infoNCE := loss.Paper(), loss.InfoNCE{Temperature: 0.01}
	joint[1].Loss = infoNCE
	switch s.loss {
	case "joint":
		return joint, nil
	case "infonce":
		return infoNCE, nil
	}
	return nil, fmt.Errorf("-loss is %q, want joint or infonce", s.loss)
}

func run(ctx context.Context, s settings, in io.Reader, out io.Writer) (err error) {
	if err := s.validate(); err != nil {
		return err
	}
	if s.make != "" {
		return makeLists(ctx, s)
	}
	corpus, err := retort.LoadCorpus(s.corpus)
	if err != nil {
		return err
	}
	lists, err := retort.LoadLists(s.lists)
	if err != nil {
		return err
	}
	if lists, err = choose(corpus, lists, s.steps*s.queries, s.length); err != nil {
		return fmt.Errorf("%s: %w", s.lists, err)
	}
	model, err := transformer.Open(ctx, s.model, transformer.Options{
		Threads: s.threads, Precision: retort.Precision(s.precision), QueryTokens: s.tokens, PassageTokens: s.tokens,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	return serve(ctx, s, torch.LoadedVersion(), model, corpus, lists, in, out)
}
