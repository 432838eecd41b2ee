package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Specialise makes a student good at a corpus by the recipe and leaves the best student that it met in student: the
// untouched one too is a candidate and can win, and Outcome.Verdict says which one did and why. Passages of the student
// with QueryOnly keep their vectors.
//
// The student must implement encoder.Splitter where the recipe's Towers are QueryOnly, and encoder.Parametric. With a
// Folder it should implement encoder.Fingerprinter, so that a run that goes on notices another student.
//
// Errors: retort.ErrInUse if another process works in the Folder, retort.ErrDamaged if a file of the Folder has changed
// since it was written, ErrNothingToLearn if the teacher is not better than the student. Specialise returns soon after
// ctx ends, and the same call goes on from there.
func Specialise(ctx context.Context, student encoder.Trainable, corpus retort.Corpus, recipe Recipe) (_ *Outcome, err error) {
	if err := recipe.Validate(); err != nil {
		return nil, err
	}
	r := &run{Recipe: recipe.WithDefaults(), student: student, corpus: withLookup(corpus)}
	if r.Folder == "" {
		if r.Folder, err = os.MkdirTemp("", "retort-*"); err != nil {
			return nil, fmt.Errorf("pipeline: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(r.Folder)) }()
		r.temporary = true
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return r.specialise(encoder.Alone(ctx))
}

// run is one call of Specialise.
type run struct {
	Recipe
	events    watched
	student   encoder.Trainable
	corpus    retort.Corpus
	temporary bool // the Folder goes with the run

	folder     *runfolder.Folder
	inputs     map[string]string // hashes for the manifest
	corpusHash string
	closers    []func() error
	detected   string      // languages and analyzer, where the recipe has no analyzer
	dense      *mine.Dense // over the student's vectors as they were
	bm25       *mine.BM25
	fusion     *mine.ZScoreFusion
	held       *heldOut                // nil where judged queries choose, or nothing does
	extractive generate.QueryGenerator // what makes queries besides a language model
	scorer     *Scorer                 // nil where the lists are the user's
	asked      *Asked                  // nil where no language model is
	teacher    teacher.Teacher         // of the lists; nil: the ranking's own scores
	target     teacher.Teacher         // what the student is asked to reproduce, as far as it ranks
	start      distill.Weights         // of the student as it was
	spent      Costs                   // in all calls
	generating time.Duration           // what the stage took in this call
	encoding   encodingCost            // of the passages
}

func (r *run) path(name string) string { return r.folder.Path(name) }

func (r *run) close() error {
	var errs []error
	for _, c := range slices.Backward(r.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

func (r *run) specialise(ctx context.Context) (*Outcome, error) {
	if _, ok := r.student.(encoder.Parametric); !ok {
		return nil, fmt.Errorf("pipeline: %T does not implement encoder.Parametric: a student that is not better could not "+
			"be made what it was", r.student)
	}
	if err := errors.Join(checkTraining(r.student), r.checkWidths()); err != nil {
		return nil, err
	}
	r.events = watch(r.Events)
	r.events.Stage = r.timeGenerating(r.events.Stage)
	begun := time.Now()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	out, err := r.train(ctx)
	if err != nil {
		return out, err
	}
	out.Seconds = time.Since(begun).Seconds()
	if err := r.summarise(ctx, out); err != nil {
		return nil, err
	}
	if r.temporary {
		return out, nil
	}
	return out, r.saveReport(ctx, out)
}

// prepare opens the folder, writes the corpus and the student as they are, encodes the passages, and makes the rankers.
func (r *run) prepare(ctx context.Context) error {
	var err error
	if r.folder, err = runfolder.Open(ctx, r.Folder, runfolder.Pipeline, r.events.logger()); err != nil {
		return err
	}
	r.closers = append(r.closers, r.folder.Close)
	if err := r.check(ctx, runCosts); err != nil {
		return err // before anything is paid for
	}
	if err := r.hashInputs(ctx); err != nil {
		return err
	}
	if err := r.chooseAnalyzer(ctx); err != nil {
		return err
	}
	if err := r.keepInputs(ctx); err != nil {
		return err
	}
	if err := r.tellThemselves(); err != nil {
		return err
	}
	if r.bm25, err = mine.NewBM25(ctx, r.corpus, mine.BM25Options{Analyzer: r.Analyzer, Dir: r.Folder}); err != nil {
		return err
	}
	r.closers = append(r.closers, r.bm25.Close)
	if r.dense, err = r.encodePassages(ctx); err != nil {
		return err
	}
	r.closers = append(r.closers, r.dense.Close)
	r.fusion, err = mine.NewZScoreFusion(0, r.bm25, r.dense)
	return err
}

// train leaves the best student in the student and in the folder.
func (r *run) train(ctx context.Context) (_ *Outcome, err error) {
	runCtx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	if r.Lists == nil {
		defer func() { err = errors.Join(err, r.countCosts(context.WithoutCancel(ctx))) }()
		if err := r.openSources(ctx, giveUp); err != nil {
			return nil, err
		}
	}
	s, err := r.stages(ctx)
	if err != nil {
		return nil, err
	}
	out, err := s.Run(runCtx)
	if cause := context.Cause(runCtx); cause != nil && ctx.Err() == nil {
		return nil, cause
	}
	if err != nil {
		return out, err
	}
	return out, r.sayCutQueries(ctx, out)
}

// stages are the stages of the run and what they work with.
func (r *run) stages(ctx context.Context) (*stages, error) {
	s := &stages{
		Student: r.student, Corpus: r.corpus, Generator: r.Generator, Queries: r.Queries, Lists: r.Lists,
		Ranker: r.fusion, Teacher: r.teacher, Vectors: r.dense.Vectors(), Mining: r.Mining,
		Training: r.Training.options(r.Towers), Folder: r.folder, CorpusHash: r.corpusHash, Measure: r.measureAll, events: r.events,
	}
	s.Training.Widths = r.Widths
	chosen := "last"
	if !r.KeepLast {
		var err error
		if s.Training.Selection.Evaluate, chosen, err = r.selection(ctx); err != nil {
			return nil, err
		}
		if r.Interpolate {
			s.Training.Selection.Interpolate = averages
		}
		if r.Retention.Collection != nil {
			s.Training.Retention = distill.Retention{Evaluate: r.retained(), MaxDrop: r.Retention.MaxDrop, DrawBack: drawnBack}
			chosen += ", retention " + r.inputs[inputRetention]
		}
	}
	if r.held != nil {
		s.SignificanceTest, s.HeldOut = r.held.Test.ReciprocalRanks, r.held.Passages
	}
	s.TestQueries = r.testQueries()
	sets, err := r.hashSets()
	if err != nil {
		return nil, err
	}
	s.Versions = map[string]string{runfolder.StageTrain: chosen, runfolder.StageBefore: sets, runfolder.StageEvaluate: sets}
	s.Card = r.card()
	s.Check, err = r.teacherCheck(ctx)
	s.Started = func(start distill.Weights) { r.start = start }
	return s, err
}

// averages are the shares of the way from the start to the best student that Recipe.Interpolate tries.
var averages = []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9}

// drawnBack are the shares of its way that a student that forgot may be left, the greatest that holds.
var drawnBack = []float64{.25, .5, .75}

// retained measures the retention. The first time it may have many passages to encode, and says so.
func (r *run) retained() func(context.Context, encoder.Encoder) (float64, error) {
	measure := judgedQueries(r.Retention.Collection, r.Towers == distill.QueryOnly)
	first := true
	return func(ctx context.Context, student encoder.Encoder) (float64, error) {
		if first {
			first = false
			defer r.events.piece("measure the retention")()
		}
		return measure(ctx, student)
	}
}

// openSources makes what makes queries and what scores lists.
func (r *run) openSources(ctx context.Context, giveUp func(error)) error {
	if err := r.openGenerator(ctx, giveUp); err != nil {
		return err
	}
	var err error
	if r.scorer, err = NewScorer(ctx, r.scoredBy(), r.path(runScores), r.events.logger()); err != nil {
		return err
	}
	r.closers = append(r.closers, r.scorer.Close)
	student, err := teacher.FromVectors(r.student, r.corpus, r.dense.Vectors())
	if err != nil {
		return err
	}
	scored, err := r.scorer.Over(r.corpus, r.bm25, student)
	if err != nil {
		return err
	}
	r.target = targetTeacher(scored, student, r.Mining)
	if r.Teacher != nil || r.Mining.Target == StudentScale {
		r.teacher = scored
	}
	if contrastive(r.Training.Loss) && r.Queries == nil && r.asked == nil && r.trainedTypes() != nil {
		r.events.note("extractive queries have no positive, so of the loss only the parts without one are left: " +
			"give queries of your own or a language model to have InfoNCE too")
	}
	return nil
}

// contrastive says whether a loss has a part that needs a positive.
func contrastive(l loss.Loss) bool {
	switch l := l.(type) {
	case loss.InfoNCE:
		return true
	case loss.Sum:
		return slices.ContainsFunc(l, func(t loss.Term) bool { return contrastive(t.Loss) })
	}
	return false
}

func (r *run) scoredBy() teacher.Teacher {
	if r.Teacher != nil {
		return r.Teacher
	}
	return r.Mining.defaultTeacher()
}

// defaultTeacher is what scores lists where nothing is named: in the target on the student's scale the student has its
// part already.
func (m Mining) defaultTeacher() teacher.Teacher {
	if m.Target == StudentScale {
		return BM25()
	}
	fused, _ := teacher.NewEnsemble(teacher.Member{Name: kindBM25, Teacher: BM25()}, teacher.Member{Name: kindStudent, Teacher: Student()})
	return fused
}

// openGenerator joins the generator and the language model.
func (r *run) openGenerator(ctx context.Context, giveUp func(error)) error {
	var parts []generate.QueryGenerator
	if r.LanguageModel == nil || !r.LanguageModel.Alone {
		if r.Generator == nil {
			var err error
			r.Generator, err = generate.NewExtractive(ctx, r.corpus, generate.Options{Types: defaultTypes(), Seed: r.Seed})
			if err != nil {
				return err
			}
		}
		parts = append(parts, r.Generator)
	}
	r.extractive = r.Generator
	if r.LanguageModel != nil {
		var err error
		if r.asked, err = r.LanguageModel.Ask(ctx, r.path(runAnswers), r.corpus.Len(), r.Seed, r.events.logger()); err != nil {
			return err
		}
		r.closers = append(r.closers, r.asked.Close)
		r.asked.passes.giveUp = giveUp
		parts = append(parts, r.asked)
	}
	if len(parts) == 1 {
		r.Generator = parts[0]
		return nil
	}
	var err error
	r.Generator, err = generate.Mixture(parts...)
	return err
}

// countCosts adds what this call took to what the earlier ones did.
func (r *run) countCosts(ctx context.Context) error {
	if r.scorer == nil {
		return nil
	}
	var now Costs
	if r.asked != nil {
		now.Generate = r.asked.Cost()
		now.Generate.Seconds = r.generating.Seconds()
	}
	now.Score = r.scorer.Costs()
	var err error
	if r.spent, err = readCosts(r.path(runCosts)); err != nil {
		return err
	}
	r.spent.add(now)
	if len(r.spent.Lines()) == 0 {
		return nil
	}
	return r.folder.Replace(ctx, func() error { return r.spent.write(r.path(runCosts)) }, runCosts)
}

// checkTraining says why a student cannot be trained, before anything is made for it.
func checkTraining(student encoder.Trainable) error {
	c, ok := student.(encoder.TrainingChecker)
	if !ok {
		return nil
	}
	if err := c.CheckTraining(); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}

// testQueries are all that the student is chosen, tested or measured by, which must not be trained on.
func (r *run) testQueries() []retort.Query {
	var all []retort.Query
	for _, set := range r.measuredSets() {
		all = append(all, set.Collection.Queries...)
	}
	if r.Judged != nil {
		all = append(all, r.Judged.Queries...)
	}
	if c := r.Retention.Collection; c != nil {
		all = append(all, c.Queries...)
	}
	if r.held != nil {
		all = append(all, r.held.Queries()...)
	}
	return append(all, r.TestQueries...)
}

// timeGenerating also adds up how long queries have been made.
func (r *run) timeGenerating(next func(retort.Stage)) func(retort.Stage) {
	var begun time.Time
	return func(s retort.Stage) {
		if s.Name == runfolder.StageGenerate {
			if begun.IsZero() {
				begun = time.Now()
			}
			r.generating = time.Since(begun)
		}
		next(s)
	}
}
