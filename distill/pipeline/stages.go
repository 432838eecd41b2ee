package pipeline

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// stages are the stages of a run and what they work with: queries, lists, scores, training.
type stages struct {
	Student encoder.Trainable
	Corpus  retort.Corpus
	// Generator makes queries of the passages. It may be nil where Queries are given. A passage of which it gives an error has
	// none (Funnel.FailedPassages); 20 such passages in a row, or more than a tenth of all, end the run, which then goes on
	// with the first of those in the row when it is started again.
	Generator generate.QueryGenerator
	// Queries are the user's own, without judgements; lists are made for them too.
	Queries []retort.Query
	// Lists are the user's own, scored: Run trains on them as they are, and nothing is generated, mined or scored.
	// Those that TestQueries, TestSources and heldOut exclude are left out.
	Lists []retort.List
	// Ranker ranks the corpus for every query; the candidate lists come from its rankings.
	Ranker mine.Retriever
	// Teacher scores the lists. Where it is nil the Ranker is the teacher: its scores are taken.
	Teacher teacher.Teacher
	// Vectors are the student's passage vectors [Corpus.Len() x d] where somebody has computed them already; StudentScale
	// and QueryOnly need them and otherwise encode the corpus.
	Vectors blas32.General
	// TestQueries are what the student is chosen or measured by: queries and lists whose query copies one of them are
	// not trained on (mine.TestQueries says what a copy is), whoever gave them. TestSources are the ids of passages of
	// which no query and no list is used: where they are those that are relevant to a test query, no passage is shared
	// by training and test. A list is of a passage where its query was made from it or, of a query that is not
	// extractive, where that passage has the list's best score. The passage stays a candidate in the lists of others.
	TestQueries []retort.Query
	TestSources map[string]bool
	// HeldOut are the ids of passages of which no query and no list is used either, so that held-out items made of them tell
	// what was learnt from what was memorised: heldOut.Passages.
	HeldOut map[string]bool

	Mining   Mining
	Training distill.Options

	// SignificanceTest, where set, returns values that are independent of each other, more is better, before and after
	// training. The trained student is kept only where the mean is higher and the paired randomisation test gives
	// p < SignificanceP; otherwise Student is as it was. What the values are taken from must have no part in the choice of
	// the best student, or else the best of several passes by chance more often than p says.
	SignificanceTest func(ctx context.Context, student encoder.Encoder) ([]float64, error)
	// Measure, where set, is called before training and after it, with trained true, and emits what it finds about
	// Student: records that are objects in JSON, the same in the same order whenever it is called. have of them are in
	// the Folder, from a call that was interrupted: it emits those after them.
	Measure func(ctx context.Context, trained bool, have int, emit func(record any) error) error

	// Check, where set, measures whether the teacher is better than the student before anything else is done; Run ends with
	// a nothingToLearnError where it is not.
	Check *check

	// Folder, where set, keeps what every stage of Run makes, so that Run goes on where a killed one stopped, and redoes
	// only what depends on something that has changed.
	Folder *runfolder.Folder
	// CorpusHash is the hash of the Corpus where somebody has it already.
	CorpusHash string
	// Versions hold, by stage, a text that stands for what cannot say by a Fingerprint (encoder.Fingerprinter) what it is: a
	// Generator, Ranker or Teacher without one, for which its Go type stands otherwise, and the functions Measure
	// (runfolder.StageBefore and runfolder.StageEvaluate), and Training.Selection.Evaluate and SignificanceTest (runfolder.StageTrain). Change the text where their results
	// change.
	Versions map[string]string

	// Card is for the model card that the Student's Save writes, into the Folder or after Run.
	Card card
	// Started, where set, is given the weights of the untouched student before training, with the towers that it is trained
	// with.
	Started func(distill.Weights)

	events watched
}

// significanceP is the p-value that a gain on held-out queries must be below. The test is two-sided, so that a student that
// learnt nothing of use is taken in half as many cases.
const significanceP = 0.05

// Funnel counts what each stage kept.
type Funnel struct {
	Generated int `json:"generated"`  // queries that the generator made
	Distinct  int `json:"distinct"`   // of those, without duplicates
	Drawn     int `json:"drawn"`      // of the queries that passed the filters, within MaxQueries
	Own       int `json:"own"`        // queries that the user gave
	RoundTrip int `json:"round_trip"` // that found their source
	// Themselves are queries that are passages of the corpus themselves (retort.Query.Is), which their lists leave out.
	Themselves int            `json:"themselves,omitempty"`
	TooShort   int            `json:"too_short"` // lists of too few passages, dropped
	Lists      int            `json:"lists"`
	ByType     map[string]int `json:"by_type"` // lists by the type of their query
	// FailedPassages are those of which the generator gave an error, and FirstFailure is the first of these.
	FailedPassages int    `json:"failed_passages,omitempty"`
	FirstFailure   string `json:"first_failure,omitempty"`
	// TestCopies counts the queries that copied test queries; nil: none did.
	TestCopies *TestCopies `json:"test_copies,omitempty"`
	mine.Funnel
}

// Run goes the whole way, in one process, and leaves the best student in Student. Where the check refuses, the
// outcome has its results. With a Folder the student is also saved there as "model".
func (p *stages) Run(ctx context.Context) (*Outcome, error) {
	ctx = encoder.Alone(ctx)
	if err := checkTraining(p.Student); err != nil {
		return nil, err
	}
	out := &Outcome{Lists: p.Lists}
	j, err := p.job(ctx, &out.Funnel)
	if err != nil {
		return nil, err
	}
	if out.Check, err = j.passCheck(ctx); err != nil {
		return out, err
	}
	if p.Lists == nil {
		out.Lists, err = j.makeLists(ctx)
	} else {
		out.Lists, err = j.separateLists(p.Lists)
	}
	if err != nil {
		return nil, err
	}
	before, err := j.measure(ctx, runfolder.StageBefore, nil)
	if err != nil {
		return nil, err
	}
	if err := j.train(ctx, out); err != nil {
		return nil, err
	}
	out.Measured, err = j.measure(ctx, runfolder.StageEvaluate, before)
	return out, err
}

// MakeQueries returns the user's queries and generated ones, without duplicates and what the filters of queries drop. It
// reads and writes no Folder. funnel may be nil.
func (p *stages) MakeQueries(ctx context.Context, funnel *Funnel) ([]retort.Query, error) {
	return p.inMemory(funnel).queries(ctx)
}

func (p *stages) trainingOptions() distill.Options {
	o := p.Training
	o.Events = p.watched().Events
	if tau := p.Mining.Temperature; o.Loss == nil && p.Mining.Target == StudentScale && p.Lists == nil {
		o.Loss = loss.ListwiseKL{TeacherTemperature: tau, StudentTemperature: tau}
	}
	if o.Loss == nil {
		o.Loss = distill.DefaultLoss()
	}
	if o.Towers == distill.QueryOnly && o.Vectors.Data == nil {
		o.Vectors = p.Vectors
	}
	return o
}

// drawEvenly returns n of the values in their order, drawn by seed so that no source has two more than another that could
// have given one more; all of them where n is 0 or not fewer.
func drawEvenly[T any](values []T, source func(T) string, n int, seed uint64) []T {
	if n == 0 || n >= len(values) {
		return values
	}
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(values))
	round := make([]int, len(values)) // how many of its source stand before the value in the order
	seen := map[string]int{}
	for _, at := range order {
		s := source(values[at])
		round[at] = seen[s]
		seen[s]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(round[a], round[b]) })
	chosen := order[:n]
	slices.Sort(chosen)
	out := make([]T, n)
	for i, at := range chosen {
		out[i] = values[at]
	}
	return out
}

func (p *stages) report(stage string, done, total int) {
	p.watched().Stage(retort.Stage{Name: stage, Done: done, Total: total})
}

// watched are the events, which tests leave out.
func (p *stages) watched() watched {
	if p.events.Stage == nil {
		return watch(retort.Events{})
	}
	return p.events
}

// errNoQueries says that there is nothing to make lists for: a corpus of which a generator makes no query, such as very
// short passages, or, of an extractive generator, passages in a script that it does not read.
var errNoQueries = errors.New("pipeline: no queries to train on")

var errNothingToMine = errors.New("pipeline: stages has neither Generator nor Queries")
