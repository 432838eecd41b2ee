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
	"strconv"
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

Generates queries from the passages, ranks the corpus for each query by BM25 and the model, and trains the model to
reproduce its own similarities shifted by the teacher's scores. Writes the best model to RUN/model, which Retort and
sentence-transformers load. If no trained model is better, RUN/model is the initial model.

RUN keeps the result of every stage. The same command resumes a killed run. After a change of settings it redoes only
the stages that depend on them. "retort status RUN" shows the progress.

  -c FILE               settings file; a flag overrides it
  -init                 write a commented file of all settings to FILE or standard output
  -corpus FILE          passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input
  -out RUN              folder of the run
  -towers T             query: train queries only, so that passage vectors and the index stay valid; both: train queries
                        and passages, which needs a new index (query)
  -queries FILE         your own queries: JSON Lines with _id, text; training adds them to the generated queries
  -qrels FILE           judgements of some -queries; they choose the best model and are not trained on. Without
                        judgements, held-out generated queries choose and test the model: their type and their passages
                        are not trained on
  -lists FILE           train on your own scored lists instead: JSON Lines with query, ids, scores in [0,1]
  -test-queries FILE    queries that will measure the model: JSON Lines with _id, text. Training skips queries and lists
                        that copy a test query or a judged query, and prints their number
` + strings.TrimPrefix(generatorUsage, "\n") + `
  -max-queries N        maximum number of generated queries, spread evenly over the passages (10000)
  -max-lists N          maximum number of lists, spread evenly over the passages (-towers query: no limit, both: 1000)
` + strings.TrimPrefix(teacherUsage(`
                        (bm25; with -target min-max or percentile: bm25+student)`), "\n") + `
  -target T             what the model learns. student-scale: its own similarities, shifted by the teacher; min-max: the
                        teacher's scores, scaled to [0,1] in each list; percentile: the teacher's scores, scaled by one
                        range for each query type (student-scale; with -loss paper: percentile)
  -loss L               kl: KL divergence over the list; paper: KL and a little InfoNCE with in-batch negatives, as in
                        Tamber et al. 2025 (arXiv 2502.19712). The positive of InfoNCE is the teacher's first passage;
                        InfoNCE skips extractive queries, whose first passage is unreliable (kl)
  -check-queries N      maximum number of judged queries, and of held-out queries, that compare teacher and model before
                        training; 0: no check (200)
  -force                train even if the teacher is no better than the model
  -epochs N             passes over the lists (1)
  -lr R                 peak learning rate (-towers query: 1e-4, both: 5e-5)
  -batch N              lists per step (-towers query: 64, both: 16)
  -matryoshka LIST      train at nested widths, so that vectors can be truncated to any of them: 384,256,128,64. Include
                        the whole width. The mean over the widths chooses and tests the model
  -keep K               best: save the best model; last: save the last model (best)
  -interpolate          average the best weights with the initial weights where the evaluation improves
  -retention DIR        judged queries of another task, a folder in BEIR layout (qrels/test.tsv). A model that loses
                        more than -retention-drop on them is moved back towards its initial weights
  -retention-drop X     how much nDCG@10 may drop on the -retention queries (0.01)` + analyzerUsage + `
  -seed N               seed of all random draws (1)
  Every other setting of the file that -init writes is a flag too.` + modelUsage + `

example:
  retort distill -corpus corpus.jsonl -model ./all-MiniLM-L6-v2 -out runs/mine
  retort search -corpus corpus.jsonl -model runs/mine/model "how do I ..."
`,
	json: true, resumes: true, run: runDistill,
}

// distillFlags holds the settings of distill.
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
	widths                widthsFlag
	seed                  uint64
	model                 modelFlags
}

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
	flags.StringVar(&f.analyzer, "analyzer", analyzerAuto, "")
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
	flags.Var(&f.widths, "matryoshka", "")
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

// parseDistill reads the settings file of -c, and then the flags, which override it. more declares additional flags.
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

// check validates the settings before any file is read.
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
		return fmt.Errorf("%w: -interpolate needs -keep best: the evaluation that chooses the best model chooses the average",
			errUsage)
	}
	if f.retention != "" && f.keep == "last" {
		return fmt.Errorf("%w: -retention needs -keep best: the evaluations that choose the best model measure it", errUsage)
	}
	err := errors.Join(f.model.check(), oneOf("-towers", f.towers, "query", "both"),
		oneOf("-keep", f.keep, "best", "last"), oneOf("-analyzer", f.analyzer, analyzerValues()...),
		oneOf("-loss", f.loss, lossKL, lossPaper), f.checkTarget())
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
		return fmt.Errorf("%w: %w", errUsage, withFlags(err))
	}
	return nil
}

func (f *distillFlags) checkTarget() error {
	if f.target == "" {
		return nil
	}
	if f.loss == lossPaper && f.target == pipeline.StudentScale.String() && f.lists == "" {
		return fmt.Errorf("%w: -loss paper needs scores in [0,1], and -target student-scale gives others: omit -target, "+
			"or use -target percentile or min-max", errUsage)
	}
	return oneOf("-target", f.target, targetNames()...)
}

// checkOwn refuses inputs that are files of the run, which the run would remove before it writes them again.
func (f *distillFlags) checkOwn() error {
	for _, own := range []struct{ flag, path, name string }{
		{"-corpus", f.corpus, "corpus.jsonl"}, {"-model", f.model.dir, "student"}, {"-model", f.model.dir, "model"},
	} {
		input, err := os.Stat(own.path)
		if err != nil {
			continue // opening it gives a better error
		}
		if written, err := os.Stat(filepath.Join(f.out, own.name)); err == nil && os.SameFile(input, written) {
			return fmt.Errorf("%s %s is an output of the run %s: choose another -out", own.flag, own.path, f.out)
		}
	}
	return nil
}

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

// writeSettings writes the file of -init and overwrites none.
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
		return cmp.Or(err, fmt.Errorf("%s exists: remove it, or choose another name", path))
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// widthsFlag is the value of -matryoshka: widths, separated by commas.
type widthsFlag []int

func (w *widthsFlag) String() string {
	texts := make([]string, len(*w))
	for i, width := range *w {
		texts[i] = strconv.Itoa(width)
	}
	return strings.Join(texts, ",")
}

func (w *widthsFlag) Set(list string) error {
	*w = nil
	if list == "" {
		return nil
	}
	for text := range strings.SplitSeq(list, ",") {
		width, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("want widths separated by commas, such as 384,256,128,64")
		}
		*w = append(*w, width)
	}
	return nil
}

// The values of -loss.
const (
	lossKL    = "kl"
	lossPaper = "paper"
)

// targets lists the values of -target.
var targets = []pipeline.Target{pipeline.MinMax, pipeline.StudentScale, pipeline.PercentileMinMax}

func targetNames() []string {
	var names []string
	for _, t := range targets {
		names = append(names, t.String())
	}
	return names
}

// takenTarget returns the target of -target, or the default of the loss.
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

// usualTeacher returns the default of -teacher.
func (f *distillFlags) usualTeacher() string {
	if f.takenTarget() == pipeline.StudentScale {
		return "bm25"
	}
	return "bm25+student"
}

// recipe returns the recipe of the flags, without the parts that are read from files.
func (f *distillFlags) recipe() pipeline.Recipe {
	r := pipeline.Recipe{
		Folder: f.out, Seed: f.seed, Mining: f.mining, Training: f.training,
		Widths:       f.widths,
		TeacherCheck: pipeline.TeacherCheck{Queries: cmp.Or(f.checkQueries, -1), Force: f.force},
		Retention:    pipeline.Retention{MaxDrop: f.retentionDrop},
		Interpolate:  f.interpolate, KeepLast: f.keep == "last",
	}
	if f.towers == "both" {
		r.Towers = distill.Both
	}
	if f.analyzer != analyzerAuto {
		r.Analyzer, _ = mine.AnalyzerNamed(f.analyzer) // check knows the name
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

// taken returns the actual values of the settings whose default depends on -towers or -loss.
func (f *distillFlags) taken() map[string]string {
	r := f.recipe().WithDefaults()
	s := r.Training.Schedule
	return map[string]string{
		"epochs": fmt.Sprint(s.Epochs), "batch": fmt.Sprint(s.QueriesPerStep), "lr": fmt.Sprint(s.LR),
		"top": fmt.Sprint(r.Mining.List.Top), "sample": fmt.Sprint(r.Mining.List.Sample),
		"max-lists": fmt.Sprint(r.Mining.MaxLists), "target": r.Mining.Target.String(),
	}
}
