package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/metrics"
	"github.com/retort-ir/retort/eval"
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
  -gate-queries N       the most judged, and the most held-out queries on which teacher and model are compared before
                        anything is trained; 0: no comparison (200)
  -force                train even where the teacher is not better than the model
  -epochs N -lr R -batch N   (query: 1, 1e-4, 64; both: 1, 5e-5, 16)
  -keep last            take the last model, not the best (best)
  -interpolate          average the best model's weights with those it began with, as far as what chooses the best is for it
  -floor DIR            judged queries that are not trained for, a folder in BEIR layout (qrels/test.tsv): a model whose nDCG@10
                        there falls too far is drawn back towards what it was
  -floor-drop X         how far it may fall (0.01)
  -metrics              write every step and evaluation to RUN/metrics, as CSV and for TensorBoard
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
	floor                 string
	analyzer, keep        string
	target, loss          string
	generator             generatorFlags
	teacher               teacherFlags
	gateQueries           int
	force, profile        bool
	metrics, interpolate  bool
	mining                distill.MiningOptions
	training              distill.Options
	seed                  uint64
	model                 modelFlags
}

// add declares the flags with their defaults.
func (f *distillFlags) add(flags *flag.FlagSet) {
	f.mining, f.training = distill.DefaultMiningOptions(), distill.DefaultOptions()
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
	flags.IntVar(&f.gateQueries, "gate-queries", 200, "")
	flags.BoolVar(&f.force, "force", false, "")
	flags.IntVar(&m.MaxQueries, "max-queries", m.MaxQueries, "")
	flags.IntVar(&m.MinWords, "min-words", m.MinWords, "")
	flags.IntVar(&m.MaxWords, "max-words", m.MaxWords, "")
	flags.Float64Var(&m.NearDuplicate, "near-duplicate", m.NearDuplicate, "")
	flags.StringVar(&f.analyzer, "analyzer", "english", "")
	flags.IntVar(&m.Depth, "depth", m.Depth, "")
	flags.IntVar(&m.RoundTrip, "round-trip", m.RoundTrip, "")
	flags.IntVar(&m.Top, "top", 0, "")
	flags.IntVar(&m.Sample, "sample", 0, "")
	flags.BoolVar(&m.KeepSource, "keep-source", m.KeepSource, "")
	flags.IntVar(&m.MinList, "min-list", m.MinList, "")
	flags.IntVar(&m.MaxLists, "max-lists", 0, "")
	flags.BoolVar(&m.SourceFirst, "source-first", m.SourceFirst, "")
	flags.Float64Var(&m.TopPercentile, "top-percentile", m.TopPercentile, "")
	flags.StringVar(&f.target, "target", "", "")
	flags.Float64Var(&m.Gamma, "gamma", m.Gamma, "")
}

func (f *distillFlags) addTraining(flags *flag.FlagSet) {
	t := &f.training
	flags.StringVar(&f.loss, "loss", lossKL, "")
	flags.IntVar(&t.Schedule.Epochs, "epochs", 0, "")
	flags.IntVar(&t.Schedule.QueriesPerStep, "batch", 0, "")
	flags.Float64Var(&t.Schedule.LR, "lr", 0, "")
	flags.Float64Var(&t.Schedule.Warmup, "warmup", t.Schedule.Warmup, "")
	flags.Float64Var(&t.Schedule.WeightDecay, "weight-decay", t.Schedule.WeightDecay, "")
	flags.Float64Var(&t.Schedule.ClipNorm, "clip-norm", t.Schedule.ClipNorm, "")
	flags.IntVar(&t.Selection.EvalSteps, "eval-steps", t.Selection.EvalSteps, "")
	flags.IntVar(&t.Selection.Patience, "patience", t.Selection.Patience, "")
	flags.StringVar(&f.keep, "keep", "best", "")
	flags.IntVar(&t.Memory.MicroBatchTokens, "micro-batch-tokens", t.Memory.MicroBatchTokens, "")
	flags.Int64Var(&t.Memory.GraphBudget, "graph-budget", t.Memory.GraphBudget, "")
	flags.DurationVar(&t.Checkpoints.Every, "checkpoint-every", t.Checkpoints.Every, "")
	flags.BoolVar(&f.interpolate, "interpolate", false, "")
	flags.StringVar(&f.floor, "floor", "", "")
	flags.Float64Var(&t.Retention.MaxDrop, "floor-drop", 0.01, "")
	flags.BoolVar(&f.metrics, "metrics", false, "")
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
		return fmt.Errorf("%w: what is %q?", errUsage, a.words[0])
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
	if f.floor != "" && f.keep == "last" {
		return fmt.Errorf("%w: -floor needs -keep best: it is looked at when the model is", errUsage)
	}
	err := errors.Join(f.model.check(), oneOf("-towers", f.towers, "query", "both"), oneOf("-keep", f.keep, "best", "last"),
		oneOf("-analyzer", f.analyzer, "english", "code"), oneOf("-loss", f.loss, lossKL, lossPaper), f.checkTarget())
	if err != nil {
		return err
	}
	s := f.job(progress.Quiet)
	if err := errors.Join(f.generator.check(), f.teacher.check(f.teacher.taken(s.mining.Target))); err != nil {
		return err
	}
	if f.gateQueries < 0 {
		return fmt.Errorf("%w: -gate-queries is %d, want at least 0", errUsage, f.gateQueries)
	}
	for _, err := range []error{s.mining.Validate(), s.training.Validate(), f.checkOwn()} {
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	return nil
}

// checkTarget lets the target be left to the loss.
func (f *distillFlags) checkTarget() error {
	if f.target == "" {
		return nil
	}
	if f.loss == lossPaper && f.target == targetNames[distill.StudentScale] && f.lists == "" {
		return fmt.Errorf("%w: -loss paper takes scores in [0,1], and those of -target student-scale are not: leave -target out, "+
			"or take percentile or min-max", errUsage)
	}
	return oneOf("-target", f.target, targetNames[:]...)
}

// checkOwn refuses inputs that are files of the run itself, which it removes before it writes them anew.
func (f *distillFlags) checkOwn() error {
	for _, own := range []struct{ flag, path, name string }{
		{"-corpus", f.corpus, runCorpus}, {"-model", f.model.dir, runStudent}, {"-model", f.model.dir, runModel},
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
	s := a.job(stderr)
	s.settings = a.values()
	return s.do(ctx, func() error { return a.load(ctx, s) }, a.model.student(ctx, s.progress), stdout)
}

// writeSettings writes the file of -init, which must not exist.
func writeSettings(a *distillArgs, stdout io.Writer) error {
	if len(a.words) > 1 {
		return fmt.Errorf("%w: what is %q?", errUsage, a.words[1])
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

// do loads what the job needs, opens its folder and the model, and does it.
func (s *specialisation) do(ctx context.Context, load func() error, open func() (student, error), stdout io.Writer) (err error) {
	if err := s.lockExisting(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := load(); err != nil {
		return err
	}
	extractOnly := s.lists == nil && s.queries == nil && !s.queriesBy.asksModel()
	if err := checkScripts(ctx, s.corpus, s.settings["corpus"], extractOnly, s.progress); err != nil {
		return err
	}
	model, err := open()
	if err != nil {
		return err
	}
	s.model, s.open = model, open
	if err := checkTraining(model); err != nil {
		return err
	}
	start := time.Now()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	out, err := s.train(ctx)
	if err != nil {
		return err
	}
	figures := map[string]any{"funnel": out.Funnel, "training": out.Training, "guard": out.Guard, "seconds": seconds(start)}
	if len(out.Gate) > 0 {
		figures["gate"] = out.Gate
	}
	if len(s.spent.lines()) > 0 {
		figures["costs"] = s.spent
	}
	if len(out.Training.History) > 0 {
		figures["selected_by"] = s.selectedBy()
	}
	if err := s.writeResults(ctx, figures); err != nil {
		return err
	}
	if err := s.saveReport(ctx, out); err != nil {
		return err
	}
	return s.printOutcome(stdout, out, seconds(start))
}

// job turns the settings into those of the stages.
func (f *distillFlags) job(stderr io.Writer) *specialisation {
	s := &specialisation{
		out: f.out, analyzer: mine.English(), queriesBy: f.generator, teacherBy: f.teacher, progress: progress.New(stderr),
		mining: f.mining, training: f.training, last: f.keep == "last", modelDir: f.model.dir, machine: f.model.options,
		gateQueries: f.gateQueries, force: f.force, interpolate: f.interpolate,
	}
	if f.analyzer == "code" {
		s.analyzer = mine.Code()
	}
	s.mining.Seed, s.training.Schedule.Seed = f.seed, f.seed
	if f.profile {
		s.profile = &metrics.Profile{}
	}
	s.metrics = f.metrics
	s.mining.MinAgreement, s.mining.AgreementWeight = f.teacher.minAgreement, f.teacher.agreementWeight
	s.mining.Target = f.takenTarget()
	switch {
	case f.loss == lossPaper:
		s.training.Loss, s.training.CountDuplicates = loss.Paper(), true
	case s.mining.Target != distill.StudentScale || f.lists != "":
		s.training.Loss = loss.ListwiseKL{} // of scores in [0,1]; the pipeline has that of the other target
	}
	s.training.Selection.DevFraction = 0 // the best is chosen by other means, or not at all
	f.towersDefaults(s)
	return s
}

// The values of -loss.
const (
	lossKL    = "kl"
	lossPaper = "paper"
)

// targetNames are the values of -target.
var targetNames = [...]string{distill.MinMax: "min-max", distill.StudentScale: "student-scale", distill.PercentileMinMax: "percentile"}

// takenTarget is the target, which is the loss's own where none is named.
func (f *distillFlags) takenTarget() distill.Target {
	if t := slices.Index(targetNames[:], f.target); t >= 0 {
		return distill.Target(t)
	}
	if f.loss == lossPaper {
		return distill.PercentileMinMax
	}
	return distill.StudentScale
}

// towersDefaults fills in what is left to the kind of training.
func (f *distillFlags) towersDefaults(s *specialisation) {
	epochs, batch, lr, top, sample, lists := 1, 64, 1e-4, distill.DefaultMiningOptions().Top, 0, 0
	s.training.Towers = distill.QueryOnly
	if f.towers == "both" {
		epochs, batch, lr, top, sample, lists = 1, 16, 5e-5, 5, 3, 1000
		s.training.Towers = distill.Both
	}
	s.training.Schedule.Epochs, s.training.Schedule.QueriesPerStep = cmp.Or(s.training.Schedule.Epochs, epochs), cmp.Or(s.training.Schedule.QueriesPerStep, batch)
	s.training.Schedule.LR = cmp.Or(s.training.Schedule.LR, lr)
	s.mining.Top, s.mining.Sample = cmp.Or(s.mining.Top, min(top, s.mining.Depth)), cmp.Or(s.mining.Sample, sample)
	s.mining.MaxLists = cmp.Or(s.mining.MaxLists, lists)
}

// taken are the values of the settings that may be left to the kind of training, or to the loss.
func (s *specialisation) taken() map[string]string {
	return map[string]string{
		"epochs": fmt.Sprint(s.training.Schedule.Epochs), "batch": fmt.Sprint(s.training.Schedule.QueriesPerStep), "lr": fmt.Sprint(s.training.Schedule.LR),
		"top": fmt.Sprint(s.mining.Top), "sample": fmt.Sprint(s.mining.Sample), "max-lists": fmt.Sprint(s.mining.MaxLists),
		"target": targetNames[s.mining.Target],
	}
}

// load reads the files that the settings name.
func (f *distillFlags) load(ctx context.Context, s *specialisation) error {
	corpus, sum, err := s.openRunCorpus(ctx, f.corpus)
	if err != nil {
		return err
	}
	s.corpus, s.closers = corpus, append(s.closers, corpus.Close)
	if f.lists != "" {
		if s.lists, err = loadLists(f.lists); err != nil {
			return err
		}
		themselves := 0
		if s.lists, themselves, err = mine.WithoutThemselves(s.corpus, s.lists); err != nil {
			return err
		}
		if themselves > 0 {
			s.progress.Print(fmt.Sprintf("%s: %s lists had the passage that is their query itself, which is taken out", f.lists,
				thousands(themselves)))
		}
	}
	if err := f.loadQueries(ctx, s); err != nil {
		return err
	}
	if f.tested != "" {
		if s.tested, err = loadQueries(ctx, f.tested); err != nil {
			return err
		}
	}
	if f.floor != "" {
		s.floor, err = await(ctx, func() (*eval.Collection, error) { return eval.LoadCollection(f.floor, floorSplit) })
		if err != nil {
			return err
		}
		for _, line := range remarks(s.floor) {
			s.progress.Print("floor: " + line)
		}
	}
	s.inputs, err = f.hashes(ctx, sum)
	return err
}

// loadLists refuses scores of another scale than that of the loss, which would teach next to nothing, or one passage only.
func loadLists(path string) ([]retort.List, error) {
	lists, err := retort.LoadLists(path)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		for i, score := range l.Scores {
			if !(score >= 0 && score <= 1) {
				return nil, fmt.Errorf("%s: list of query %q has score %v for passage %q: want all in [0,1], such as each list's scaled by its least and greatest",
					path, l.Query.ID, score, l.IDs[i])
			}
		}
	}
	return lists, nil
}

// loadQueries parts the user's queries into those that are judged and those that are trained on.
func (f *distillFlags) loadQueries(ctx context.Context, s *specialisation) error {
	if f.queries == "" {
		return nil
	}
	all, err := loadQueries(ctx, f.queries)
	if err != nil {
		return err
	}
	if f.qrels == "" {
		s.queries = all
		return s.tellThemselves()
	}
	qrels, err := eval.LoadQrels(f.qrels)
	if err != nil {
		return err
	}
	if s.judged, err = eval.NewCollection(s.corpus, all, qrels); err != nil {
		return fmt.Errorf("%s: %w", f.qrels, err)
	}
	for _, line := range remarks(s.judged) {
		s.progress.Print("judged queries: " + line)
	}
	for _, q := range all {
		if qrels[q.ID] == nil {
			s.queries = append(s.queries, q)
		}
	}
	return s.tellThemselves()
}

// tellThemselves says which of the queries that are trained on are passages themselves.
func (s *specialisation) tellThemselves() error {
	n, err := mine.Themselves(s.corpus, s.queries)
	if n > 0 {
		s.progress.Print(fmt.Sprintf("%s of your %s queries are passages of the corpus themselves, which are left out of their lists",
			thousands(n), thousands(len(s.queries))))
	}
	return err
}

// hashes returns the hashes of the files and folders that the settings name. corpus is the hash of a corpus that was a
// stream.
func (f *distillFlags) hashes(ctx context.Context, corpus string) (map[string]string, error) {
	hashes := map[string]string{}
	if corpus != "" {
		hashes[inputCorpus] = corpus
	}
	for name, path := range map[string]string{
		"corpus": f.corpus, "queries": f.queries, "qrels": f.qrels, "lists": f.lists, "test-queries": f.tested,
		"model": f.model.dir, "llm": f.generator.llm,
	} {
		if path == "" || hashes[name] != "" {
			continue
		}
		hash, err := hashPath(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // whoever opens it says so better
		}
		if err != nil {
			return nil, err
		}
		hashes[name] = hash
	}
	if f.floor == "" {
		return hashes, nil
	}
	hash, err := hashCollection(ctx, f.floor, floorSplit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		hashes[inputFloor] = hash
	}
	return hashes, nil
}

// floorSplit is that of the judgements of -floor.
const floorSplit = "test"

// hashCollection hashes the files of a collection, beside which others may lie.
func hashCollection(ctx context.Context, dir, split string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"corpus.jsonl", "queries.jsonl", filepath.Join("qrels", split+".tsv")} {
		hash, err := hashPath(ctx, filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, hash)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
