package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/examples/godoc"
	"github.com/retort-ir/retort/mine"
)

var demoCommand = command{
	name:    "demo",
	summary: "specialise a model on your own Go's documentation, and measure it",
	usage: `-model DIR [-out runs/godoc] [-towers query|both] [flags]

Reads the documentation of the standard library from GOROOT, makes the model good at it without any judgement of the
queries that it is measured on, and prints what that brought: on the doc sentences of runnable examples, and on the test
half of queries written as Go programmers ask them. The dev half chooses among the models met in training.` + modelUsage + `

example:
  retort demo -model "$(retort fetch-demo-model -out ./all-MiniLM-L6-v2)"
`,
	run: runDemo,
}

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	start := time.Now()
	f := distillFlags{types: "sentence,howto", analyzer: "code", keep: "best", maxQueries: 4000, seed: 1}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&f.out, "out", "runs/godoc", "")
	flags.StringVar(&f.towers, "towers", "query", "")
	f.model.add(flags)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := errors.Join(required(flags, "model"), f.model.check(), oneOf("-towers", f.towers, "query", "both")); err != nil {
		return err
	}
	s := f.job(stderr)
	d, err := readDemo(ctx, s)
	if err != nil {
		return err
	}
	if s.model, err = f.model.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.model.Close()) }()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := d.before(ctx, s); err != nil {
		return err
	}
	if _, err := s.train(ctx); err != nil {
		return err
	}
	if err := d.after(ctx, s); err != nil {
		return err
	}
	if err := s.writeResults(d.results(seconds(start))); err != nil {
		return err
	}
	if err := d.print(stdout, s); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s in %.0f s; figures in %s\n", d.version, seconds(start), s.path(runResults))
	return nil
}

// demo is the demo's collection and what was measured on it.
type demo struct {
	version string
	sets    []*demoSet
	sample  []retort.Query // shown side by side
	first   [][]mine.Hit   // their rankings before
	second  [][]mine.Hit   // and after
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
	root, err := godoc.GOROOT(ctx)
	if err != nil {
		return nil, err
	}
	d := &demo{}
	if d.version, err = godoc.Version(root); err != nil {
		return nil, err
	}
	s.progress.Print("reading the documentation of " + d.version)
	passages, err := godoc.Build(ctx, root)
	if err != nil {
		return nil, err
	}
	if s.corpus, err = retort.NewCorpus(passages); err != nil {
		return nil, err
	}
	examples, err := godoc.ExampleQueries(ctx, root, s.corpus)
	if err != nil {
		return nil, err
	}
	test, err := godoc.WrittenQueries(godoc.Test, s.corpus)
	if err != nil {
		return nil, err
	}
	dev, err := godoc.WrittenQueries(godoc.Dev, s.corpus)
	if err != nil {
		return nil, err
	}
	s.judged = judgedSet(s.corpus, dev)
	d.sets = []*demoSet{
		{key: "examples", title: "doc sentences of examples", collection: judgedSet(s.corpus, examples)},
		{key: "written", title: "written queries, test half", collection: judgedSet(s.corpus, test)},
	}
	for i := range shown {
		d.sample = append(d.sample, test.Queries[(2*i+1)*len(test.Queries)/(2*shown)])
	}
	return d, nil
}

func judgedSet(corpus retort.Corpus, set *godoc.QuerySet) *eval.Collection {
	return &eval.Collection{Corpus: corpus, Queries: set.Queries, Qrels: set.Qrels}
}

func (d *demo) before(ctx context.Context, s *specialisation) (err error) {
	for _, set := range d.sets {
		if set.bm25, err = s.measure(ctx, s.bm25, set.collection); err != nil {
			return err
		}
		if set.before, err = s.measure(ctx, s.dense, set.collection); err != nil {
			return err
		}
		if set.teacher, err = s.measure(ctx, s.fusion, set.collection); err != nil {
			return err
		}
	}
	d.first, err = s.dense.Search(ctx, d.sample, shownDepth)
	return err
}

func (d *demo) after(ctx context.Context, s *specialisation) error {
	dense, err := s.after(ctx)
	if err != nil {
		return err
	}
	for _, set := range d.sets {
		if set.after, err = s.measure(ctx, dense, set.collection); err != nil {
			return err
		}
		set.differences = map[string]eval.Comparison{}
		for _, m := range runMetrics() {
			if set.differences[m.Name], err = eval.Compare(ctx, set.before, set.after, m, 1); err != nil {
				return err
			}
		}
	}
	d.second, err = dense.Search(ctx, d.sample, shownDepth)
	return err
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

func (d *demo) print(w io.Writer, s *specialisation) error {
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
	for i, q := range d.sample {
		fmt.Fprintf(w, "\n%q\n", q.Text)
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "  before\tafter")
		for rank := range shownDepth {
			before, err := d.hit(s, i, d.first, rank)
			if err != nil {
				return err
			}
			after, err := d.hit(s, i, d.second, rank)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "  %s\t%s\n", before, after)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// hit is a passage's id, marked where it is relevant.
func (d *demo) hit(s *specialisation, query int, rankings [][]mine.Hit, rank int) (string, error) {
	if rank >= len(rankings[query]) {
		return "", nil
	}
	p, err := s.corpus.At(rankings[query][rank].Index)
	if err != nil {
		return "", err
	}
	written := d.sets[len(d.sets)-1].collection
	if written.Qrels[d.sample[query].ID][p.ID] > 0 {
		return p.ID + " *", nil
	}
	return strings.TrimSpace(p.ID), nil
}
