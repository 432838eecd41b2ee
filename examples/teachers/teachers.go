package main

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/teacher"
)

// The names of the teachers, besides those of the encoders.
const (
	teacherBM25     = "bm25"
	teacherEnsemble = "ensemble" // of BM25 and the student: what all others are compared with
	teacherCross    = "crossencoder-"
	teacherSmolLM2  = "smollm2"
	teacherBest     = "best-ensemble"
)

// teacherKind is a teacher that a collection can have.
type teacherKind struct {
	name, title string
	given       bool // what it needs is given on the command line
	cached      bool // its scores are dear, so they are kept
	ensemble    bool
	open        func(ctx context.Context, b *bench) (teacher.Teacher, error)
}

// known returns all teachers in the order of the table: each after those that it is made of.
func (p *program) known() []teacherKind {
	s := &p.settings
	all := []teacherKind{
		{teacherBM25, "BM25", true, false, false, openBM25Teacher},
		{encoderStudent, "student", s.student != "", false, false, openDenseTeacher(encoderStudent)},
		{encoderBGE, "bge-small, bi-encoder", s.bge != "", false, false, openDenseTeacher(encoderBGE)},
		{encoderE5, "e5-small, bi-encoder", s.e5 != "", false, false, openDenseTeacher(encoderE5)},
		{teacherEnsemble, "BM25 + student", s.student != "", false, true, openEnsemble(teacherBM25, encoderStudent)},
	}
	for _, start := range crossEncoderStarts {
		all = append(all, teacherKind{
			teacherCross + start.name, "cross-encoder, trained from " + start.title, s.dir(start.encoder) != "", true, false, openCrossEncoder(start),
		})
	}
	return append(all,
		teacherKind{teacherSmolLM2, "SmolLM2-135M, likelihood", s.llm != "", true, false, openLikelihood},
		teacherKind{teacherBest, "best ensemble", s.student != "", false, true, openBest},
	)
}

// teachers returns those whose models are given.
func (p *program) teachers() []teacherKind {
	var given []teacherKind
	for _, k := range p.known() {
		if k.given {
			given = append(given, k)
		}
	}
	return given
}

func (p *program) kindOf(name string) (teacherKind, error) {
	for _, k := range p.known() {
		if k.name == name {
			return k, nil
		}
	}
	return teacherKind{}, fmt.Errorf("unknown teacher %q", name)
}

// teacher opens a teacher once. What is dear of it is remembered in the collection's store.
func (b *bench) teacher(ctx context.Context, name string) (teacher.Teacher, error) {
	if t := b.opened[name]; t != nil {
		return t, nil
	}
	k, err := b.p.kindOf(name)
	if err != nil {
		return nil, err
	}
	t, err := k.open(ctx, b)
	if err != nil {
		return nil, err
	}
	if k.cached {
		if t, err = teacher.Cached(t, b.store); err != nil {
			return nil, err
		}
	}
	b.opened[name] = t
	return t, nil
}

func openBM25Teacher(ctx context.Context, b *bench) (teacher.Teacher, error) {
	index, err := b.openBM25(ctx)
	if err != nil {
		return nil, err
	}
	return teacher.FromIndex(b.c.corpus, index), nil
}

func openDenseTeacher(name string) func(context.Context, *bench) (teacher.Teacher, error) {
	return func(ctx context.Context, b *bench) (teacher.Teacher, error) {
		r, err := b.openDense(ctx, name)
		if err != nil {
			return nil, err
		}
		return teacher.FromVectors(r.model, b.c.corpus, r.Vectors())
	}
}

// openEnsemble joins teachers with equal weights.
func openEnsemble(names ...string) func(context.Context, *bench) (teacher.Teacher, error) {
	return func(ctx context.Context, b *bench) (teacher.Teacher, error) {
		weights := make([]weighted, len(names))
		for i, name := range names {
			weights[i] = weighted{name, 1}
		}
		return b.ensemble(ctx, weights)
	}
}

// weighted is a member of an ensemble.
type weighted struct {
	Teacher string  `json:"teacher"`
	Weight  float64 `json:"weight"`
}

func (b *bench) ensemble(ctx context.Context, members []weighted) (teacher.Teacher, error) {
	joined := make([]teacher.Member, len(members))
	for i, m := range members {
		t, err := b.teacher(ctx, m.Teacher)
		if err != nil {
			return nil, err
		}
		joined[i] = teacher.Member{Name: m.Teacher, Teacher: t, Weight: m.Weight}
	}
	return teacher.NewEnsemble(joined...)
}
