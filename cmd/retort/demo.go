package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/eval/godoc"
	"github.com/retort-ir/retort/internal/report"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/strictjson"
)

var demoCommand = command{
	name:    "demo",
	summary: "specialise a model on your own Go's documentation, and measure it",
	usage: `-model DIR [-out runs/godoc] [-towers query|both] [flags]

Reads the documentation of the standard library from GOROOT, makes the model good at it without any judgement of the
queries that it is measured on, and prints what that brought: on the doc sentences of runnable examples, and on the test
half of queries written as Go programmers ask them. The dev half chooses among the models met in training.` + modelUsage + `

example:
  retort demo -model "$(retort fetch-model minilm)"
`,
	run: runDemo, json: true, resumes: true,
}

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	start := time.Now()
	f := &distillFlags{}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	defaults := flag.NewFlagSet("distill", flag.ContinueOnError)
	f.add(defaults)
	flags.StringVar(&f.out, "out", "runs/godoc", "")
	flags.StringVar(&f.towers, "towers", "query", "")
	f.model = modelFlags{}
	f.model.add(flags)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	f.analyzer = "code"
	if err := errors.Join(required(flags, "model"), f.check()); err != nil {
		return err
	}
	s := f.job(stderr)
	if err := s.lockExisting(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	d, err := readDemo(ctx, s)
	if err != nil {
		return err
	}
	s.settings = (&distillArgs{distillFlags: *f, flags: defaults}).values()
	s.open = f.model.student(ctx, s.progress)
	if s.model, err = s.open(); err != nil {
		return err
	}
	if err := checkTraining(s.model); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	out, err := s.train(ctx)
	if err != nil {
		return err
	}
	if err := d.read(ctx, out.Measured); err != nil {
		return err
	}
	if err := s.writeResults(ctx, d.results(seconds(start))); err != nil {
		return err
	}
	if err := s.saveReport(ctx, out); err != nil {
		return err
	}
	if wantsJSON(stdout) {
		result := d.results(seconds(start))
		result["run"], result["report"] = s.out, s.path(report.PageFile)
		return writeResult(stdout, result)
	}
	if err := d.print(stdout); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s in %.0f s; figures in %s\nreport: %s\n", d.version, seconds(start), s.path(runResults), s.path(report.PageFile))
	return nil
}

// demo is the demo's collection and what was measured on it.
type demo struct {
	version string
	sets    []*demoSet
	sample  []retort.Query // shown side by side, of the last set
	records []results.Record
}

// demoSet is one set of judged queries.
type demoSet struct {
	key, title                   string
	collection                   *eval.Collection
	bm25, before, teacher, after *eval.Report
	differences                  map[string]eval.Comparison // by the metric's name
}

// shown is how many queries are shown side by side, and shownDepth how many passages of each.
const shown, shownDepth = 5, 3

func readDemo(ctx context.Context, s *specialisation) (*demo, error) {
	s.progress.Print("reading the documentation of your Go")
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return nil, err
	}
	d := &demo{version: documentation.Version}
	s.corpus = documentation.Corpus
	examples, err := documentation.Examples(ctx)
	if err != nil {
		return nil, err
	}
	test, err := documentation.Written("test")
	if err != nil {
		return nil, err
	}
	if s.judged, err = documentation.Written("dev"); err != nil {
		return nil, err
	}
	d.sets = []*demoSet{
		{key: "examples", title: "doc sentences of examples", collection: examples},
		{key: "written", title: "written queries, test half", collection: test},
	}
	for _, set := range d.sets {
		s.sets = append(s.sets, judgedSet{set.key, set.title, set.collection})
	}
	for i := range shown {
		d.sample = append(d.sample, test.Queries[(2*i+1)*len(test.Queries)/(2*shown)])
	}
	return d, nil
}

// read takes what was measured.
func (d *demo) read(ctx context.Context, measured []json.RawMessage) error {
	d.records = make([]results.Record, len(measured))
	for i, data := range measured {
		if err := strictjson.Unmarshal(data, &d.records[i]); err != nil {
			return err
		}
	}
	for _, set := range d.sets {
		set.bm25, set.before = reportOf(d.records, set.key, results.BM25), reportOf(d.records, set.key, results.Before)
		set.teacher, set.after = reportOf(d.records, set.key, results.Teacher), reportOf(d.records, set.key, results.After)
		set.differences = map[string]eval.Comparison{}
		for _, m := range runMetrics() {
			var err error
			if set.differences[m.Name], err = eval.Compare(ctx, set.before, set.after, m, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *demo) results(seconds float64) map[string]any {
	queries := map[string]any{}
	for _, set := range d.sets {
		ndcg := set.differences[eval.NDCG(10).Name]
		queries[set.key] = map[string]any{
			"n": len(set.after.Queries), "bm25": set.bm25, "before": set.before, "teacher": set.teacher, "after": set.after,
			"delta": ndcg.Delta, "p": ndcg.P, "differences": set.differences,
		}
	}
	return map[string]any{"queries": queries, "go": d.version, "seconds": seconds}
}

func (d *demo) print(w io.Writer) error {
	for _, set := range d.sets {
		fmt.Fprintf(w, "\n%s (%d queries)\n", set.title, len(set.after.Queries))
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "\tBM25\tstudent before\tteacher\tstudent after\tafter - before\t95% interval\tp")
		for _, m := range runMetrics() {
			c := set.differences[m.Name]
			fmt.Fprintf(table, "%s\t%.4f\t%.4f\t%.4f\t%.4f\t%+.4f\t%+.4f to %+.4f\t%.2g\n", display(m),
				set.bm25.Mean(m), set.before.Mean(m), set.teacher.Mean(m), set.after.Mean(m), c.Delta, c.Low, c.High, c.P)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	written := d.sets[len(d.sets)-1]
	before, after := results.Of(d.records, written.key, results.Before), results.Of(d.records, written.key, results.After)
	for _, q := range d.sample {
		fmt.Fprintf(w, "\n%q\n", q.Text)
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "  before\tafter")
		for rank := range shownDepth {
			fmt.Fprintf(table, "  %s\t%s\n", hit(written, q.ID, before[q.ID].Top, rank), hit(written, q.ID, after[q.ID].Top, rank))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// hit is a passage's id, marked where it is relevant.
func hit(set *demoSet, query string, ranking []string, rank int) string {
	if rank >= len(ranking) {
		return ""
	}
	id := ranking[rank]
	if set.collection.Qrels[query][id] > 0 {
		return id + " *"
	}
	return strings.TrimSpace(id)
}
