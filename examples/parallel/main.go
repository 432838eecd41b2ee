// Command parallel trains one encoder with several processes, on one machine or several, from lists that a teacher has
// scored: those of retort score, or your own. README.md says how to start it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/gloo"
	"github.com/retort-ir/retort/encoder/transformer"
)

type settings struct {
	corpus, lists, model, out string
	checkpoints               string
	threads                   int
	timeout                   time.Duration
	training                  distill.Options
}

func main() {
	s := settings{training: distill.DefaultOptions()}
	queries := flag.Bool("query-side", false, "train only the query tower")
	flag.IntVar(&s.training.Schedule.Epochs, "epochs", s.training.Schedule.Epochs, "passes over the lists")
	flag.IntVar(&s.training.Schedule.QueriesPerStep, "queries-per-step", s.training.Schedule.QueriesPerStep,
		"lists a step, over all processes")
	flag.Float64Var(&s.training.Schedule.LR, "lr", s.training.Schedule.LR, "peak learning rate")
	flag.StringVar(&s.checkpoints, "checkpoints", "", "folder of checkpoints; only rank 0 needs access")
	flag.IntVar(&s.threads, "threads", 0, "threads of a process; 0: an equal share of the machine")
	flag.DurationVar(&s.timeout, "timeout", 0, "maximum wait for a silent process; 0: 30 minutes")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: parallel [FLAGS] CORPUS.jsonl LISTS.jsonl MODEL-FOLDER NEW-FOLDER")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 4 {
		flag.Usage()
		os.Exit(2)
	}
	s.corpus, s.lists, s.model, s.out = flag.Arg(0), flag.Arg(1), flag.Arg(2), flag.Arg(3)
	if *queries {
		s.training.Towers = distill.QueryOnly
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := train(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parallel:", err)
		os.Exit(1)
	}
}

func train(ctx context.Context, s settings) (err error) {
	if _, err := os.Stat(s.out); err == nil { // not after hours of training
		return fmt.Errorf("%s exists: choose a new folder", s.out)
	}
	corpus, err := retort.LoadCorpus(s.corpus)
	if err != nil {
		return err
	}
	lists, err := retort.LoadLists(s.lists)
	if err != nil {
		return err
	}
	if s.threads == 0 {
		s.threads = max(1, runtime.GOMAXPROCS(0)/localWorkers())
	}
	student, err := transformer.Open(ctx, s.model, transformer.Options{Threads: s.threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, student.Close()) }()

	opts := s.training
	opts.Checkpoints.Dir = s.checkpoints
	opts.Events = retort.Events{ // of rank 0 alone
		Evaluation: func(e retort.Evaluation) { fmt.Printf("evaluation after step %d: %.4f\n", e.Step, e.Score) },
		Step: func(s retort.Step) {
			fmt.Printf("step %d of %d: loss %.4f, %d passages, %.0f%% of the time with the others\n", s.Step, s.Steps, s.Loss,
				s.Passages, 100*s.Exchange.Seconds()/s.Took.Seconds())
		},
	}
	leads := true
	options, err := gloo.FromEnv()
	switch {
	case errors.Is(err, gloo.ErrNoGroup): // one process
	case err != nil:
		return err
	default:
		options.Timeout = s.timeout
		group, err := gloo.Connect(ctx, options)
		if err != nil {
			return err
		}
		defer group.Close()
		opts.Group, leads = group, options.Rank == 0
	}
	result, err := distill.Train(ctx, student, corpus, lists, opts)
	if err != nil || !leads {
		return err
	}
	fmt.Printf("best after step %d of %d: nDCG@10 %.4f with the held-out lists, %.4f before\n", result.Best.Step,
		result.Steps, result.Best.Score, result.History[0].Score)
	return student.Save(s.out)
}

// localWorkers returns the number of processes on this machine, which torchrun sets.
func localWorkers() int {
	n, err := strconv.Atoi(os.Getenv("LOCAL_WORLD_SIZE"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}
