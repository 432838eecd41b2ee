package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
)

var compareCommand = command{
	name:    "compare",
	summary: "compare runs query by query, with p-values",
	usage: `RUN_A RUN_B ... [flags]

Compares runs on every set of queries that all runs share: the model of each run with its initial model ("before"), and
each run after RUN_A with RUN_A. Each line shows the mean difference over the shared queries, its 95% interval (bootstrap),
its p-value (paired randomisation test), and the p-value adjusted for the number of lines (Holm). A difference is
significant at 5% if the adjusted p-value is at most .05. Standard error names the sets and queries that a run lacks.

  -metric NAME          metric of the runs: ndcg@K, recall@K, mrr@K, ... (ndcg@10; without judged queries: mrr@10)
  -format FORMAT        text, md (Markdown) or csv (text)

example: is the second run better than the first?
  retort compare runs/monday runs/tuesday
  retort compare runs/monday runs/tuesday -metric recall@100 -format md >comparison.md
`,
	json: true,
	run:  runCompare,
}

type evaluatedRun struct {
	name    string
	records []results.Record
}

// comparedPair is a line of the table: two systems, compared on the queries of a set.
type comparedPair struct {
	set, run, against string
	mean, againstMean float64
	eval.Comparison
	holm float64 // Comparison.P adjusted for all lines
}

func runCompare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	metric := flags.String("metric", eval.NDCG(10).Name, "")
	format := flags.String("format", "text", "")
	dirs, err := parseWords(flags, args)
	if err != nil {
		return err
	}
	if len(dirs) < 2 {
		return fmt.Errorf("%w: want at least two run folders", errUsage)
	}
	if err := required(flags, "metric"); err != nil {
		return err
	}
	write := map[string]func(io.Writer, string, []comparedPair) error{
		"text": writeComparisonText, "md": writeComparisonMarkdown, "csv": writeComparisonCSV,
	}[*format]
	if write == nil {
		return fmt.Errorf("%w: -format is %q: want text, md or csv", errUsage, *format)
	}
	runs, err := loadRuns(ctx, dirs)
	if err != nil {
		return err
	}
	named := false
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "metric" })
	if !named {
		*metric = usualMetric(runs)
	}
	pairs, notes, err := compareRuns(ctx, runs, *metric)
	for _, note := range notes {
		fmt.Fprintln(stderr, note)
	}
	if err != nil {
		return err
	}
	if wantsJSON(stdout) {
		return writeResult(stdout, comparisonResult(*metric, pairs))
	}
	return write(stdout, *metric, pairs)
}

// usualMetric returns nDCG@10, or MRR@10 if no run has nDCG@10: a held-out item has only one relevant passage.
func usualMetric(runs []evaluatedRun) string {
	for _, r := range runs {
		for _, record := range r.records {
			if _, ok := record.Metrics[eval.NDCG(10).Name]; ok {
				return eval.NDCG(10).Name
			}
		}
	}
	return eval.MRR(10).Name
}

// loadRuns names each run by the last element of its path, or by the whole path if two runs share the last element.
func loadRuns(ctx context.Context, dirs []string) ([]evaluatedRun, error) {
	short, seen := map[string]int{}, map[string]bool{}
	paths := make([]string, len(dirs))
	for i, dir := range dirs {
		path, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		if seen[path] {
			return nil, fmt.Errorf("%w: duplicate run %s", errUsage, dir)
		}
		seen[path] = true
		short[filepath.Base(path)]++
		paths[i] = path
	}
	runs := make([]evaluatedRun, len(dirs))
	for i, dir := range dirs {
		if err := runfolder.CheckRead(ctx, dir, runfolder.Pipeline, results.FileName); err != nil {
			return nil, err
		}
		records, err := await(ctx, func() ([]results.Record, error) { return results.Load(dir) })
		if err != nil {
			return nil, err
		}
		runs[i] = evaluatedRun{filepath.Base(paths[i]), records}
		if short[runs[i].name] > 1 {
			runs[i].name = dir
		}
	}
	return runs, nil
}

// compareRuns returns the lines of the table, and notes on omitted sets and queries, also with an error.
func compareRuns(
	ctx context.Context, runs []evaluatedRun, metric string,
) (pairs []comparedPair, notes []string, err error) {
	sets, notes := sharedSets(runs)
	if len(sets) == 0 {
		return nil, notes, errors.New("the runs share no set of queries: were they evaluated on the same collection?")
	}
	for _, set := range sets {
		more, left, err := compareSet(ctx, set, runs, metric)
		notes = append(notes, left...)
		if err != nil {
			return nil, notes, fmt.Errorf("set %q: %w", set, err)
		}
		pairs = append(pairs, more...)
	}
	p := make([]float64, len(pairs))
	for i := range pairs {
		p[i] = pairs[i].P
	}
	for i, adjusted := range eval.Holm(p) {
		pairs[i].holm = adjusted
	}
	return pairs, notes, nil
}

// sharedSets returns the sets that every run was evaluated on, in the order of the first run.
func sharedSets(runs []evaluatedRun) (shared, notes []string) {
	var all []string
	for _, r := range runs {
		for _, set := range results.Sets(r.records) {
			if !slices.Contains(all, set) {
				all = append(all, set)
			}
		}
	}
	for _, set := range all {
		var lacking []string
		for _, r := range runs {
			if len(results.Of(r.records, set, results.After)) == 0 {
				lacking = append(lacking, r.name)
			}
		}
		if len(lacking) == 0 {
			shared = append(shared, set)
		} else {
			notes = append(notes, fmt.Sprintf("set %q is omitted: %s lacks it", set, strings.Join(lacking, ", ")))
		}
	}
	return shared, notes
}

// comparedSystem is the trained model or the initial model of a run.
type comparedSystem struct {
	name    string
	records map[string]results.Record // by query
	values  []float64                 // of the shared queries
}

func compareSet(ctx context.Context, set string, runs []evaluatedRun, metric string) ([]comparedPair, []string, error) {
	var afters, befores []*comparedSystem // aligned with runs; nil for a run without results of the initial model
	var all []*comparedSystem
	for _, r := range runs {
		after := &comparedSystem{name: r.name, records: results.Of(r.records, set, results.After)}
		before := &comparedSystem{name: r.name + " before", records: results.Of(r.records, set, results.Before)}
		all = append(all, after)
		if len(before.records) == 0 {
			before = nil
		} else {
			all = append(all, before)
		}
		afters, befores = append(afters, after), append(befores, before)
	}
	queries, notes := commonQueries(set, all)
	if len(queries) == 0 {
		return nil, notes, errors.New("the runs share no query: were they evaluated on the same collection?")
	}
	for _, s := range all {
		if err := s.fill(queries, metric); err != nil {
			return nil, notes, err
		}
	}
	notes = append(notes, nameBefores(set, runs, befores)...)

	var pairs []comparedPair
	add := func(s, against *comparedSystem) error {
		c, err := eval.Paired(ctx, against.values, s.values, 1)
		if err != nil {
			return err
		}
		pairs = append(pairs, comparedPair{
			set: set, run: s.name, mean: stat.Mean(s.values, nil),
			against: against.name, againstMean: stat.Mean(against.values, nil), Comparison: c,
		})
		return nil
	}
	for i, before := range befores {
		if before == nil {
			continue
		}
		if err := add(afters[i], before); err != nil {
			return nil, notes, err
		}
	}
	for _, after := range afters[1:] {
		if err := add(after, afters[0]); err != nil {
			return nil, notes, err
		}
	}
	return pairs, notes, nil
}

// commonQueries returns the ids that all systems have, ascending, and notes on omitted ids.
func commonQueries(set string, systems []*comparedSystem) (common, notes []string) {
	count := map[string]int{}
	for _, s := range systems {
		for query := range s.records {
			count[query]++
		}
	}
	all := slices.Sorted(maps.Keys(count))
	for _, query := range all {
		if count[query] == len(systems) {
			common = append(common, query)
		}
	}
	for _, s := range systems {
		var missing []string
		for _, query := range all {
			if _, ok := s.records[query]; !ok {
				missing = append(missing, query)
			}
		}
		if len(missing) > 0 {
			notes = append(notes, fmt.Sprintf("set %q: %s lacks %d of the %d queries; the comparison omits %s",
				set, s.name, len(missing), len(all), firstNames(missing)))
		}
	}
	return common, notes
}

func firstNames(names []string) string {
	const shown = 10
	list := printable(strings.Join(names[:min(shown, len(names))], ", "))
	if len(names) > shown {
		list += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return list
}

func (s *comparedSystem) fill(queries []string, metric string) error {
	for _, query := range queries {
		metrics := s.records[query].Metrics
		value, ok := metrics[metric]
		if !ok {
			return fmt.Errorf("%s has no %s for query %q; it has %s", s.name, metric, query,
				strings.Join(slices.Sorted(maps.Keys(metrics)), ", "))
		}
		s.values = append(s.values, value)
	}
	return nil
}

// nameBefores shortens the name of each initial model to "before" if all initial models have the same values.
func nameBefores(set string, runs []evaluatedRun, befores []*comparedSystem) (notes []string) {
	var first *comparedSystem
	same := true
	for i, s := range befores {
		switch {
		case s == nil:
			notes = append(notes, fmt.Sprintf("set %q: %s has no results of its initial model", set, runs[i].name))
		case first == nil:
			first = s
		case !slices.EqualFunc(first.values, s.values, func(a, b float64) bool { return math.Abs(a-b) <= 1e-9 }):
			same = false
		}
	}
	if !same {
		return append(notes,
			fmt.Sprintf("set %q: the initial models differ; each run is compared with its own initial model", set))
	}
	for _, s := range befores {
		if s != nil {
			s.name = "before"
		}
	}
	return notes
}
