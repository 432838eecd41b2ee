package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// checkQueries is how many queries of a set the teacher check asks where the recipe says nothing.
const checkQueries = 200

// checkDepth is how many passages of each ranking, the student's own and the lists', teacher and student rank.
const checkDepth = 20

// checkPool is how many passages titles are looked for in.
const checkPool = 1000

// checkTypes are the types of the held-out queries of the teacher check, the best one first. Sentences are never among
// them: BM25 always finds where one was cut out, whatever it is worth on other queries.
var checkTypes = []string{generate.TypeTitle, generate.TypeHowTo, generate.TypeKeywords, generate.TypePhrase}

// teacherCheck compares the teacher with the student on judged queries, which decide where there are any, and on generated
// ones of a type that is not trained on. It is nil where there is nothing to measure on.
func (r *run) teacherCheck(ctx context.Context) (*check, error) {
	if r.TeacherCheck.Queries < 0 || r.Lists != nil {
		return nil, nil
	}
	c := &check{Force: r.TeacherCheck.Force}
	if r.Judged != nil {
		set := checkSet{Name: "judged queries", Teacher: r.listsTeacher()}
		var err error
		if set.Trials, err = r.trials(ctx, r.Judged, r.fusion, r.dense); err != nil {
			return nil, err
		}
		c.Sets = append(c.Sets, set)
	}
	held, err := r.heldOutSet(ctx)
	if err != nil {
		return nil, err
	}
	if held != nil {
		c.Sets = append(c.Sets, *held)
	}
	c.Sets = slices.DeleteFunc(c.Sets, func(set checkSet) bool { return len(set.Trials) == 0 })
	if len(c.Sets) == 0 {
		r.events.note("whether there is anything to learn was not measured: every type of query is trained on, and none is judged")
		return nil, nil
	}
	return c, nil
}

// listsTeacher is the teacher of the lists also where those take the ranking's own scores.
func (r *run) listsTeacher() teacher.Teacher {
	if r.teacher != nil {
		return r.teacher
	}
	return r.target
}

func (r *run) trials(ctx context.Context, c *eval.Collection, rankers ...mine.Retriever) ([]trial, error) {
	return newTrials(ctx, c, trialOptions{Depth: checkDepth, Trials: r.TeacherCheck.Queries, Seed: r.Seed}, rankers...)
}

// heldOutSet are queries of the first type that is not trained on and of which the corpus gives any.
func (r *run) heldOutSet(ctx context.Context) (*checkSet, error) {
	for _, kind := range checkTypes {
		if slices.Contains(r.trainedTypes(), kind) {
			continue
		}
		g, err := generate.NewExtractive(ctx, r.corpus, generate.Options{Types: []string{kind}, Seed: r.Seed})
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("held-out queries (%s)", kind)
		if kind == generate.TypeTitle {
			set, err := r.heldOutTitles(ctx, g)
			if errors.Is(err, errFewItems) {
				continue
			}
			if err != nil {
				return nil, err
			}
			set.Name = name
			return set, nil
		}
		p := stages{Corpus: r.corpus, Generator: g, Mining: Mining{MaxQueries: r.TeacherCheck.Queries, seed: r.Seed}}
		queries, err := p.MakeQueries(ctx, nil)
		if err != nil {
			return nil, err
		}
		if len(queries) == 0 {
			continue
		}
		c := &eval.Collection{Corpus: r.corpus, Queries: queries, Qrels: eval.Qrels{}}
		for _, q := range queries {
			c.Qrels[q.ID] = map[string]int{q.Source: 1}
		}
		trials, err := r.trials(ctx, c, r.fusion, r.dense)
		return &checkSet{Name: name, Trials: trials, Teacher: r.listsTeacher()}, err
	}
	return nil, nil
}

// heldOutTitles searches for passages by their titles. The passages have no titles then, so the set needs an index and
// vectors of its own.
func (r *run) heldOutTitles(ctx context.Context, g generate.QueryGenerator) (*checkSet, error) {
	p := stages{Corpus: r.corpus, Generator: g, Mining: Mining{MaxQueries: r.TeacherCheck.Queries, seed: r.Seed}}
	queries, err := p.MakeQueries(ctx, nil)
	if err != nil {
		return nil, err
	}
	known, err := newHeldOutItems(r.corpus, queries, checkPool, true)
	if err != nil {
		return nil, err
	}
	c, err := known.Collection()
	if err != nil {
		return nil, err
	}
	bm25, err := mine.NewBM25(ctx, c.Corpus, mine.BM25Options{Analyzer: r.Analyzer})
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, bm25.Close)
	dense, err := mine.NewDense(ctx, r.student, c.Corpus, r.events.stage(stageEncode))
	if err != nil {
		return nil, err
	}
	fusion, err := mine.NewZScoreFusion(0, bm25, dense)
	if err != nil {
		return nil, err
	}
	set := &checkSet{}
	if set.Student, err = teacher.FromVectors(r.student, c.Corpus, dense.Vectors()); err != nil {
		return nil, err
	}
	if set.Teacher, err = r.scorer.Over(c.Corpus, bm25, set.Student); err != nil {
		return nil, err
	}
	set.Trials, err = r.trials(ctx, c, fusion, dense)
	return set, err
}

// targetTeacher ranks as the targets do that are made of these scores.
func targetTeacher(scores, student teacher.Teacher, o Mining) teacher.Teacher {
	if o.Target != StudentScale {
		return scores
	}
	return teacher.Func(func(ctx context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		s0, err := teacher.Score(ctx, student, q, ps)
		if err != nil {
			return nil, err
		}
		raw, err := teacher.Score(ctx, scores, q, ps)
		if err != nil {
			return nil, err
		}
		return teacher.OnStudentScale(s0, teacher.ZScores(raw), o.Temperature, o.Gamma)
	})
}
