package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
)

var distillCommand = command{
	name:    "distill",
	summary: "make a model good at a corpus",
	usage: `[-c retort.yaml] -corpus FILE -model DIR -out RUN [flags]
       retort distill -init [FILE]

Makes queries of the passages, ranks the corpus for each by BM25 and the model together, and trains the model to rank as
the two do: its own similarities, moved by what BM25 says. The best model met is written to RUN/model, which Retort and
sentence-transformers load; the model as it was can win. What every stage makes is kept in RUN: called again after a kill
it goes on where it was, and after a change of settings it redoes only what depends on them. "retort status RUN" shows how
far it is.

  -c FILE               settings; a flag given beside it wins
  -init                 write a commented file of all settings, to FILE or standard output
  -corpus FILE          passages: JSON Lines with _id, title, text; also packed with gzip or zstd; -: standard input
  -out RUN              the folder of the run
  -towers T             query: passage vectors stay as they are, so that an index need not be rebuilt; both: queries and
                        passages learn (query)
  -queries FILE         your own queries: JSON Lines with _id, text; they are trained on beside the generated ones
  -qrels FILE           judgements of some of -queries: these are not trained on, they choose the best model. Without any
                        it is chosen and tested by generated queries of a type that is not trained on, made of passages of which
                        no other query is trained on
  -lists FILE           train on your own scored lists instead: JSON Lines with query, ids, scores in [0,1]
  -test-queries FILE    queries that you will measure the model by: JSON Lines with _id, text. Queries and lists that copy one of
                        them, or of the judged -queries, are not trained on, and their number is said
` + strings.TrimPrefix(generatorUsage, "\n") + `
  -max-queries N        generated queries to use, drawn evenly over the passages (10000)
  -max-lists N          lists to train on, drawn evenly over the passages (query: all, both: 1000)
` + strings.TrimPrefix(teacherUsage(`
                        without -teacher: bm25, the model's own part being in the target; with -target min-max or percentile
                        bm25+student`), "\n") + `
  -target T             what the model is to reproduce. student-scale: its own similarities, moved by the teacher; min-max: each
                        list's scores, scaled to [0,1]; percentile: those of all lists of a type of query, scaled by one
                        range (student-scale; with -loss paper percentile)
  -loss L               kl: KL divergence over the list; paper: that of Tamber et al. 2025 (arXiv 2502.19712), KL and a little
                        InfoNCE with in-batch negatives. InfoNCE takes the teacher's first for the positive, and passes over
                        extractive queries, of which it is not to be trusted (kl)
  -check-queries N      the most judged, and the most held-out queries on which teacher and model are compared before
                        anything is trained; 0: no comparison (200)
  -force                train even where the teacher is not better than the model
  -epochs N -lr R -batch N   (query: 1, 1e-4, 64; both: 1, 5e-5, 16)
  -keep last            take the last model, not the best (best)
  -interpolate          average the best model's weights with those it began with, as far as what chooses the best is for it
  -retention DIR        judged queries that are not trained for, a folder in BEIR layout (qrels/test.tsv): a model whose
                        nDCG@10 there falls too far is drawn back towards what it was
  -retention-drop X     how far it may fall (0.01)
  -analyzer A           BM25's terms: english, or code, which also splits identifiers (english)
  -seed N               (1)
  and every other setting of the file that -init writes, as a flag` + modelUsage + `

example:
  retort distill -corpus corpus.jsonl -model ./all-MiniLM-L6-v2 -out runs/mine
  retort search -corpus corpus.jsonl -model runs/mine/model "how do I ..."
`,
	json: true, resumes: true, run: runDistill,
}

// distillFlags are the settings of distill.
type distillFlags struct {
	corpus, out, towers   string
	queries, qrels, lists string
	tested                string // the file of -test-queries
	retention             string
	retentionDrop         float64
	analyzer, keep        string
	target, loss          string
	generator             generatorFlags
	teacher               teacherFlags
	checkQueries          int
	force, profile        bool
	keepSource            bool
	interpolate           bool
	mining                pipeline.Mining
	training              pipeline.Training
	seed                  uint64
	model                 modelFlags
}

// add declares the flags with their defaults.
func (f *distillFlags) add(flags *flag.FlagSet) {
	f.mining, f.training = pipeline.DefaultMining(distill.QueryOnly), pipeline.DefaultTraining(distill.QueryOnly)
	flags.StringVar(&f.corpus, "corpus", "", "")
	flags.StringVar(&f.out, "out", "", "")
	flags.StringVar(&f.towers, "towers", "query", "")
	flags.StringVar(&f.queries, "queries", "", "")
	flags.StringVar(&f.qrels, "qrels", "", "")
	flags.StringVar(&f.lists, "lists", "", "")
	flags.StringVar(&f.tested, "test-queries", "", "")
	flags.Uint64Var(&f.seed, "seed", 1, "")
	f.addMining(flags)
	f.addTraining(flags)
	f.model.add(flags)
}

func (f *distillFlags) addMining(flags *flag.FlagSet) {
	m := &f.mining
	f.generator.add(flags)
	f.teacher.add(flags, "")
	flags.IntVar(&f.checkQueries, "check-queries", 200, "")
	flags.BoolVar(&f.force, "force", false, "")
	flags.IntVar(&m.MaxQueries, "max-queries", m.MaxQueries, "")
	flags.IntVar(&m.Filters.MinWords, "min-words", m.Filters.MinWords, "")
	flags.IntVar(&m.Filters.MaxWords, "max-words", m.Filters.MaxWords, "")
	flags.Float64Var(&m.Filters.NearDuplicate, "near-duplicate", m.Filters.NearDuplicate, "")
	flags.StringVar(&f.analyzer, "analyzer", "english", "")
	flags.IntVar(&m.List.Depth, "depth", m.List.Depth, "")
	flags.IntVar(&m.RoundTrip, "round-trip", m.RoundTrip, "")
	flags.IntVar(&m.List.Top, "top", 0, "")
	flags.IntVar(&m.List.Sample, "sample", 0, "")
	flags.BoolVar(&f.keepSource, "keep-source", true, "")
	flags.IntVar(&m.List.Min, "min-list", m.List.Min, "")
	flags.IntVar(&m.MaxLists, "max-lists", 0, "")
	flags.BoolVar(&m.Filters.SourceFirst, "source-first", m.Filters.SourceFirst, "")
	flags.Float64Var(&m.Filters.TopPercentile, "top-percentile", m.Filters.TopPercentile, "")
	flags.StringVar(&f.target, "target", "", "")
	flags.Float64Var(&m.Gamma, "gamma", m.Gamma, "")
}

func (f *distillFlags) addTraining(flags *flag.FlagSet) {
	t, s := &f.training, &f.training.Schedule
	flags.StringVar(&f.loss, "loss", lossKL, "")
	flags.IntVar(&s.Epochs, "epochs", 0, "")
	flags.IntVar(&s.QueriesPerStep, "batch", 0, "")
	flags.Float64Var(&s.LR, "lr", 0, "")
	flags.Float64Var(&s.Warmup, "warmup", s.Warmup, "")
	flags.Float64Var(&s.WeightDecay, "weight-decay", s.WeightDecay, "")
	flags.Float64Var(&s.ClipNorm, "clip-norm", s.ClipNorm, "")
	flags.IntVar(&t.EvalSteps, "eval-steps", t.EvalSteps, "")
	flags.IntVar(&t.Patience, "patience", t.Patience, "")
	flags.StringVar(&f.keep, "keep", "best", "")
	flags.IntVar(&t.Memory.MicroBatchTokens, "micro-batch-tokens", t.Memory.MicroBatchTokens, "")
	flags.Int64Var(&t.Memory.GraphBudget, "graph-budget", t.Memory.GraphBudget, "")
	flags.DurationVar(&t.CheckpointEvery, "checkpoint-every", t.CheckpointEvery, "")
	flags.BoolVar(&f.interpolate, "interpolate", false, "")
	flags.StringVar(&f.retention, "retention", "", "")
	flags.Float64Var(&f.retentionDrop, "retention-drop", 0.01, "")
	flags.BoolVar(&f.profile, "profile", false, "")
}

// distillArgs is a command line of distill.
type distillArgs struct {
	distillFlags
	file  string // of settings
	init  bool
	words []string
	flags *flag.FlagSet
}

// parseDistill reads the settings file, if one is named, and then the flags, which win. more declares flags beside
// those.
func parseDistill(args []string, more ...func(*flag.FlagSet)) (*distillArgs, error) {
	a, err := parseDistillFlags(args, "", more)
	if err != nil || a.file == "" {
		return a, err
	}
	return parseDistillFlags(args, a.file, more)
}

func parseDistillFlags(args []string, file string, more []func(*flag.FlagSet)) (*distillArgs, error) {
	a := &distillArgs{flags: flag.NewFlagSet("distill", flag.ContinueOnError)}
	a.add(a.flags)
	for _, add := range more {
		add(a.flags)
	}
	a.flags.StringVar(&a.file, "c", "", "")
	a.flags.BoolVar(&a.init, "init", false, "")
	if file != "" {
		if err := readSettings(file, a.flags); err != nil {
			return nil, err
		}
	}
	var err error
	a.words, err = parseWords(a.flags, args)
	return a, err
}

// check says what is wrong with the settings, as far as that is known before anything is read.
func (a *distillArgs) check() error {
	if len(a.words) > 0 {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, a.words[0])
	}
	if err := required(a.flags, "corpus", "model", "out"); err != nil {
		return err
	}
	return a.distillFlags.check()
}

func (f *distillFlags) check() error {
	if f.qrels != "" && f.queries == "" {
		return fmt.Errorf("%w: -qrels needs -queries", errUsage)
	}
	if f.interpolate && f.keep == "last" {
		return fmt.Errorf("%w: -interpolate needs -keep best: the averages are chosen by what chooses the best model", errUsage)
	}
	if f.retention != "" && f.keep == "last" {
		return fmt.Errorf("%w: -retention needs -keep best: it is looked at when the model is", errUsage)
	}
	err := errors.Join(f.model.check(), oneOf("-towers", f.towers, "query", "both"), oneOf("-keep", f.keep, "best", "last"),
		oneOf("-analyzer", f.analyzer, "english", "code"), oneOf("-loss", f.loss, lossKL, lossPaper), f.checkTarget())
	if err != nil {
		return err
	}
	if err := errors.Join(f.generator.check(), f.teacher.check(f.usualTeacher())); err != nil {
		return err
	}
	if f.checkQueries < 0 {
		return fmt.Errorf("%w: -check-queries is %d, want at least 0", errUsage, f.checkQueries)
	}
	if err := errors.Join(f.recipe().Validate(), f.checkOwn()); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// checkTarget lets the target be left to the loss.
func (f *distillFlags) checkTarget() error {
	if f.target == "" {
		return nil
	}
	if f.loss == lossPaper && f.target == pipeline.StudentScale.String() && f.lists == "" {
		return fmt.Errorf("%w: -loss paper takes scores in [0,1], and those of -target student-scale are not: leave -target out, "+
			"or take percentile or min-max", errUsage)
	}
	return oneOf("-target", f.target, targetNames()...)
}

// checkOwn refuses inputs that are files of the run itself, which it removes before it writes them anew.
func (f *distillFlags) checkOwn() error {
	for _, own := range []struct{ flag, path, name string }{
		{"-corpus", f.corpus, "corpus.jsonl"}, {"-model", f.model.dir, "student"}, {"-model", f.model.dir, "model"},
	} {
		input, err := os.Stat(own.path)
		if err != nil {
			continue // whoever opens it says so better
		}
		if written, err := os.Stat(filepath.Join(f.out, own.name)); err == nil && os.SameFile(input, written) {
			return fmt.Errorf("%s %s is written by the run %s itself: name another -out", own.flag, own.path, f.out)
		}
	}
	return nil
}

// values returns the settings by name.
func (a *distillArgs) values() map[string]string {
	values := map[string]string{}
	for _, g := range settingGroups() {
		for _, s := range g.settings {
			values[s.name] = a.flags.Lookup(s.name).Value.String()
		}
	}
	for name, prompt := range map[string]*string{
		"query-prompt": a.model.options.QueryPrompt, "passage-prompt": a.model.options.PassagePrompt,
	} {
		delete(values, name)
		if prompt != nil {
			values[name] = *prompt
		}
	}
	return values
}

func runDistill(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	a, err := parseDistill(args)
	if err != nil {
		return err
	}
	if a.init {
		return writeSettings(a, stdout)
	}
	if err := a.check(); err != nil {
		return err
	}
	j := newJob(a.distillFlags, stderr)
	j.settings = a.values()
	out, err := j.do(ctx, func() error { return j.load(ctx) }, a.model.student(ctx, j.progress))
	if err != nil {
		return err
	}
	return j.printOutcome(stdout, out)
}

// writeSettings writes the file of -init, which must not exist.
func writeSettings(a *distillArgs, stdout io.Writer) error {
	if len(a.words) > 1 {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, a.words[1])
	}
	text := settingsFile(a.values())
	if len(a.words) == 0 {
		_, err := stdout.Write(text)
		return err
	}
	path := a.words[0]
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(err, fmt.Errorf("%s is there already: remove it, or name another file", path))
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// The values of -loss.
const (
	lossKL    = "kl"
	lossPaper = "paper"
)

// targets are the values of -target.
var targets = []pipeline.Target{pipeline.MinMax, pipeline.StudentScale, pipeline.PercentileMinMax}

func targetNames() []string {
	var names []string
	for _, t := range targets {
		names = append(names, t.String())
	}
	return names
}

// takenTarget is the target, which is the loss's own where none is named.
func (f *distillFlags) takenTarget() pipeline.Target {
	for _, t := range targets {
		if f.target == t.String() {
			return t
		}
	}
	if f.loss == lossPaper {
		return pipeline.PercentileMinMax
	}
	return pipeline.StudentScale
}

// usualTeacher is the teacher where none is named.
func (f *distillFlags) usualTeacher() string {
	if f.takenTarget() == pipeline.StudentScale {
		return pipeline.KindBM25
	}
	return pipeline.KindBM25 + "+" + pipeline.KindStudent
}

// recipe is what the flags say, but for what is read from files and opened.
func (f *distillFlags) recipe() pipeline.Recipe {
	r := pipeline.Recipe{
		Folder: f.out, Seed: f.seed, Analyzer: mine.English(), Mining: f.mining, Training: f.training,
		TeacherCheck: pipeline.TeacherCheck{Queries: cmp.Or(f.checkQueries, -1), Force: f.force},
		Retention:    pipeline.Retention{MaxDrop: f.retentionDrop},
		Interpolate:  f.interpolate, KeepLast: f.keep == "last",
	}
	if f.towers == "both" {
		r.Towers = distill.Both
	}
	if f.analyzer == "code" {
		r.Analyzer = mine.Code()
	}
	if f.loss == lossPaper {
		r.Training.Loss, r.Training.CountDuplicates = loss.Paper(), true
	}
	r.Training.Patience = cmp.Or(f.training.Patience, -1)
	usual, m := pipeline.DefaultMining(r.Towers), &r.Mining
	m.List.Top = cmp.Or(m.List.Top, min(usual.List.Top, m.List.Depth))
	m.List.Sample, m.MaxLists = cmp.Or(m.List.Sample, usual.List.Sample), cmp.Or(m.MaxLists, usual.MaxLists)
	m.List.DropSource, m.Target = !f.keepSource, f.takenTarget()
	m.Filters.MinAgreement, m.AgreementWeight = f.teacher.minAgreement, f.teacher.agreementWeight
	return r
}

// taken are the values of the settings that may be left to the kind of training, or to the loss.
func (f *distillFlags) taken() map[string]string {
	r := f.recipe().WithDefaults()
	s := r.Training.Schedule
	return map[string]string{
		"epochs": fmt.Sprint(s.Epochs), "batch": fmt.Sprint(s.QueriesPerStep), "lr": fmt.Sprint(s.LR),
		"top": fmt.Sprint(r.Mining.List.Top), "sample": fmt.Sprint(r.Mining.List.Sample),
		"max-lists": fmt.Sprint(r.Mining.MaxLists), "target": r.Mining.Target.String(),
	}
}
