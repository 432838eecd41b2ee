package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/distill/metrics"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/internal/runfolder"
)

// student is a model that can be trained and closed.
type student interface {
	encoder.Trainable
	Close() error
}

func (m *modelFlags) student(ctx context.Context, p *progress.Progress) func() (student, error) {
	return func() (student, error) {
		model, err := m.open(ctx, p)
		if err != nil {
			return nil, err
		}
		if model, ok := model.(student); ok {
			return model, nil
		}
		return nil, errors.Join(fmt.Errorf("%s: static embeddings are not trained, only used to search, eval, embed and "+
			"score (-teacher encoder:%s): give a transformer, such as all-MiniLM-L6-v2", m.dir, m.dir), model.Close())
	}
}

// job is a call of distill or of demo.
type job struct {
	distillFlags
	recipe   pipeline.Recipe
	corpus   retort.Corpus
	settings map[string]string // for the manifest
	progress *progress.Progress
	profiled *metrics.Profile // nil without -profile
	closers  []func() error
}

func newJob(f distillFlags, stderr io.Writer) *job {
	j := &job{distillFlags: f, recipe: f.recipe(), progress: progress.New(stderr)}
	j.recipe.Events = withFlagNames(runEvents(j.progress))
	if f.profile {
		j.profiled = &metrics.Profile{}
		j.recipe.Events = retort.Tee(j.recipe.Events, j.profiled.Events())
	}
	return j
}

func (j *job) logger() *slog.Logger { return slog.New(lineHandler{j.progress}) }

func (j *job) close() error {
	var errs []error
	for _, c := range slices.Backward(j.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// do loads the inputs with load, opens the model with open, and specialises it.
func (j *job) do(
	ctx context.Context, load func() error, open func() (student, error),
) (_ *pipeline.Outcome, err error) {
	if err := checkFree(ctx, j.out); err != nil {
		return nil, err
	}
	defer func() { err = withFlags(errors.Join(err, j.close())) }()
	if err := load(); err != nil {
		return nil, err
	}
	model, err := open()
	if err != nil {
		return nil, err
	}
	j.closers = append(j.closers, model.Close)
	if err := j.openParts(ctx); err != nil {
		return nil, err
	}
	j.recipe.Names = j.names()
	out, err := pipeline.Specialise(ctx, model, j.corpus, j.recipe)
	if err == nil && j.profiled != nil && j.profiled.Steps > 0 {
		j.progress.Print(strings.TrimSuffix(j.profiled.String(), "\n"))
	}
	return out, err
}

// checkFree refuses a run in use by another process before the job reads its inputs.
func checkFree(ctx context.Context, dir string) error {
	if !runfolder.InUse(dir) {
		return nil
	}
	f, err := runfolder.Open(ctx, dir, runfolder.Pipeline, nil)
	if err != nil {
		return err
	}
	return f.Close()
}

// openParts opens the query generators and the teacher.
func (j *job) openParts(ctx context.Context) error {
	if j.recipe.Lists != nil {
		return nil
	}
	var err error
	if j.recipe.Generator, err = j.generator.extractive(ctx, j.corpus, j.seed); err != nil {
		return err
	}
	model, closeModel, err := j.generator.languageModel(ctx, j.model.options, j.logger())
	if err != nil {
		return err
	}
	j.recipe.LanguageModel, j.closers = model, append(j.closers, closeModel)
	if j.teacher.spec == "" {
		return nil
	}
	members, err := j.teacher.expression("")
	if err != nil {
		return err
	}
	o := &opener{by: j.teacher, machine: j.model.options, logger: j.logger()}
	j.closers = append(j.closers, o.close)
	j.recipe.Teacher, err = o.open(ctx, members)
	return err
}

// names returns the names of the parts and the settings for the manifest and the report.
func (j *job) names() pipeline.Names {
	n := pipeline.Names{Corpus: j.distillFlags.corpus, Student: filepath.Base(j.model.dir), Files: map[string]string{}}
	if j.recipe.Lists == nil {
		n.Generator = j.generator.describe()
	}
	taken := j.taken()
	for _, g := range settingGroups() {
		for _, s := range g.settings {
			value, ok := j.settings[s.name]
			if !ok {
				continue
			}
			shown := value
			if v, ok := taken[s.name]; ok {
				shown = v
			}
			n.Settings = append(n.Settings, pipeline.Setting{Name: s.name, Value: value, Taken: shown})
		}
	}
	for name, path := range j.files() {
		if path != "" {
			n.Files[name] = path
		}
	}
	return n
}

func (j *job) load(ctx context.Context) error {
	corpus, err := openRunCorpus(ctx, j.distillFlags.corpus, j.out, j.progress)
	if err != nil {
		return err
	}
	j.corpus, j.closers = corpus, append(j.closers, corpus.Close)
	r := &j.recipe
	if j.lists != "" {
		if r.Lists, err = loadLists(j.lists); err != nil {
			return err
		}
	}
	if err := j.loadQueries(ctx); err != nil {
		return err
	}
	if j.tested != "" {
		if r.TestQueries, err = loadQueries(ctx, j.tested); err != nil {
			return err
		}
	}
	if j.retention == "" {
		return nil
	}
	r.Retention.Collection, err = await(ctx, func() (*eval.Collection, error) {
		return eval.LoadCollection(j.retention, retentionSplit)
	})
	if err != nil {
		return err
	}
	for _, line := range remarks(r.Retention.Collection) {
		j.progress.Print("retention: " + line)
	}
	return nil
}

// retentionSplit is the split of -retention.
const retentionSplit = "test"

// loadLists refuses scores outside [0,1]. The loss expects this scale; on a larger scale only the first passage counts.
func loadLists(path string) ([]retort.List, error) {
	lists, err := retort.LoadLists(path)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		for i, score := range l.Scores {
			if !(score >= 0 && score <= 1) {
				return nil, fmt.Errorf("%s: list of query %q has score %v for passage %q: want scores in [0,1], "+
					`such as "retort score -scale min-max" writes`, path, l.Query.ID, score, l.IDs[i])
			}
		}
	}
	return lists, nil
}

// loadQueries splits the user's queries into judged queries and training queries.
func (j *job) loadQueries(ctx context.Context) error {
	if j.queries == "" {
		return nil
	}
	all, err := loadQueries(ctx, j.queries)
	if err != nil {
		return err
	}
	if j.qrels == "" {
		j.recipe.Queries = all
		return nil
	}
	qrels, err := eval.LoadQrels(j.qrels)
	if err != nil {
		return err
	}
	if j.recipe.Judged, err = eval.NewCollection(j.corpus, all, qrels); err != nil {
		return fmt.Errorf("%s: %w", j.qrels, err)
	}
	for _, line := range remarks(j.recipe.Judged) {
		j.progress.Print("judged queries: " + line)
	}
	for _, q := range all {
		if qrels[q.ID] == nil {
			j.recipe.Queries = append(j.recipe.Queries, q)
		}
	}
	return nil
}

// files returns the files and folders in the settings, except the corpus and the collection of -retention: the run
// hashes their contents.
func (f *distillFlags) files() map[string]string {
	return map[string]string{
		"queries": f.queries, "qrels": f.qrels, "lists": f.lists, "test-queries": f.tested, "model": f.model.dir,
		"llm": f.generator.llm,
	}
}

func runEvents(p *progress.Progress) retort.Events {
	training := trainingEvents(p, "train")
	names := map[string]string{
		runfolder.StageCheck: "check the teacher", runfolder.StageGenerate: "generate queries",
		runfolder.StageMine: "mine lists", runfolder.StageScore: "score lists",
	}
	var stage *progress.Stage
	current := ""
	training.Stage = func(next func(retort.Stage)) func(retort.Stage) {
		return func(now retort.Stage) {
			if next(now); slices.Contains([]string{retort.StageTrain, retort.StageSetup}, now.Name) {
				return
			}
			if stage == nil || now.Name != current {
				name := now.Name
				if shown, ok := names[name]; ok {
					name = shown
				}
				total := now.Total
				if total == 1 {
					total = 0 // a single unit has no progress
				}
				current, stage = now.Name, p.Stage(name, total)
				stage.Skip(now.Done) // done by an earlier call
			}
			stage.Set(now.Done)
			if now.Done == now.Total {
				stage.Done()
				stage = nil
			}
		}
	}(training.Stage)
	training.Note = p.Print
	return training
}

// trainingEvents shows training steps as a stage, and evaluations and warnings as lines.
func trainingEvents(p *progress.Progress, name string) retort.Events {
	var stage *progress.Stage
	return retort.Events{
		Stage: func(now retort.Stage) {
			switch {
			case now.Name != retort.StageTrain:
			case stage == nil && now.Done < now.Total:
				stage = p.Stage(name, now.Total)
				stage.Skip(now.Done) // done by an earlier call
			case stage != nil:
				stage.Done()
				stage = nil
			}
		},
		Step: func(now retort.Step) {
			stage.Set(now.Step)
			stage.Note(fmt.Sprintf("loss %.3f", now.Loss))
		},
		Evaluation: func(e retort.Evaluation) {
			p.Print(fmt.Sprintf("evaluation after %d steps: %.4f", e.Step, e.Score))
		},
		Warning: func(w retort.Warning) { p.Print(w.String()) },
	}
}

// lineHandler prints a log record as one line: the message, then its attributes.
type lineHandler struct{ progress *progress.Progress }

func (h lineHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h lineHandler) Handle(_ context.Context, r slog.Record) error {
	w := retort.Warning{Message: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		w.Attrs = append(w.Attrs, a)
		return true
	})
	h.progress.Print(w.String())
	return nil
}

func (h lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h lineHandler) WithGroup(string) slog.Handler      { return h }

// thousands formats 12345 as 12,345.
func thousands(n int) string { return counted.Thousands(n) }

// seconds returns the time since start, rounded down to tenths of a second.
func seconds(start time.Time) float64 { return float64(time.Since(start).Milliseconds()/100) / 10 }
