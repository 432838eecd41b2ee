package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/eval/godoc"
)

var demoCommand = command{
	name:    "demo",
	summary: "specialise a model on your own Go's documentation, and measure it",
	usage: `(-model DIR | -answer) [-out runs/godoc] [-towers query|both] [flags]

Reads the documentation of the standard library from GOROOT and specialises the model on it. Prints the metrics before and
after, on two sets of queries that are not trained on: the doc sentences of runnable examples, and the test half of queries
in the words of Go programmers. The dev half of these queries chooses the best model.

  -out RUN              folder of the run (runs/godoc)
  -towers T             query: train queries only; both: train queries and passages (query)
  -answer               train nothing: answer five of the test queries with the model of a finished run of -towers
                        query, and print the time that a query takes and the size of this program` + modelUsage + `

example:
  retort demo -model "$(retort fetch-model minilm)"
  retort demo -answer
`,
	run: runDemo, json: true, resumes: true,
}

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	a, answer, err := parseDemo(args)
	if err != nil {
		return err
	}
	if answer {
		return answerDemo(ctx, a.out, stdout, stderr)
	}
	if err := a.distillFlags.check(); err != nil {
		return err
	}
	j := newJob(a.distillFlags, stderr)
	j.settings = a.values()
	d := &demo{}
	out, err := j.do(ctx, func() error { return d.load(ctx, j) }, a.model.student(ctx, j.progress))
	if err != nil {
		return err
	}
	return d.print(stdout, j.result(out), out.Report)
}

// parseDemo returns the settings of distill that the demo takes: their defaults, with the terms of code. With answer,
// only the run folder counts.
func parseDemo(args []string) (a *distillArgs, answer bool, err error) {
	a = &distillArgs{flags: flag.NewFlagSet("distill", flag.ContinueOnError)}
	a.add(a.flags)
	a.analyzer, a.model = "code", modelFlags{}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&a.out, "out", "runs/godoc", "")
	flags.StringVar(&a.towers, "towers", "query", "")
	flags.BoolVar(&answer, "answer", false, "")
	a.model.add(flags)
	if _, err := parseArgs(flags, args); err != nil {
		return nil, false, err
	}
	if !answer {
		return a, false, required(flags, "model")
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "answer" && f.Name != "out" {
			err = fmt.Errorf("%w: -%s has no effect with -answer", errUsage, f.Name)
		}
	})
	return a, true, err
}

type demo struct {
	version string
	sample  []retort.Query // queries of the last set whose rankings are shown
	judged  eval.Qrels     // judgements of the last set
}

// The numbers of queries whose rankings are shown, and of passages per ranking.
const shown, shownDepth = 5, 3

func (d *demo) load(ctx context.Context, j *job) error {
	j.progress.Print("reading the documentation of your Go")
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return err
	}
	d.version, j.corpus = documentation.Version, documentation.Corpus
	examples, err := documentation.Examples(ctx)
	if err != nil {
		return err
	}
	test, err := documentation.Written("test")
	if err != nil {
		return err
	}
	if j.recipe.Judged, err = documentation.Written("dev"); err != nil {
		return err
	}
	j.recipe.Measured = []pipeline.Set{
		{Name: "examples", Title: "doc sentences of examples", Collection: examples},
		{Name: "written", Title: "written queries, test half", Collection: test},
	}
	d.judged = test.Qrels
	d.sample = demoSample(test.Queries)
	return nil
}

// demoSample returns the queries, spread over all of them, whose rankings are shown.
func demoSample(queries []retort.Query) []retort.Query {
	sample := make([]retort.Query, shown)
	for i := range sample {
		sample[i] = queries[(2*i+1)*len(queries)/(2*shown)]
	}
	return sample
}

// demoResult is the JSON result of demo.
type demoResult struct {
	distillResult
	Go      string         `json:"go"` // version of Go
	Queries map[string]any `json:"queries"`
}

func (d *demo) print(w io.Writer, r distillResult, measured pipeline.Report) error {
	if wantsJSON(w) {
		return writeResult(w, demoResult{r, d.version, measured.Figures()})
	}
	for _, set := range measured {
		fmt.Fprintf(w, "\n%s (%d queries)\n", set.Title, len(set.After.Queries))
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "\tBM25\tstudent before\tteacher\tstudent after\tafter - before\t95% interval\tp")
		for _, m := range measured.Metrics() {
			c := set.Differences[m.Name]
			fmt.Fprintf(table, "%s\t%.4f\t%.4f\t%.4f\t%.4f\t%+.4f\t%+.4f to %+.4f\t%.2g\n", m.Title(),
				set.BM25.Mean(m), set.Before.Mean(m), set.Teacher.Mean(m), set.After.Mean(m), c.Delta, c.Low, c.High, c.P)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if err := d.printSample(w, measured[len(measured)-1]); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s in %.0f s; figures in %s\nreport: %s\n",
		d.version, r.Seconds, filepath.Join(r.Run, "results.json"), r.Report)
	return nil
}

// printSample prints the first passages of some queries, before and after.
func (d *demo) printSample(w io.Writer, set pipeline.SetReport) error {
	for _, q := range d.sample {
		fmt.Fprintf(w, "\n%q\n", q.Text)
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "  before\tafter")
		for rank := range shownDepth {
			fmt.Fprintf(table, "  %s\t%s\n", d.hit(q.ID, set.TopBefore[q.ID], rank), d.hit(q.ID, set.TopAfter[q.ID], rank))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// hit returns a passage's id, marked if the passage is relevant.
func (d *demo) hit(query string, ranking []string, rank int) string {
	if rank >= len(ranking) {
		return ""
	}
	id := ranking[rank]
	if d.judged[query][id] > 0 {
		return id + " *"
	}
	return strings.TrimSpace(id)
}
