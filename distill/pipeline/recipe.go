package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Recipe says how Specialise makes a student good at a corpus. The zero value is the best known default for a corpus
// that nobody has measured: extractive queries, lists of the fused ranking of BM25 and the student, BM25 as the
// teacher on the student's own scale, and a query tower that learns while passage vectors stay as they are.
type Recipe struct {
	// Folder is the folder of the run, which is made where there is none. A run in it that was interrupted goes on, and
	// what no changed field decides is not made again. Empty means a temporary folder that is removed at the end.
	Folder string
	// Seed decides everything that is drawn at random; 0 means 1.
	Seed uint64
	// Towers says which side of the student learns.
	Towers distill.Towers

	// Generator makes queries of the passages; nil: extractive queries of sentences, titles, phrases and
	// how-to questions.
	Generator generate.QueryGenerator
	// LanguageModel asks a language model for queries too; nil: none is asked.
	LanguageModel *LanguageModel
	// Queries are queries without judgements that people asked: they are trained on beside the generated ones.
	Queries []retort.Query
	// Lists are scored lists, with scores in [0,1]. Where they are given the student is trained on them, and nothing is
	// generated, mined or scored.
	Lists []retort.List
	// Teacher scores the lists. BM25() and Student() stand for the run's own index and for the student as it was, alone
	// or as members of a teacher.Ensemble. nil means BM25() where the target is StudentScale, and otherwise the fused
	// ranking that the lists are made of. Scores of teachers with a fingerprint are kept in the Folder.
	Teacher teacher.Teacher
	// Analyzer makes the terms of BM25; nil: the analyzer of the corpus's main language (mine.DetectAnalyzer).
	Analyzer mine.Analyzer
	// Vectors are the student's passage vectors [Corpus.Len() x d], where somebody has computed them already.
	Vectors blas32.General
	// Mining says how queries become lists; the zero value means DefaultMining(Towers).
	Mining Mining
	// Training says how the student learns from the lists; the zero value means DefaultTraining(Towers).
	Training Training
	// Widths are nested widths to train at, so that vectors can be truncated (distill.Options.Widths). The student is then
	// chosen and tested by the mean over these widths, and measured at each of them; Retention looks at whole vectors. nil:
	// whole vectors only.
	Widths []int

	// Judged are judged queries, which choose the best student and are not trained on; nil: held-out queries of a type
	// that is not trained on choose one, and others test it.
	Judged *eval.Collection
	// Measured are sets of judged queries that the student is measured on, before and after, besides Judged.
	Measured []Set
	// TestQueries are more queries that the student will be measured by: neither they nor copies of them are trained on.
	TestQueries []retort.Query
	// TeacherCheck compares the teacher with the student before anything is trained.
	TeacherCheck TeacherCheck
	// Retention holds the student to what it could do before on other queries.
	Retention Retention
	// Interpolate averages the best student with the one at the start, as far as what chooses the best student is for it.
	Interpolate bool
	// KeepLast takes the student after the last step, untested.
	KeepLast bool

	// Events watches the run.
	Events retort.Events
	// Names are for people who look at the run later.
	Names Names
}

// Set is a set of judged queries over the run's corpus.
type Set struct {
	Name       string // short, as in evaluate.jsonl
	Title      string // for people; "" takes Name
	Collection *eval.Collection
}

// TeacherCheck asks, before anything is trained, whether the teacher ranks better than the student: a student cannot
// become better than what it reproduces.
type TeacherCheck struct {
	// Queries is the most queries of each set that are asked; 0 means 200, and a number below 0 asks none.
	Queries int
	// Force trains even where the teacher is not better.
	Force bool
}

// Retention holds the student to the nDCG@10 that it had before on judged queries that it is not trained for.
type Retention struct {
	Collection *eval.Collection // nil: nothing is held
	MaxDrop    float64          // how far it may fall, >= 0
}

// Names are what the manifest, the model card and the report call what a run is made of. All may be left out.
type Names struct {
	// Corpus, Student and Generator are the names of these parts.
	Corpus, Student, Generator string
	// Settings are all settings as the caller's user knows them, in their order. nil: those of the Recipe.
	Settings []Setting
	// Files are the paths of the files and folders that the run was given, by the name of the setting. Their hashes are
	// kept in the manifest.
	Files map[string]string
}

// Setting is the name and the value of a setting. Taken is the value that the run takes, where Value leaves that open.
type Setting struct{ Name, Value, Taken string }

// defaultTypes are the types of extractive queries that are trained on where Recipe.Generator is nil. What is left out
// chooses and tests the student.
func defaultTypes() []string {
	return []string{generate.TypeSentence, generate.TypeTitle, generate.TypePhrase, generate.TypeHowTo}
}

// DefaultMining returns the best known way from queries to lists. With QueryOnly a list is the whole head of the
// ranking, since a step costs its queries only; with Both it is a few passages, of fewer lists.
func DefaultMining(towers distill.Towers) Mining {
	m := Mining{
		MaxQueries: 10_000, RoundTrip: 20, List: ListShape{Top: 100, Depth: 100},
		Target: StudentScale, Gamma: 1, Temperature: 0.05,
	}
	if towers == distill.Both {
		m.MaxLists, m.List.Top, m.List.Sample = 1000, 5, 3
	}
	return m
}

// Training says how the student learns from the lists.
type Training struct {
	// Loss is the loss of one list; nil: the KL divergence over the list, at the temperature of the target. CountDuplicates
	// is for loss.Paper, see distill.Options.
	Loss            loss.Loss
	CountDuplicates bool
	// Schedule is that of DefaultTraining where it is zero. Zero Epochs, QueriesPerStep and LR take the defaults singly.
	Schedule distill.Schedule
	Memory   distill.Memory // zero: that of distill.DefaultOptions
	// EvalSteps is the number of steps between evaluations; 0 means an epoch. Patience ends training after so many
	// evaluations without a better one; 0 means 2, and a number below 0 never.
	EvalSteps, Patience int
	// CheckpointEvery is the time between checkpoints, besides the one of each evaluation; 0 means a minute.
	CheckpointEvery time.Duration
}

// DefaultTraining returns the best known schedule for the kind of training.
func DefaultTraining(towers distill.Towers) Training {
	usual := distill.DefaultOptions()
	t := Training{
		Schedule: usual.Schedule, Memory: usual.Memory,
		Patience: usual.Selection.Patience, CheckpointEvery: usual.Checkpoints.Every,
	}
	if towers == distill.Both {
		t.Schedule.QueriesPerStep, t.Schedule.LR = 16, 5e-5
	}
	return t
}

// WithDefaults returns the recipe with its defaults in place of zero fields.
func (r Recipe) WithDefaults() Recipe {
	r.Seed = cmp.Or(r.Seed, 1)
	if r.Mining == (Mining{}) {
		r.Mining = DefaultMining(r.Towers)
	}
	r.Mining.seed, r.Training.Schedule.Seed = r.Seed, 0
	r.TeacherCheck.Queries = cmp.Or(r.TeacherCheck.Queries, checkQueries)
	r.Training = r.Training.withDefaults(r.Towers)
	r.Training.Schedule.Seed = r.Seed
	if r.Training.Loss == nil && (r.Lists != nil || r.Mining.Target != StudentScale) {
		r.Training.Loss = loss.ListwiseKL{} // of scores in [0,1]
	}
	return r
}

func (t Training) withDefaults(towers distill.Towers) Training {
	d := DefaultTraining(towers)
	if t.Schedule == (distill.Schedule{}) {
		t.Schedule = d.Schedule
	}
	t.Schedule.Epochs = cmp.Or(t.Schedule.Epochs, d.Schedule.Epochs)
	t.Schedule.QueriesPerStep = cmp.Or(t.Schedule.QueriesPerStep, d.Schedule.QueriesPerStep)
	t.Schedule.LR = cmp.Or(t.Schedule.LR, d.Schedule.LR)
	if t.Memory == (distill.Memory{}) {
		t.Memory = d.Memory
	}
	t.Patience = cmp.Or(t.Patience, d.Patience)
	t.CheckpointEvery = cmp.Or(t.CheckpointEvery, d.CheckpointEvery)
	return t
}

// options are those of the trainer, but for what chooses the best student.
func (t Training) options(towers distill.Towers) distill.Options {
	return distill.Options{
		Towers: towers, Loss: t.Loss, CountDuplicates: t.CountDuplicates, Schedule: t.Schedule, Memory: t.Memory,
		Selection:   distill.Selection{EvalSteps: t.EvalSteps, Patience: max(0, t.Patience)},
		Checkpoints: distill.Checkpoints{Every: t.CheckpointEvery},
	}
}

// Validate names the first field that is wrong.
func (r Recipe) Validate() error {
	r = r.WithDefaults()
	if err := r.Mining.Validate(); err != nil {
		return err
	}
	o := r.Training.options(r.Towers)
	if err := o.Validate(); err != nil {
		return fmt.Errorf("pipeline: Recipe.Training: %w", err)
	}
	o.Widths = r.Widths
	if err := o.Validate(); err != nil {
		return fmt.Errorf("pipeline: Recipe: %w", err)
	}
	switch {
	case !(r.Retention.MaxDrop >= 0):
		return fmt.Errorf("pipeline: Recipe.Retention.MaxDrop is %v, want at least 0", r.Retention.MaxDrop)
	case r.KeepLast && r.Interpolate:
		return errors.New("pipeline: Recipe.Interpolate excludes KeepLast: the averages are chosen by what chooses the best student")
	case r.KeepLast && r.Retention.Collection != nil:
		return errors.New("pipeline: Recipe.Retention excludes KeepLast: it is looked at when the student is")
	}
	if r.LanguageModel != nil {
		if err := r.LanguageModel.validate(); err != nil {
			return fmt.Errorf("pipeline: Recipe.LanguageModel: %w", err)
		}
	}
	for i, set := range r.Measured {
		if set.Name == "" || set.Collection == nil {
			return fmt.Errorf("pipeline: Recipe.Measured[%d] needs a Name and a Collection", i)
		}
	}
	return nil
}
