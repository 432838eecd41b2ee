package distill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Pipeline joins the stages: queries, lists, scores, training. Each stage can be run alone, and what it returns can be
// replaced by the user's own.
type Pipeline struct {
	Student encoder.Trainable
	Corpus  retort.Corpus
	// Generator makes queries of the passages. It may be nil where Queries are given. A passage of which it gives an error has
	// none (Funnel.FailedPassages); 20 such passages in a row, or more than a tenth of all, end the run, which then goes on
	// with the first of those in the row when it is started again.
	Generator generate.QueryGenerator
	// Queries are the user's own, without judgements; lists are made for them too.
	Queries []retort.Query
	// Lists are the user's own, scored: Run trains on them as they are, and nothing is generated, mined or scored.
	// Those that TestQueries, TestSources and HeldOut exclude are left out.
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
	// HeldOut are the ids of passages of which no query and no list is used either, so that known items made of them tell
	// what was learnt from what was memorised: HeldOut.Passages.
	HeldOut map[string]bool

	Mining   MiningOptions
	Training Options

	// Guard, where set, returns values that are independent of each other, more is better, before and after training.
	// The trained student is kept only where the mean is higher and the paired randomisation test gives p < GuardP;
	// otherwise Student is as it was. What the values are taken from must have no part in Training.Selection.Evaluate, or else
	// the best of several students passes by chance more often than p says. HeldOut.Test.ReciprocalRanks is one.
	Guard func(ctx context.Context, student encoder.Encoder) ([]float64, error)
	// Measure, where set, is called before training and after it, with trained true, and emits what it finds about
	// Student: records that are objects in JSON, the same in the same order whenever it is called. have of them are in
	// the Folder, from a call that was interrupted: it emits those after them.
	Measure func(ctx context.Context, trained bool, have int, emit func(record any) error) error

	// Gate, where set, measures whether the teacher is better than the student before anything else is done; Run ends with
	// a NothingToLearnError where it is not.
	Gate *Gate

	// Folder, where set, keeps what every stage of Run makes, so that Run goes on where a killed one stopped, and redoes
	// only what depends on something that has changed. Training.Checkpoints.Dir is then ignored. See OpenFolder.
	Folder *Folder
	// Versions hold, by stage, a text that stands for what cannot say by a Fingerprint (encoder.Fingerprinter) what it is: a
	// Generator, Ranker or Teacher without one, for which its Go type stands otherwise, and the functions Measure
	// (StageBefore and StageEvaluate), and Training.Selection.Evaluate and Guard (StageTrain). Change the text where their results
	// change.
	Versions map[Stage]string

	// Card is for the model card that the Student's Save writes, into the Folder or after Run.
	Card Card

	// Progress, where set, is told of the stages before training, first of what is done already; Training.Events of
	// training.
	Progress func(stage Stage, done, total int)
}

// GuardP is the p-value that a gain of Pipeline.Guard must be below. The test is two-sided, so that a student that
// learnt nothing of use is taken in half as many cases.
const GuardP = 0.05

// The stages of Run in their order, besides StageTrain and StageEvaluate, which come last.
const (
	StageGate     Stage = "gate"     // Done and Total count trials
	StageGenerate Stage = "generate" // passages
	StageMine     Stage = "mine"     // queries
	StageScore    Stage = "score"    // queries
	StageFilter   Stage = "filter"   // lists
	StageBefore   Stage = "before"   // what Measure finds before training
)

// MiningOptions say how queries become scored lists. Start from DefaultMiningOptions.
type MiningOptions struct {
	// MaxQueries is the most generated queries that are used, drawn by Seed and evenly over their sources: a passage with
	// more queries than others is preferred by the student afterwards. 0 means all.
	MaxQueries int
	// MaxLists is the most lists that are trained on, drawn as MaxQueries are, after the round trip; 0 means all. A query
	// without a source counts as one of a source of its own.
	MaxLists int
	// RoundTrip keeps a generated query only where its source is among the Ranker's first so many; 0 keeps all.
	RoundTrip int
	// Top passages of a ranking are taken into the list, and Sample drawn from those after it up to rank Depth.
	Top, Sample, Depth int
	// KeepSource leaves an extractive query's source in its list, its raw score no higher than the best of the others': a
	// ranker of words finds the source of a verbatim sentence by far, and the list would teach nothing but that. False
	// takes it out. The sources of other queries always stay, as they are.
	KeepSource bool
	// MinWords and MaxWords bound a generated query's length; 0: no bound.
	MinWords, MaxWords int
	// NearDuplicate drops a query whose set of words overlaps an earlier one's so far (mine.NearDuplicateQueries), in
	// (0,1]; 0 drops only those whose normal form is the same.
	NearDuplicate float64
	// MinList drops lists of fewer passages; 0 means 2, which are always needed.
	MinList int
	// SourceFirst keeps only lists in which the teacher puts the source first (mine.SourceFirst).
	SourceFirst bool
	// TopPercentile drops lists whose highest raw score is below this percentile of all scores (mine.TopScore), in
	// [0,100]; 0 keeps all. It needs a teacher whose scores can be compared between lists.
	TopPercentile float64
	// MinAgreement drops lists on which the members of the Teacher, an ensemble of several, agree less (mine.TeachersAgree,
	// teacher.Agreement), in [0,1]; 0 keeps all. AgreementWeight makes the agreement the list's weight in the loss.
	MinAgreement    float64
	AgreementWeight bool
	Target          Target
	// Gamma weighs the teacher's z-scores in StudentScale.
	Gamma float64
	// StudentTemperature of StudentScale; the loss must have it for both teacher and student, and does where
	// Training.Loss is nil.
	StudentTemperature float64
	Seed               uint64
}

// DefaultMiningOptions take the whole top 100 of the ranking, of at most 10,000 generated queries that find their source in
// the top 20. The target is StudentScale, for which the Teacher is best something that the student is not part of, such as
// BM25 (teacher.FromIndex).
func DefaultMiningOptions() MiningOptions {
	return MiningOptions{
		MaxQueries: 10_000, RoundTrip: 20, Top: 100, Depth: 100, KeepSource: true,
		Target: StudentScale, Gamma: 1, StudentTemperature: 0.05,
	}
}

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

// Outcome is what a whole run did.
type Outcome struct {
	Lists    []retort.List
	Funnel   Funnel
	Training *Result
	// Gate is what Pipeline.Gate found, by set.
	Gate []GateResult
	// Guard is how the trained student differed from the untouched one where Pipeline.Guard asked; nil where it did not.
	// Where it did not hold, Training.Best is the untouched student's evaluation and Training.Alpha 0.
	Guard *eval.Comparison
	// Measured is what Pipeline.Measure emitted, before and after training.
	Measured []json.RawMessage
}

// Run goes the whole way, in one process, and leaves the best student in Student. Where the Gate refuses, the outcome has its
// results. With a Folder the student is also saved there as "model".
func (p *Pipeline) Run(ctx context.Context) (*Outcome, error) {
	ctx = encoder.Alone(ctx)
	if g := p.Training.Group; g != nil && g.Size() > 1 {
		return nil, fmt.Errorf("distill: Pipeline.Training.Group has %d workers, of which each would run all stages: run those before "+
			"training in one process, and train on their lists with Train", g.Size())
	}
	if err := checkTraining(p.Student); err != nil {
		return nil, err
	}
	out := &Outcome{Lists: p.Lists}
	j, err := p.job(ctx, &out.Funnel)
	if err != nil {
		return nil, err
	}
	if out.Gate, err = j.passGate(ctx); err != nil {
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
	before, err := j.measure(ctx, StageBefore, nil)
	if err != nil {
		return nil, err
	}
	if err := j.train(ctx, out); err != nil {
		return nil, err
	}
	out.Measured, err = j.measure(ctx, StageEvaluate, before)
	return out, err
}

// MakeQueries returns the user's queries and generated ones, without duplicates and what the filters of queries drop. It
// reads and writes no Folder. funnel may be nil.
func (p *Pipeline) MakeQueries(ctx context.Context, funnel *Funnel) ([]retort.Query, error) {
	return p.inMemory(funnel).queries(ctx)
}

// MakeLists ranks the corpus for the queries, drops those that do not find their source or that the tests exclude, and
// returns scored lists. It reads and writes no Folder. funnel may be nil.
func (p *Pipeline) MakeLists(ctx context.Context, queries []retort.Query, funnel *Funnel) ([]retort.List, error) {
	ctx = encoder.Alone(ctx)
	if err := p.Mining.Validate(); err != nil {
		return nil, err
	}
	j := p.inMemory(funnel)
	queries, err := j.separateQueries(queries)
	if err != nil {
		return nil, err
	}
	return j.lists(ctx, queries)
}

// Train trains the student on lists whose scores are targets, as MakeLists returns them, without those that the tests
// exclude. It reads and writes no Folder, and serves the workers of Training.Group too.
func (p *Pipeline) Train(ctx context.Context, lists []retort.List) (*Result, error) {
	j := p.inMemory(nil)
	o := p.trainingOptions()
	kept, err := j.separateLists(lists)
	if err != nil {
		w := o.workers()
		return nil, errors.Join(err, w.leave())
	}
	return Train(ctx, p.Student, p.Corpus, kept, o)
}

func (p *Pipeline) trainingOptions() Options {
	o := p.Training
	if tau := p.Mining.StudentTemperature; o.Loss == nil && p.Mining.Target == StudentScale && p.Lists == nil {
		o.Loss = loss.ListwiseKL{TeacherTemperature: tau, StudentTemperature: tau}
	}
	if o.Towers == QueryOnly && o.Vectors.Data == nil {
		o.Vectors = p.Vectors
	}
	return o
}

// Validate names the first field that is wrong.
func (o MiningOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"MaxQueries", o.MaxQueries, 0},
		{"MaxLists", o.MaxLists, 0},
		{"RoundTrip", o.RoundTrip, 0},
		{"Top", o.Top, 0},
		{"Sample", o.Sample, 0},
		{"Depth", o.Depth, max(o.Top+o.Sample, 2, o.RoundTrip)},
		{"MinWords", o.MinWords, 0},
		{"MaxWords", o.MaxWords, 0},
		{"MinList", o.MinList, 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("distill: MiningOptions.%s is %d, want at least %d", f.name, f.value, f.least)
		}
	}
	switch {
	case o.MaxWords > 0 && o.MaxWords < o.MinWords:
		return fmt.Errorf("distill: MiningOptions.MaxWords is %d, want at least MinWords, %d", o.MaxWords, o.MinWords)
	case !(o.NearDuplicate >= 0 && o.NearDuplicate <= 1):
		return fmt.Errorf("distill: MiningOptions.NearDuplicate is %v, want it in [0,1]", o.NearDuplicate)
	case !(o.TopPercentile >= 0 && o.TopPercentile <= 100):
		return fmt.Errorf("distill: MiningOptions.TopPercentile is %v, want it in [0,100]", o.TopPercentile)
	case !(o.MinAgreement >= 0 && o.MinAgreement <= 1):
		return fmt.Errorf("distill: MiningOptions.MinAgreement is %v, want it in [0,1]", o.MinAgreement)
	}
	return o.validateTarget()
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

func (p *Pipeline) report(stage Stage, done, total int) {
	if p.Progress != nil {
		p.Progress(stage, done, total)
	}
}

// ErrNoQueries says that there is nothing to make lists for: a corpus of which a generator makes no query, such as very
// short passages, or, of an extractive generator, passages in a script that it does not read.
var ErrNoQueries = errors.New("distill: no queries to train on")

var errNoQueries = errors.New("distill: Pipeline has neither Generator nor Queries")
