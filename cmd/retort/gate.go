package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// gateDepth is how many passages of each ranking, the student's own and that of the lists, the gate's teacher and student rank.
const gateDepth = 20

// gatePool is how many passages titles are looked for in.
const gatePool = 1000

// gate measures the teacher against the model on judged queries, which decide where there are any, and on generated ones of a
// type that is not trained on. It is nil where there is nothing to measure on.
func (s *specialisation) gate(ctx context.Context) (*distill.Gate, error) {
	if s.gateQueries == 0 || s.lists != nil {
		return nil, nil
	}
	g := &distill.Gate{Force: s.force, Report: func(r distill.GateResult) { s.progress.Print(r.String()) }}
	if s.judged != nil {
		set := distill.GateSet{Name: "judged queries", Teacher: s.scorer()}
		var err error
		if set.Trials, err = s.trials(ctx, s.judged, s.fusion, s.dense); err != nil {
			return nil, err
		}
		g.Sets = append(g.Sets, set)
	}
	held, err := s.heldOut(ctx)
	if err != nil {
		return nil, err
	}
	if held != nil {
		g.Sets = append(g.Sets, *held)
	}
	g.Sets = slices.DeleteFunc(g.Sets, func(set distill.GateSet) bool { return len(set.Trials) == 0 })
	if len(g.Sets) == 0 {
		s.progress.Print("whether there is anything to learn was not measured: every type of query is trained on, and none is judged")
		return nil, nil
	}
	return g, nil
}

// scorer is the teacher of the lists also where those take the ranking's own scores.
func (s *specialisation) scorer() teacher.Teacher {
	if s.teacher != nil {
		return s.teacher
	}
	return s.target
}

func (s *specialisation) trials(ctx context.Context, c *eval.Collection, rankers ...mine.Retriever) ([]distill.Trial, error) {
	return distill.NewTrials(ctx, c, distill.TrialOptions{Depth: gateDepth, Trials: s.gateQueries, Seed: s.mining.Seed}, rankers...)
}

// heldOut are queries of the first type that is not trained on and of which the corpus gives any. Sentences are never among them:
// BM25 always finds where one was cut out, whatever it is worth on other queries.
func (s *specialisation) heldOut(ctx context.Context) (*distill.GateSet, error) {
	for _, kind := range []string{generate.TypeTitle, generate.TypeHowTo, generate.TypeKeywords, generate.TypePhrase} {
		if slices.Contains(s.queriesBy.extractiveTypes(), kind) {
			continue
		}
		g, err := generate.NewExtractive(ctx, s.corpus, generate.Options{Types: []string{kind}, Seed: s.mining.Seed})
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("held-out queries (%s)", kind)
		if kind == generate.TypeTitle {
			set, err := s.heldOutTitles(ctx, g)
			if errors.Is(err, distill.ErrNoKnownItems) {
				continue
			}
			if err != nil {
				return nil, err
			}
			set.Name = name
			return set, nil
		}
		p := distill.Pipeline{Corpus: s.corpus, Generator: g, Mining: distill.MiningOptions{MaxQueries: s.gateQueries, Seed: s.mining.Seed}}
		queries, err := p.MakeQueries(ctx, nil)
		if err != nil {
			return nil, err
		}
		if len(queries) == 0 {
			continue
		}
		c := &eval.Collection{Corpus: s.corpus, Queries: queries, Qrels: eval.Qrels{}}
		for _, q := range queries {
			c.Qrels[q.ID] = map[string]int{q.Source: 1}
		}
		trials, err := s.trials(ctx, c, s.fusion, s.dense)
		return &distill.GateSet{Name: name, Trials: trials, Teacher: s.scorer()}, err
	}
	return nil, nil
}

// heldOutTitles look for passages whose titles are taken away, so both words and vectors are those of other texts than the
// corpus's.
func (s *specialisation) heldOutTitles(ctx context.Context, g generate.QueryGenerator) (*distill.GateSet, error) {
	p := distill.Pipeline{Corpus: s.corpus, Generator: g, Mining: distill.MiningOptions{
		MaxQueries: s.gateQueries,
		Seed:       s.mining.Seed,
	}}
	queries, err := p.MakeQueries(ctx, nil)
	if err != nil {
		return nil, err
	}
	known, err := distill.NewKnownItems(s.corpus, queries, gatePool, true)
	if err != nil {
		return nil, err
	}
	c, err := known.Collection()
	if err != nil {
		return nil, err
	}
	bm25, err := mine.NewBM25(ctx, c.Corpus, mine.BM25Options{Analyzer: s.analyzer})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, bm25.Close)
	dense, err := newDense(ctx, s.model, c.Corpus, "", s.progress)
	if err != nil {
		return nil, err
	}
	fusion, err := mine.NewZScoreFusion(rankedDepth, bm25, dense)
	if err != nil {
		return nil, err
	}
	set := &distill.GateSet{}
	if set.Student, err = teacher.FromVectors(s.model, c.Corpus, dense.Vectors()); err != nil {
		return nil, err
	}
	if set.Teacher, err = s.teachers.over(c.Corpus, bm25, set.Student); err != nil {
		return nil, err
	}
	set.Trials, err = s.trials(ctx, c, fusion, dense)
	return set, err
}

// targetTeacher ranks as the targets do that are made of these scores.
func targetTeacher(scores, student teacher.Teacher, o distill.MiningOptions) teacher.Teacher {
	if o.Target != distill.StudentScale {
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
		return teacher.OnStudentScale(s0, teacher.ZScores(raw), o.StudentTemperature, o.Gamma)
	})
}
