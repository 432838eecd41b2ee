package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// BM25 stands for the run's BM25 index in Recipe.Teacher, alone or as a member of a teacher.Ensemble.
func BM25() teacher.Teacher { return placeholder(kindBM25) }

// Student stands for the student as it was before training in Recipe.Teacher, alone or as a member of a
// teacher.Ensemble.
func Student() teacher.Teacher { return placeholder(kindStudent) }

// placeholder is a teacher that a Scorer replaces.
type placeholder string

func (p placeholder) Score(context.Context, retort.Query, []retort.Passage) ([]float64, error) {
	return nil, fmt.Errorf("pipeline: the teacher %q has no corpus: let Specialise or Scorer.Over give it one", string(p))
}

// Scorer is a teacher that is not bound to a corpus. Scores of members that have a fingerprint are stored as they come,
// so that none is computed twice, and all members but BM25() and Student() are counted.
type Scorer struct {
	whole  teacher.Teacher // one member, or nil
	fused  *teacher.Ensemble
	meters []*meter
	store  *teacher.Store // nil where no member is worth storing
}

// NewScorer makes a scorer of a teacher. Its scores are stored in the folder store. The caller closes the scorer.
func NewScorer(ctx context.Context, t teacher.Teacher, store string, logger *slog.Logger) (*Scorer, error) {
	s := &Scorer{}
	var err error
	if fused, ok := t.(*teacher.Ensemble); ok {
		err = s.addMembers(ctx, fused, store, logger)
	} else {
		s.whole, err = s.add(ctx, "", t, store, logger)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Scorer) addMembers(ctx context.Context, fused *teacher.Ensemble, store string, logger *slog.Logger) error {
	members := fused.Members()
	for i, m := range members {
		var err error
		if members[i].Teacher, err = s.add(ctx, m.Name, m.Teacher, store, logger); err != nil {
			return err
		}
	}
	var err error
	s.fused, err = ensembleLike(fused, members)
	return err
}

func ensembleLike(e *teacher.Ensemble, members []teacher.Member) (*teacher.Ensemble, error) {
	if e.Fusion() == teacher.ReciprocalRank {
		return teacher.NewRankFusion(members...)
	}
	return teacher.NewEnsemble(members...)
}

func (s *Scorer) add(ctx context.Context, name string, t teacher.Teacher, store string, logger *slog.Logger) (teacher.Teacher, error) {
	if _, ok := t.(placeholder); ok {
		return t, nil
	}
	m, ok := t.(*meter)
	if !ok {
		if name == "" {
			name = fmt.Sprintf("%T", t)
		}
		m = &meter{name: name, teacher: t}
	}
	s.meters = append(s.meters, m)
	if f, ok := m.teacher.(encoder.Fingerprinter); !ok || f.Fingerprint() == "" {
		return m, nil
	}
	if s.store == nil {
		var err error
		if s.store, err = teacher.OpenStore(ctx, store, logger); err != nil {
			return nil, err
		}
	}
	cached, err := teacher.Cached(m, s.store)
	if err != nil {
		return nil, fmt.Errorf("teacher %s: %w", m.name, err)
	}
	return cached, nil
}

// Over binds the teacher to a corpus. student may be nil where Student() is no part of the teacher.
func (s *Scorer) Over(corpus retort.Corpus, bm25 *mine.BM25, student teacher.Teacher) (teacher.Teacher, error) {
	bind := func(t teacher.Teacher) teacher.Teacher {
		switch p, _ := t.(placeholder); p {
		case kindBM25:
			return teacher.FromIndex(corpus, bm25)
		case kindStudent:
			return student
		}
		return t
	}
	if s.fused == nil {
		return bind(s.whole), nil
	}
	members := s.fused.Members()
	for i := range members {
		members[i].Teacher = bind(members[i].Teacher)
	}
	return ensembleLike(s.fused, members)
}

// Costs are those of the members since NewScorer, by name.
func (s *Scorer) Costs() map[string]*ScoringCost {
	all := map[string]*ScoringCost{}
	for _, m := range s.meters {
		all[m.name] = m.total()
	}
	return all
}

// Close frees the store, not the members.
func (s *Scorer) Close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// nameOf is how reports call a teacher.
func nameOf(t teacher.Teacher) string {
	switch t := t.(type) {
	case placeholder:
		return string(t)
	case *meter:
		return t.name
	case *teacher.Ensemble:
		return joinMembers(t.Members(), t.Fusion())
	}
	return fmt.Sprintf("%T", t)
}

// joinMembers is a line: "bm25 and 2 x crossencoder minilm, fused by z-scores".
func joinMembers(members []teacher.Member, fusion teacher.Fusion) string {
	parts := make([]string, len(members))
	for i, m := range members {
		if parts[i] = m.Name; m.Weight != 1 {
			parts[i] = fmt.Sprintf("%g x %s", m.Weight, m.Name)
		}
	}
	last := len(parts) - 1
	if last == 0 {
		return parts[0]
	}
	return fmt.Sprintf("%s and %s, fused by %s", strings.Join(parts[:last], ", "), parts[last], fusion)
}
