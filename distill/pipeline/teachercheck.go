package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// check asks, before anything is paid for, whether the teacher ranks better than the student. A student cannot become
// better than what it reproduces.
type check struct {
	// Sets are measured in their order. The first decides, so judged queries are there where there are any. The others are
	// reported.
	Sets []checkSet
	// Force lets the run go on where there is nothing to learn.
	Force bool
}

// checkSet are trials of one kind.
type checkSet struct {
	Name   string // as CheckResult.String calls it: "judged queries"
	Trials []trial
	// Teacher and Student rank the trials; nil means those of the stages. A set whose passages are not those of the corpus
	// (texts without their titles) needs its own.
	Teacher, Student teacher.Teacher
}

// trial is a query of which the answer is known, with the candidates that teacher and student rank.
type trial struct {
	Query    retort.Query
	Passages []retort.Passage
	Grades   []int // of the passages; 0 or below: not relevant
	Missed   []int // grades of relevant passages that are no candidates
}

// CheckResult is what the teacher check found on one set.
type CheckResult struct {
	Set     string  `json:"set"`
	Teacher float64 `json:"teacher"` // mean nDCG@10 of what the student is asked to reproduce
	Student float64 `json:"student"` // mean nDCG@10 of the student as it is
	// Comparison is that of the teacher with the student, query by query.
	Comparison eval.Comparison `json:"comparison"`
}

// checkP is the p-value from which on a better teacher may be better by chance only.
const checkP = 0.05

// Better says whether the teacher is better at all, Sure whether by more than chance would explain (p < checkP).
func (r CheckResult) Better() bool { return r.Comparison.Delta > 0 }
func (r CheckResult) Sure() bool   { return r.Better() && r.Comparison.P < checkP }

// String says it in one line: "teacher .731 against student .624 nDCG@10 on 300 judged queries (p < .001): there is
// something to learn".
func (r CheckResult) String() string {
	verdict := "there is something to learn"
	switch {
	case !r.Better():
		verdict = "there is nothing to learn"
	case !r.Sure():
		verdict = "there may be nothing to learn, since chance alone would explain it"
	}
	p := "p < .001"
	if r.Comparison.P >= .001 {
		p = "p " + point(r.Comparison.P)
	}
	return fmt.Sprintf("teacher %s against student %s nDCG@10 on %d %s (%s): %s",
		point(r.Teacher), point(r.Student), r.Comparison.N, r.Set, p, verdict)
}

func point(v float64) string { return strings.TrimPrefix(fmt.Sprintf("%.3f", v), "0") }

// ErrNothingToLearn is the error of a run whose teacher is not better than the student.
var ErrNothingToLearn = errors.New("the teacher is not better than the student")

// nothingToLearnError says that the first set of the teacher check does not show the teacher above the student.
type nothingToLearnError struct{ Results []CheckResult }

func (e *nothingToLearnError) Error() string { return "pipeline: " + e.Results[0].String() }
func (e *nothingToLearnError) Unwrap() error { return ErrNothingToLearn }

// trialOptions say which candidates a trial has.
type trialOptions struct {
	Depth  int    // of each ranker's ranking; 0 means 20
	Trials int    // the most, drawn by Seed; 0 means all
	Seed   uint64 // of the draw
}

// newTrials makes a trial of every query of the collection that has a relevant passage. Its candidates are the first
// passages of each ranker over the collection's corpus: with the student among the rankers and a depth of 10 or more, the
// student's nDCG@10 is that of its own search, and a teacher has to find something better in what a search would give it.
func newTrials(ctx context.Context, c *eval.Collection, o trialOptions, rankers ...mine.Retriever) ([]trial, error) {
	if o.Depth < 0 || o.Trials < 0 {
		return nil, fmt.Errorf("pipeline: trialOptions.Depth is %d and Trials %d, want at least 0", o.Depth, o.Trials)
	}
	if len(rankers) == 0 {
		return nil, errors.New("pipeline: trials need a ranker")
	}
	queries := slices.DeleteFunc(slices.Clone(c.Queries), func(q retort.Query) bool {
		for _, grade := range c.Qrels[q.ID] {
			if grade > 0 {
				return false
			}
		}
		return true
	})
	queries = drawEvenly(queries, func(q retort.Query) string { return q.ID }, o.Trials, o.Seed)
	candidates := make([]map[int]bool, len(queries)) // indexes in the corpus
	for _, ranker := range rankers {
		depth := cmp.Or(o.Depth, 20)
		searched := depth
		if len(c.Itself) > 0 { // one may be the query itself
			searched++
		}
		rankings, err := ranker.Search(ctx, queries, searched)
		if err != nil {
			return nil, fmt.Errorf("pipeline: trials: %w", err)
		}
		if len(rankings) != len(queries) {
			return nil, fmt.Errorf("pipeline: trials: the ranker gave %d rankings for %d queries", len(rankings), len(queries))
		}
		for i, hits := range rankings {
			if c.Itself[queries[i].ID] {
				itself, _ := c.Corpus.Index(queries[i].ID)
				hits = slices.DeleteFunc(slices.Clone(hits), func(h mine.Hit) bool { return h.Index == itself })
			}
			for _, h := range hits[:min(depth, len(hits))] {
				if candidates[i] == nil {
					candidates[i] = map[int]bool{}
				}
				candidates[i][h.Index] = true
			}
		}
	}
	trials := make([]trial, len(queries))
	for i, q := range queries {
		var err error
		if trials[i], err = newTrial(c, q, candidates[i]); err != nil {
			return nil, fmt.Errorf("pipeline: trials: query %q: %w", q.ID, err)
		}
	}
	return trials, nil
}

// newTrial puts the passages in descending order of their ids, by which trec_eval parts equal scores.
func newTrial(c *eval.Collection, q retort.Query, candidates map[int]bool) (trial, error) {
	t := trial{Query: q}
	for index := range candidates {
		p, err := c.Corpus.At(index)
		if err != nil {
			return t, err
		}
		t.Passages = append(t.Passages, p)
	}
	slices.SortFunc(t.Passages, func(a, b retort.Passage) int { return cmp.Compare(b.ID, a.ID) })
	found := map[string]bool{}
	for _, p := range t.Passages {
		t.Grades = append(t.Grades, c.Qrels[q.ID][p.ID])
		found[p.ID] = true
	}
	for id, grade := range c.Qrels[q.ID] {
		if !found[id] && grade > 0 {
			t.Missed = append(t.Missed, grade)
		}
	}
	slices.Sort(t.Missed)
	return t, nil
}

// passCheck returns a nothingToLearnError where the run should not go on.
func (j *job) passCheck(ctx context.Context) ([]CheckResult, error) {
	if j.Check == nil {
		return nil, nil
	}
	results, err := j.measureCheck(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		j.watched().note("%s", r)
	}
	if !results[0].Better() && !j.Check.Force {
		return results, &nothingToLearnError{results}
	}
	return results, nil
}

func (j *job) measureCheck(ctx context.Context) ([]CheckResult, error) {
	if j.Check == nil || len(j.Check.Sets) == 0 {
		return nil, errors.New("pipeline: the teacher check has no sets")
	}
	sets := slices.Clone(j.Check.Sets)
	total := 0
	for i := range sets {
		if err := j.completeSet(&sets[i]); err != nil {
			return nil, fmt.Errorf("pipeline: teacher check: set %d: %w", i, err)
		}
		total += len(sets[i].Trials)
	}
	identity := func() settings {
		s := j.targetSettings()
		delete(s, "keep_source") // which is about lists of extractive queries
		for i, set := range sets {
			s[fmt.Sprint("set", i)] = hashOf([]any{set.Name, set.Trials, fingerprint(set.Teacher), fingerprint(set.Student)})
		}
		s["seed"] = fmt.Sprint(j.Mining.seed)
		return s
	}
	return records(ctx, j, runfolder.StageCheck, nil, identity, func(have int, emit func(CheckResult) error) error {
		done := 0
		for i, set := range sets {
			if i >= have {
				result, err := j.measureSet(ctx, set, func(n int) { j.report(runfolder.StageCheck, done+n, total) })
				if err != nil {
					return fmt.Errorf("pipeline: teacher check: %w", err)
				}
				if err := emit(result); err != nil {
					return fmt.Errorf("pipeline: %w", err)
				}
			}
			done += len(set.Trials)
		}
		return nil
	})
}

// completeSet fills in the pipeline's teacher and student and checks the trials.
func (j *job) completeSet(set *checkSet) error {
	set.Name = cmp.Or(set.Name, "queries")
	if set.Teacher == nil {
		set.Teacher = j.Teacher
	}
	if set.Teacher == nil {
		return errors.New("there is no teacher")
	}
	if set.Student == nil {
		student, err := j.studentTeacher()
		if err != nil {
			return err
		}
		set.Student = student
	}
	if len(set.Trials) == 0 {
		return errors.New("no trials")
	}
	for _, t := range set.Trials {
		if len(t.Passages) == 0 || len(t.Grades) != len(t.Passages) {
			return fmt.Errorf("query %q has %d passages and %d grades", t.Query.ID, len(t.Passages), len(t.Grades))
		}
	}
	return nil
}

// studentTeacher is the student as it is.
func (j *job) studentTeacher() (teacher.Teacher, error) {
	if j.Vectors.Data == nil {
		return teacher.FromEncoder(j.Student), nil
	}
	return teacher.FromVectors(j.Student, j.Corpus, j.Vectors)
}

func (j *job) measureSet(ctx context.Context, set checkSet, progress func(done int)) (CheckResult, error) {
	progress(0)
	student, err := scoreTrials(ctx, set.Student, set.Trials, func(int) {})
	if err != nil {
		return CheckResult{}, fmt.Errorf("student: %w", err)
	}
	scores, err := scoreTrials(ctx, set.Teacher, set.Trials, progress)
	if err != nil {
		return CheckResult{}, fmt.Errorf("teacher: %w", err)
	}
	before, after := make([]float64, len(set.Trials)), make([]float64, len(set.Trials))
	r := CheckResult{Set: set.Name}
	n := float64(len(set.Trials))
	for i, t := range set.Trials {
		target, err := j.targetOf(student[i], scores[i])
		if err != nil {
			return CheckResult{}, fmt.Errorf("query %q: %w", t.Query.ID, err)
		}
		metric := eval.NDCG(cutoff)
		before[i] = metric.Value(eval.RankedBy(student[i], t.Grades, t.Missed))
		after[i] = metric.Value(eval.RankedBy(target, t.Grades, t.Missed))
		r.Student += before[i] / n
		r.Teacher += after[i] / n
	}
	r.Comparison, err = eval.Paired(ctx, before, after, j.Mining.seed)
	return r, err
}

// targetOf orders a list as the lists that are trained on are.
func (j *job) targetOf(student, scores []float64) ([]float64, error) {
	if j.Mining.Target != StudentScale {
		return scores, nil
	}
	return teacher.OnStudentScale(student, teacher.ZScores(scores), j.Mining.Temperature, j.Mining.Gamma)
}

func scoreTrials(ctx context.Context, t teacher.Teacher, trials []trial, progress func(done int)) ([][]float64, error) {
	work := func(yield func(teacher.Work, error) bool) {
		for _, t := range trials {
			if !yield(teacher.Work{Query: t.Query, Passages: t.Passages}, nil) {
				return
			}
		}
	}
	var all [][]float64
	for _, scored := range teacher.ScoreAll(ctx, t, work, scoreWorkers) {
		if scored.Err != nil {
			return nil, scored.Err
		}
		all = append(all, scored.Scores)
		progress(len(all))
	}
	return all, ctx.Err()
}
