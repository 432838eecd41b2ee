package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// trials have one relevant passage of ten.
func trials(n int) []trial {
	all := make([]trial, n)
	for i := range all {
		all[i].Query = retort.Query{ID: fmt.Sprint("q", i), Text: fmt.Sprint("find ", i%10)}
		for j := range 10 {
			all[i].Passages = append(all[i].Passages, retort.Passage{ID: fmt.Sprint(j), Text: fmt.Sprint("number ", j)})
		}
		all[i].Grades = make([]int, 10)
		all[i].Grades[i%10] = 1
	}
	return all
}

// knowing puts the relevant passage of a trial first for the share of the queries given, and last for the others.
func knowing(share float64) teacher.Teacher {
	return teacher.WithFingerprint(teacher.Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		var n, relevant int
		fmt.Sscanf(q.ID, "q%d", &n)
		fmt.Sscanf(q.Text, "find %d", &relevant)
		scores := make([]float64, len(ps))
		for i, p := range ps {
			if p.ID == fmt.Sprint(relevant) {
				scores[i] = .01
				if float64(n*37%100) >= 100*share {
					scores[i] = -.01
				}
			}
		}
		return scores, nil
	}), fmt.Sprint("knowing ", share))
}

func TestTheTeacherCheckSaysInOneLineWhetherThereIsSomethingToLearn(t *testing.T) {
	for _, c := range []struct {
		teacher, student float64
		n                int
		better, sure     bool
		want             string
	}{
		{.9, .5, 100, true, true, `^teacher \.\d{3} against student \.\d{3} nDCG@10 on 100 judged queries \(p < \.001\): there is something to learn$`},
		{.51, .5, 100, true, false, `\(p 1\.000\): there may be nothing to learn, since chance alone would explain it$`},
		{.5, .5, 100, false, false, `: there is nothing to learn$`},
		{.3, .5, 100, false, false, `: there is nothing to learn$`},
	} {
		p := &stages{
			Mining: Mining{Target: MinMax}, Corpus: &retort.MemoryCorpus{}, Teacher: knowing(c.teacher),
			Check: &check{Sets: []checkSet{{Name: "judged queries", Trials: trials(c.n), Student: knowing(c.student)}}},
		}
		results, err := p.measureAlone(t.Context())
		require.NoError(t, err)
		require.Len(t, results, 1)
		r := results[0]
		require.Equal(t, c.better, r.Better(), r)
		require.Equal(t, c.sure, r.Sure(), r)
		require.Regexp(t, c.want, r.String())
		require.InDelta(t, r.Comparison.Delta, r.Teacher-r.Student, 1e-12)
		// One relevant passage of ten: nDCG@10 is 1 on rank 1, 1/log2(11) on rank 10.
		last := 1 / 3.4594316186372973
		require.InDelta(t, c.teacher+(1-c.teacher)*last, r.Teacher, 1e-9)
	}
}

// What is compared is what the student is asked to reproduce: with its own similarities in the target, a teacher that knows
// nothing takes nothing away.
func TestTheTeacherCheckRanksByTheTarget(t *testing.T) {
	p := &stages{
		Corpus: &retort.MemoryCorpus{}, Teacher: knowing(.6), Mining: Mining{Target: StudentScale, Gamma: 0, Temperature: .05},
		Check: &check{Sets: []checkSet{{Trials: trials(100), Student: knowing(.8)}}},
	}
	results, err := p.measureAlone(t.Context())
	require.NoError(t, err)
	require.Equal(t, results[0].Student, results[0].Teacher, "gamma 0 is the student itself")
	p.Mining.Gamma = 1e6
	results, err = p.measureAlone(t.Context())
	require.NoError(t, err)
	require.InDelta(t, .6+.4/3.4594316186372973, results[0].Teacher, 1e-9, "a huge gamma is the teacher")
}

func TestARunEndsAtTheTeacherCheckUnlessItIsForced(t *testing.T) {
	p := pipeline(t)
	set := func(teacher, student float64) checkSet {
		return checkSet{Name: "known answers", Trials: trials(40), Teacher: knowing(teacher), Student: knowing(student)}
	}
	var told []string
	p.Check = &check{Sets: []checkSet{set(.4, .5), set(.9, .1)}}
	p.events = watch(retort.Events{
		Note:  func(text string) { told = append(told, text) },
		Stage: func(s retort.Stage) { require.Equal(t, runfolder.StageCheck, s.Name, "nothing else is begun") },
	})
	out, err := p.Run(t.Context())
	require.ErrorIs(t, err, ErrNothingToLearn)
	var refused *nothingToLearnError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, refused.Results, out.Check)
	require.Equal(t, "pipeline: "+told[0], err.Error())
	require.Len(t, told, 2)

	p.events = watched{}
	p.Check.Force = true
	out, err = p.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, out.Check, 2)
	require.Positive(t, out.Training.Steps)

	p = pipeline(t)
	p.Check = &check{Sets: []checkSet{set(.9, .1), set(.4, .5)}}
	_, err = p.Run(t.Context())
	require.NoError(t, err, "the first set decides")
}

func TestTheTeacherCheckIsAStageOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	asked := 0
	counting := func() teacher.Teacher {
		inner := knowing(.9)
		return teacher.WithFingerprint(teacher.Func(func(ctx context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
			asked++
			return inner.Score(ctx, q, ps)
		}), "counted")
	}
	run := func(change func(g *check)) *Outcome {
		p := newSmallRun(t)
		p.Check = &check{Sets: []checkSet{{Name: "a", Trials: trials(30), Teacher: counting(), Student: knowing(.5)}}}
		change(p.Check)
		p.Folder = openRun(t, dir, io.Discard)
		out, err := p.Run(t.Context())
		require.NoError(t, err)
		require.NoError(t, p.Folder.Close())
		return out
	}
	first := run(func(*check) {})
	require.Equal(t, 30, asked)
	require.Equal(t, first.Check, run(func(g *check) { g.Force = true }).Check)
	require.Equal(t, 30, asked, "nothing is measured twice")
	run(func(g *check) { g.Sets[0].Trials[3].Grades[4] = 1 })
	require.Equal(t, 60, asked, "other judgements are measured anew")
	m, err := runfolder.ReadManifest(dir, runfolder.Pipeline)
	require.NoError(t, err)
	require.Equal(t, 1, m.Find("check").Count)

	encoded, err := json.Marshal(first.Check[0])
	require.NoError(t, err)
	var read CheckResult
	require.NoError(t, json.Unmarshal(encoded, &read))
	require.Equal(t, first.Check[0], read)
}

func TestTheTeacherCheckNamesWhatItLacks(t *testing.T) {
	good := checkSet{Trials: trials(3), Teacher: knowing(1), Student: knowing(0)}
	for _, c := range []struct {
		want   string
		change func(p *stages)
	}{
		{"the teacher check has no sets", func(p *stages) { p.Check.Sets = nil }},
		{"teacher check: set 0: there is no teacher", func(p *stages) { p.Check.Sets[0].Teacher = nil }},
		{"teacher check: set 0: no trials", func(p *stages) { p.Check.Sets[0].Trials = nil }},
		{`query "q1" has 10 passages and 9 grades`, func(p *stages) { p.Check.Sets[0].Trials[1].Grades = make([]int, 9) }},
		{`teacher check: teacher: score query "q0": down`, func(p *stages) {
			p.Check.Sets[0].Teacher = teacher.Func(func(context.Context, retort.Query, []retort.Passage) ([]float64, error) {
				return nil, errors.New("down")
			})
		}},
	} {
		set := good
		set.Trials = slices.Clone(good.Trials)
		p := &stages{Corpus: &retort.MemoryCorpus{}, Check: &check{Sets: []checkSet{set}}}
		c.change(p)
		_, err := p.Run(t.Context())
		require.ErrorContains(t, err, c.want)
	}
}

func TestTrialsHoldWhatTheRankersFind(t *testing.T) {
	p := pipeline(t)
	c := &eval.Collection{
		Corpus: p.Corpus,
		Queries: []retort.Query{
			{ID: "a", Text: "alpha number0"}, {ID: "b", Text: "theta number7"}, {ID: "c", Text: "nothing judged"}, {ID: "d", Text: "only a zero"},
		},
		Qrels: eval.Qrels{"a": {"p0": 2, "p23": 1, "p5": 0}, "b": {"p7": 1}, "d": {"p1": 0}},
	}
	student, err := mine.NewDenseVectors(p.Student, p.Vectors)
	require.NoError(t, err)
	got, err := newTrials(t.Context(), c, trialOptions{Depth: 4}, p.Ranker, student)
	require.NoError(t, err)
	require.Len(t, got, 2, "queries without a relevant passage tell nothing")
	for i, ranker := range []mine.Retriever{p.Ranker, student} {
		hits, err := ranker.Search(t.Context(), c.Queries[:1], 4)
		require.NoError(t, err)
		for _, h := range hits[0] {
			passage, err := p.Corpus.At(h.Index)
			require.NoError(t, err)
			require.Contains(t, got[0].Passages, passage, "ranker %d", i)
		}
	}
	require.LessOrEqual(t, len(got[0].Passages), 8)
	require.True(t, slices.IsSortedFunc(got[0].Passages, func(a, b retort.Passage) int { return -compareStrings(a.ID, b.ID) }))
	sum := 0
	for i, passage := range got[0].Passages {
		require.Equal(t, c.Qrels["a"][passage.ID], got[0].Grades[i])
		sum += got[0].Grades[i]
	}
	for _, grade := range got[0].Missed {
		sum += grade
	}
	require.Equal(t, 3, sum, "every relevant passage counts, found or missed")

	few, err := newTrials(t.Context(), c, trialOptions{Depth: 4, Trials: 1, Seed: 3}, p.Ranker)
	require.NoError(t, err)
	require.Len(t, few, 1)
	_, err = newTrials(t.Context(), c, trialOptions{})
	require.ErrorContains(t, err, "trials need a ranker")
	_, err = newTrials(t.Context(), c, trialOptions{Depth: -1}, p.Ranker)
	require.ErrorContains(t, err, "Depth is -1")
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// With the student's own ranking among the candidates the gate's figure is that of a search over the whole corpus.
func TestTheStudentsFigureIsThatOfItsSearch(t *testing.T) {
	p := pipeline(t)
	student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: 2})
	require.NoError(t, err)
	dense, err := mine.NewDense(t.Context(), student, p.Corpus, nil)
	require.NoError(t, err)
	c := &eval.Collection{Corpus: p.Corpus, Qrels: eval.Qrels{}}
	for i := range 24 {
		passage, err := p.Corpus.At(i)
		require.NoError(t, err)
		q := retort.Query{ID: fmt.Sprint("q", i), Text: passage.Text[:6]}
		c.Queries = append(c.Queries, q)
		c.Qrels[q.ID] = map[string]int{passage.ID: 1, fmt.Sprint("p", (i+8)%24): 2}
	}
	set, err := newTrials(t.Context(), c, trialOptions{Depth: 10}, p.Ranker, dense)
	require.NoError(t, err)
	p.Student, p.Vectors = student, dense.Vectors()
	p.Teacher = teacher.FromEncoder(student)
	p.Check = &check{Sets: []checkSet{{Trials: set}}}
	results, err := p.measureAlone(t.Context())
	require.NoError(t, err)

	hits, err := dense.Search(t.Context(), c.Queries, 24)
	require.NoError(t, err)
	run := eval.Run{}
	for i, q := range c.Queries {
		for _, h := range hits[i] {
			passage, err := p.Corpus.At(h.Index)
			require.NoError(t, err)
			run[q.ID] = append(run[q.ID], eval.Hit{ID: passage.ID, Score: h.Score})
		}
	}
	report, err := eval.Evaluate(c.Qrels, run, eval.NDCG(10))
	require.NoError(t, err)
	require.InDelta(t, report.Mean(eval.NDCG(10)), results[0].Student, 1e-6)
}
