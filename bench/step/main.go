// Command benchstep measures a step of distill.Train and prints tables in Markdown: its time, its memory and the share
// of the machine's speed that it reaches, against the number of queries, the length of lists and passages, and the
// share of distinct passages. "make bench-step" runs it.
//
// It needs neither a corpus nor a model: texts are random words of the tokenizer's vocabulary, as many tokens long as
// the row says, and weights are random. Each row is a process of its own, so that its memory is its own, and takes
// -steps steps after one that warms up, of which the median is printed; a row that would take longer than -limit says
// so. All rows take the same step again and again, by the paper's loss, both towers, duplicates counted.
//
// What the columns mean:
//
//	s a step        all phases of a step together, as retort.Step gives them
//	tokens/s        of distinct passages and queries, without padding, through the whole step
//	distinct        share of distinct passages among those of the lists
//	padding         share of padding among the tokens of the first pass
//	second pass     share of the tokens that took a second forward pass, since their graphs were not kept
//	loss, AdamW     their shares of the time
//	peak MiB        the most anonymous memory while training (RssAnon, sampled), above that of the opened model: gradients,
//	                AdamW's moments, vectors and graphs
//	of GEMM         share of the machine's measured peak: the step's floating point operations (see flops), over the time,
//	                over what a large matrix product in the same precision reaches through the same LibTorch in this run
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/internal/strictjson"
)

func main() {
	s := settings{}
	flag.StringVar(&s.tables, "tables", "queries,small,list,tokens,distinct,graphs",
		"tables to print: "+strings.Join(tableNames(), ","))
	flag.StringVar(&s.model, "model", "", "model folder for the tables of a MiniLM; empty: random weights of its shape")
	flag.IntVar(&s.base.Queries, "queries", 16, "queries per step, in tables that do not vary it")
	flag.IntVar(&s.base.List, "list", 20, "passages per list, in tables that do not vary it")
	flag.IntVar(&s.base.Tokens, "tokens", 64, "tokens per passage, in tables that do not vary it")
	flag.IntVar(&s.base.Steps, "steps", 3, "measured steps per row")
	flag.StringVar(&s.base.Precision, "precision", "fp32", "fp32 or bf16")
	flag.StringVar(&s.base.Loss, "loss", "go", "where the loss is computed: go or libtorch")
	flag.IntVar(&s.base.MicroBatchTokens, "micro-batch", distill.DefaultOptions().Memory.MicroBatchTokens, "tokens of a micro-batch, padding included")
	flag.IntVar(&s.base.Threads, "threads", 0, "threads; 0: as many as there are cores")
	flag.StringVar(&s.base.Device, "device", "cpu", "cpu, cuda or cuda:N, counted from 0")
	flag.IntVar(&s.gemm, "gemm", 4096, "size of the square matrices that measure the machine's peak")
	flag.IntVar(&s.most, "most", 0, "skip rows with more queries; 0: skip none")
	flag.DurationVar(&s.limit, "limit", 10*time.Minute, "time limit of a row")
	job := flag.String("job", "", "job of a child process; internal")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *job != "" {
		err = child(ctx, *job, os.Stdout)
	} else {
		err = s.print(ctx, os.Stdout, process)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchstep:", err)
		os.Exit(1)
	}
}

type settings struct {
	tables, model string
	base          row
	gemm, most    int
	limit         time.Duration
}

func (s settings) validate() error {
	for _, f := range []struct {
		name         string
		value, least int
	}{
		{"queries", s.base.Queries, 1},
		{"list", s.base.List, 2},
		{"tokens", s.base.Tokens, 3},
		{"steps", s.base.Steps, 1},
		{"micro-batch", s.base.MicroBatchTokens, 1},
		{"gemm", s.gemm, 1},
	} {
		if f.value < f.least {
			return fmt.Errorf("-%s is %d, want at least %d", f.name, f.value, f.least)
		}
	}
	if s.base.Precision != "fp32" && s.base.Precision != "bf16" {
		return fmt.Errorf("-precision is %q, want fp32 or bf16", s.base.Precision)
	}
	if s.base.Loss != "go" && s.base.Loss != "libtorch" {
		return fmt.Errorf("-loss is %q, want go or libtorch", s.base.Loss)
	}
	return nil
}

// job is what a process of its own does: a row or a peak.
type job struct {
	Row   *row          `json:"row,omitempty"`
	Peak  *peak         `json:"peak,omitempty"`
	Limit time.Duration `json:"limit"`
}

// process runs a job in a new process and fills result.
func process(ctx context.Context, j job, result any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	// The child gives up by itself at the end of a micro-batch; this is for one that does not.
	ctx, cancel := context.WithTimeout(ctx, j.Limit+time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, self, "-job", string(text))
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return errTooLong
	}
	if err != nil {
		return fmt.Errorf("a row's process: %w", err)
	}
	return strictjson.Unmarshal(out, result)
}

func child(ctx context.Context, text string, out io.Writer) error {
	var j job
	if err := strictjson.Unmarshal([]byte(text), &j); err != nil {
		return fmt.Errorf("-job: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, j.Limit, errTooLong)
	defer cancel()
	var result any
	var err error
	switch {
	case j.Row != nil:
		result, err = j.Row.run(ctx)
	case j.Peak != nil:
		result, err = j.Peak.run(ctx)
	default:
		err = errors.New("-job: neither a row nor a peak")
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

var errTooLong = errors.New("longer than -limit")
