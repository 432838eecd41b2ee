package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/eval"
)

var evalCommand = command{
	name:    "eval",
	summary: "measure a model or BM25 on a corpus with judged queries",
	usage: `-corpus FILE -queries FILE -qrels FILE (-model DIR | -bm25) [flags]

Ranks the corpus for every judged query, to a depth of 1,000. Prints nDCG@10, R@100, MAP and MRR@10 as trec_eval computes
them, and the number of queries. With -compare it also prints the mean difference to another run, its 95% interval
(bootstrap) and its p-value (paired randomisation test).

  -corpus FILE          passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input
  -queries FILE         queries: JSON Lines with _id, text; queries without judgements are skipped
  -qrels FILE           judgements: query-id, corpus-id, score (BEIR), or the four columns of TREC
  -collection DIR       folder in BEIR layout, in place of -corpus, -queries and -qrels
  -split NAME           judgements of the collection: qrels/NAME.tsv (test)
  -ignore-identical-ids omit the passage with the query's id from the ranking, as BEIR does; =false: never omit it (omit it
                        if the texts are identical and the passage is not judged relevant)
  -strict               fail, instead of a warning, if a judged passage or query is missing
  -metrics LIST         ndcg@K, recall@K, mrr@K, precision@K, map (ndcg@10,recall@100,map,mrr@10)
  -run OUT.trec         write the ranking as a TREC run
  -compare A.trec       compare with run A: this run minus A
  -json                 print {"ndcg@10":..,"recall@100":..,"map":..,"mrr@10":..,"queries":n}` + rankerUsage + `

example: is the model better than BM25?
  retort eval -collection ./scifact -bm25 -run bm25.trec
  retort eval -collection ./scifact -model ./all-MiniLM-L6-v2 -compare bm25.trec
`,
	json: true,
	run:  runEval,
}

type evalFlags struct {
	corpus, queries, qrels string
	collection, split      string
	identical              identicalFlag
	strict                 bool
	metrics                []eval.Metric
	run, compare           string
	ranker                 rankerFlags
}

func runEval(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var f evalFlags
	if err := f.parse(args); err != nil {
		return err
	}
	if f.run != "" {
		if err := checkWritable(f.run); err != nil {
			return err
		}
	}
	c, err := f.load(ctx)
	if err != nil {
		return err
	}
	p := progress.New(stderr)
	if err := f.prepare(c, p); err != nil {
		return err
	}
	other, err := f.loadOther(c, stderr)
	if err != nil {
		return err
	}
	run, err := f.rank(ctx, c, p)
	if err != nil {
		return err
	}
	report, err := eval.Evaluate(c.Qrels, run, f.metrics...)
	if err != nil {
		return err
	}
	if f.run != "" {
		if err := eval.SaveRun(f.run, run, f.ranker.name()); err != nil {
			return err
		}
	}
	if other == nil {
		return f.print(stdout, c, report)
	}
	return f.printComparison(ctx, stdout, c, other, report)
}

// prepare checks the collection and prints warnings before the ranking starts.
func (f *evalFlags) prepare(c *eval.Collection, p *progress.Progress) error {
	if f.strict {
		if err := c.Missing.Err(); err != nil {
			return fmt.Errorf("%s: %w", cmp.Or(f.qrels, filepath.Join(f.collection, "qrels", f.split+".tsv")), err)
		}
	}
	if f.run != "" {
		if err := c.CheckRunIDs(); err != nil {
			return fmt.Errorf("cannot write %s: %w", f.run, err)
		}
	}
	others, err := c.SetIdentical(f.identical.rule())
	if err != nil {
		return err
	}
	for _, line := range remarks(c) {
		p.Print(line)
	}
	if others > 0 && !f.identical.set {
		p.Print(fmt.Sprintf("%s queries have the id of a passage with another text or of a relevant passage: "+
			"their rankings keep the passage (-ignore-identical-ids omits it)", thousands(others)))
	}
	return nil
}

// identicalFlag is the value of -ignore-identical-ids: true, false or not set.
type identicalFlag struct{ set, on bool }

func (i *identicalFlag) String() string {
	if !i.set {
		return ""
	}
	return strconv.FormatBool(i.on)
}

func (i *identicalFlag) Set(text string) error {
	on, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	i.set, i.on = true, on
	return nil
}

// IsBoolFlag makes the value of the flag optional.
func (i *identicalFlag) IsBoolFlag() bool { return true }

func (i *identicalFlag) rule() eval.IdenticalIDs {
	switch {
	case !i.set:
		return eval.IgnoreSameText
	case i.on:
		return eval.IgnoreSameID
	}
	return eval.IgnoreNone
}

func (f *evalFlags) parse(args []string) error {
	flags := flag.NewFlagSet("eval", flag.ContinueOnError)
	flags.StringVar(&f.corpus, "corpus", "", "")
	flags.StringVar(&f.queries, "queries", "", "")
	flags.StringVar(&f.qrels, "qrels", "", "")
	flags.StringVar(&f.collection, "collection", "", "")
	flags.StringVar(&f.split, "split", "test", "")
	flags.Var(&f.identical, "ignore-identical-ids", "")
	flags.BoolVar(&f.strict, "strict", false, "")
	metrics := flags.String("metrics", "ndcg@10,recall@100,map,mrr@10", "")
	flags.StringVar(&f.run, "run", "", "")
	flags.StringVar(&f.compare, "compare", "", "")
	f.ranker.add(flags)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := f.checkInput(flags); err != nil {
		return err
	}
	var err error
	if f.metrics, err = parseMetrics(*metrics); err != nil {
		return fmt.Errorf("%w: -metrics: %w", errUsage, err)
	}
	return f.ranker.check(flags)
}

func (f *evalFlags) checkInput(flags *flag.FlagSet) error {
	if f.collection == "" {
		return required(flags, "corpus", "queries", "qrels")
	}
	if f.corpus+f.queries+f.qrels != "" {
		return fmt.Errorf("%w: -collection excludes -corpus, -queries and -qrels", errUsage)
	}
	return required(flags, "split")
}

func parseMetrics(list string) ([]eval.Metric, error) {
	var metrics []eval.Metric
	for _, name := range strings.Split(list, ",") {
		m, err := eval.ParseMetric(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(metrics, func(other eval.Metric) bool { return other.Name == m.Name }) {
			return nil, fmt.Errorf("duplicate metric %s", m.Name)
		}
		metrics = append(metrics, m)
	}
	return metrics, nil
}

func (f *evalFlags) load(ctx context.Context) (*eval.Collection, error) {
	if f.collection == "" {
		return loadCollection(ctx, f.corpus, f.queries, f.qrels)
	}
	return await(ctx, func() (*eval.Collection, error) { return eval.LoadCollection(f.collection, f.split) })
}

// loadOther returns the report of the run of -compare, or nil without the flag.
func (f *evalFlags) loadOther(c *eval.Collection, stderr io.Writer) (*eval.Report, error) {
	if f.compare == "" {
		return nil, nil
	}
	run, err := eval.LoadRun(f.compare)
	if err != nil {
		return nil, err
	}
	missing := 0
	for query := range c.Qrels {
		if run[query] == nil {
			missing++
		}
	}
	if missing == len(c.Qrels) {
		return nil, fmt.Errorf("%s has none of the %d judged queries: is it a run of another collection?", f.compare, missing)
	}
	if missing > 0 {
		fmt.Fprintf(stderr, "%s lacks %d of the %d judged queries: their metrics count as 0\n",
			f.compare, missing, len(c.Qrels))
	}
	c.Strip(run)
	return eval.Evaluate(c.Qrels, run, f.metrics...)
}

func (f *evalFlags) rank(ctx context.Context, c *eval.Collection, p *progress.Progress) (run eval.Run, err error) {
	texts := make([]string, len(c.Queries))
	for i, q := range c.Queries {
		texts[i] = q.Text
	}
	ranker, done, err := f.ranker.open(ctx, c.Corpus, texts, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	stage := p.Stage("answer queries", len(c.Queries))
	defer stage.Done()
	return pipeline.Rank(ctx, ranker, c, func(done, _ int) { stage.Set(done) })
}

// evaluation is the JSON result: the members of the report, and the numbers of omitted and missing items.
type evaluation struct {
	report *eval.Report
	c      *eval.Collection
}

func (e evaluation) MarshalJSON() ([]byte, error) {
	report, err := json.Marshal(e.report)
	if err != nil {
		return nil, err
	}
	line := strings.TrimSuffix(string(report), "}")
	for _, m := range []struct {
		name string
		n    int
	}{{"ignored", len(e.c.Itself)}, {"unreachable", len(e.c.Missing.Passages)}, {"unasked", len(e.c.Missing.Queries)}} {
		if m.n > 0 {
			line += fmt.Sprintf(",%q:%d", m.name, m.n)
		}
	}
	return []byte(line + "}"), nil
}

func (f *evalFlags) print(w io.Writer, c *eval.Collection, report *eval.Report) error {
	if wantsJSON(w) {
		return writeResult(w, evaluation{report, c})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range f.metrics {
		fmt.Fprintf(table, "%s\t%.4f\n", m.Title(), report.Mean(m))
	}
	printCounts(table, c, report)
	return table.Flush()
}

// printCounts prints the numbers of queries, omitted passages and missing items.
func printCounts(w io.Writer, c *eval.Collection, report *eval.Report) {
	fmt.Fprintf(w, "queries\t%d\n", len(report.Queries))
	if n := len(c.Itself); n > 0 {
		fmt.Fprintf(w, "ignored\t%d passages that are the query itself\n", n)
	}
	if n := len(c.Missing.Passages); n > 0 {
		fmt.Fprintf(w, "unreachable\t%d judged passages that the corpus lacks\n", n)
	}
	if n := len(c.Missing.Queries); n > 0 {
		fmt.Fprintf(w, "unasked\t%d judged queries that the queries lack\n", n)
	}
}

func (f *evalFlags) printComparison(
	ctx context.Context, w io.Writer, c *eval.Collection, before, after *eval.Report,
) error {
	differences := map[string]eval.Comparison{}
	for _, m := range f.metrics {
		d, err := eval.Compare(ctx, before, after, m, 1)
		if err != nil {
			return err
		}
		differences[m.Name] = d
	}
	if wantsJSON(w) {
		return writeResult(w, comparison{evaluation{after, c}, f.compare, before, differences})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\tthis run\t%s\tdifference\t95%% interval\tp\n", filepath.Base(f.compare))
	for _, m := range f.metrics {
		d := differences[m.Name]
		fmt.Fprintf(table, "%s\t%.4f\t%.4f\t%+.4f\t%+.4f to %+.4f\t%.2g\n",
			m.Title(), after.Mean(m), before.Mean(m), d.Delta, d.Low, d.High, d.P)
	}
	printCounts(table, c, after)
	return table.Flush()
}

// comparison is the JSON result with -compare: the members of the evaluation, and "compare".
type comparison struct {
	report      evaluation
	name        string
	other       *eval.Report
	differences map[string]eval.Comparison
}

func (c comparison) MarshalJSON() ([]byte, error) {
	report, err := json.Marshal(c.report)
	if err != nil {
		return nil, err
	}
	compared, err := json.Marshal(map[string]any{"run": c.name, "means": c.other, "differences": c.differences})
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `%s,"compare":%s}`, strings.TrimSuffix(string(report), "}"), compared), nil
}
