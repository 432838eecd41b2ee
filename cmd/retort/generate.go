package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/counted"
)

var generateCommand = command{
	name:    "generate",
	summary: "generate queries from the passages of a corpus",
	usage: `-corpus FILE -out queries.jsonl [flags]

Generates queries that the passages answer, from the words of the passages or by a language model, and drops duplicates.
Writes JSON Lines with _id, text, type, source (the passage) and origin (the generator). Answers of a language model go to
queries.jsonl.answers first: after a kill, the same command requests no answer twice.

  -corpus FILE          passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input
  -out FILE             output file of the queries` + generatorUsage + `
  -per-passage N        extractive queries per passage; the types take turns; 0: one of each type (0)
  -seed N               seed of all random draws (1)
  -threads N            CPU threads of a local model; 0: one per core (0)
  -device D             device of a local model: cpu, cuda, or cuda:N, counted from 0 (cpu)
  -precision P          precision of a local model: fp32 or bf16 (fp32)

example:
  retort generate -corpus corpus.jsonl -generator llm -llm SmolLM2-135M-Instruct.Q4_1.gguf -out queries.jsonl
  retort score -corpus corpus.jsonl -queries queries.jsonl -model ./all-MiniLM-L6-v2 -out lists.jsonl
`,
	json: true, resumes: true, run: runGenerate,
}

type generateArgs struct {
	corpus, out string
	generatorFlags
	seed    uint64
	machine transformer.Options
}

func runGenerate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	var a generateArgs
	flags.StringVar(&a.corpus, "corpus", "", "")
	flags.StringVar(&a.out, "out", "", "")
	a.add(flags)
	flags.IntVar(&a.perExtractive, "per-passage", 0, "")
	flags.Uint64Var(&a.seed, "seed", 1, "")
	addMachine(flags, &a.machine)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := required(flags, "corpus", "out"); err != nil {
		return err
	}
	if err := errors.Join(a.check(), checkMachine(a.machine)); err != nil {
		return err
	}
	if a.perExtractive < 0 {
		return fmt.Errorf("%w: -per-passage is %d, want at least 0", errUsage, a.perExtractive)
	}
	if err := checkWritable(a.out); err != nil {
		return err
	}
	r, err := a.generate(ctx, progress.New(stderr))
	if err != nil {
		return err
	}
	return r.print(stdout)
}

// addMachine declares the flags of a local model other than the encoder.
func addMachine(flags *flag.FlagSet, o *transformer.Options) {
	flags.IntVar(&o.Threads, "threads", 0, "")
	flags.StringVar((*string)(&o.Device), "device", "cpu", "")
	flags.StringVar((*string)(&o.Precision), "precision", "fp32", "")
}

func checkMachine(o transformer.Options) error {
	if o.Threads < 0 {
		return fmt.Errorf("%w: -threads is %d, want at least 0", errUsage, o.Threads)
	}
	if err := o.Device.Validate(); err != nil {
		return fmt.Errorf("%w: -device: %w", errUsage, err)
	}
	return oneOf("-precision", string(o.Precision), "fp32", "bf16")
}

// generateResult is the JSON result of generate.
type generateResult struct {
	Queries    string                   `json:"queries"` // path of the output file
	Passages   int                      `json:"passages"`
	Kept       int                      `json:"kept"`
	Types      map[string]int           `json:"types"`      // kept queries by type
	Duplicates int                      `json:"duplicates"` // dropped queries
	Answers    *pipeline.GenerationCost `json:"answers,omitempty"`
	Seconds    float64                  `json:"seconds"`
}

func (a *generateArgs) generate(ctx context.Context, p *progress.Progress) (_ *generateResult, err error) {
	start := time.Now()
	corpus, err := openCorpus(ctx, a.corpus)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, corpus.Close()) }()
	g, asked, done, err := a.open(ctx, corpus, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	queries, err := allQueries(ctx, g, corpus, p)
	if err != nil {
		return nil, err
	}
	kept, dropped := generate.Dedup(queries)
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s: no queries were generated%s", a.corpus, whyNone(asked))
	}
	if err := retort.SaveQueries(a.out, kept); err != nil {
		return nil, err
	}
	r := &generateResult{
		Queries: a.out, Passages: corpus.Len(), Kept: len(kept), Types: map[string]int{}, Seconds: seconds(start),
	}
	for _, q := range kept {
		r.Types[q.Type]++
	}
	for _, n := range dropped {
		r.Duplicates += n
	}
	if a.asksModel() {
		r.Answers = asked.Cost()
		r.Answers.Seconds = seconds(start)
	}
	return r, nil
}

// open returns the generator, and in asked its language model, nil with -generator extractive.
func (a *generateArgs) open(ctx context.Context, corpus retort.Corpus, p *progress.Progress,
) (_ generate.QueryGenerator, asked *pipeline.Asked, done func() error, err error) {
	extractive, err := a.extractive(ctx, corpus, a.seed)
	if err != nil {
		return nil, nil, nil, err
	}
	logger := slog.New(lineHandler{p})
	model, closeModel, err := a.languageModel(ctx, a.machine, logger)
	if err != nil || model == nil {
		return extractive, nil, closeModel, err
	}
	if asked, err = model.Ask(ctx, a.out+".answers", corpus.Len(), a.seed, logger); err != nil {
		return nil, nil, nil, errors.Join(err, closeModel())
	}
	closeBoth := func() error { return errors.Join(asked.Close(), closeModel()) }
	if extractive == nil {
		return asked, asked, closeBoth, nil
	}
	both, err := generate.Mixture(extractive, asked)
	if err != nil {
		return nil, nil, nil, errors.Join(err, closeBoth())
	}
	return both, asked, closeBoth, nil
}

// whyNone explains why a language model gave no query.
func whyNone(asked *pipeline.Asked) string {
	if asked == nil {
		return ""
	}
	if c := asked.Cost(); len(c.Dropped) > 0 {
		return "; answers dropped: " + counted.Join(c.Dropped)
	}
	return ""
}

func allQueries(
	ctx context.Context, g generate.QueryGenerator, corpus retort.Corpus, p *progress.Progress,
) ([]retort.Query, error) {
	stage := p.Stage("generate queries", corpus.Len())
	defer stage.Done()
	var queries []retort.Query
	for q, err := range generate.All(ctx, g, corpus, 0) {
		if err != nil {
			return nil, err
		}
		queries = append(queries, q)
		if i, ok := corpus.Index(q.Source); ok {
			stage.Set(i)
		}
	}
	stage.Set(corpus.Len())
	return queries, nil
}

func (r *generateResult) print(w io.Writer) error {
	if wantsJSON(w) {
		return writeResult(w, r)
	}
	fmt.Fprintf(w, "%s: %s queries from %s passages (%s), %d duplicates dropped, %.0f s\n",
		r.Queries, thousands(r.Kept), thousands(r.Passages), counted.Join(r.Types), r.Duplicates, r.Seconds)
	if r.Answers != nil {
		fmt.Fprintln(w, r.Answers)
	}
	return nil
}
