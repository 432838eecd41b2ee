package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/teacher"
)

// target returns what the student is to learn beside what it knows: BM25, or the teacher that the cell names. A member
// that is the student itself is left out, since the target is its own similarities and what the teacher adds to them.
func (b *bench) target(ctx context.Context, c cell, r *distilled) (teacher.Teacher, error) {
	r.Teacher = teacherBM25
	var err error
	switch {
	case strings.HasPrefix(c.name, distilBest) && c.name != teacherBest:
		r.Teacher, err = b.nthBest(strings.TrimPrefix(c.name, distilBest))
	case c.name != distilDefault && !strings.HasPrefix(c.name, distilQueries):
		r.Teacher = c.name
	}
	if err != nil {
		return nil, err
	}
	switch r.Teacher {
	case encoderStudent:
		return nil, errors.New("the student cannot be its own teacher")
	case teacherEnsemble:
		r.Members = []weighted{{teacherBM25, 1}, {encoderStudent, 1}}
	case teacherBest:
		best, err := b.chooseBest(ctx)
		if err != nil {
			return nil, err
		}
		r.Members = slices.Clone(best.Members)
	default:
		return b.teacher(ctx, r.Teacher)
	}
	r.Members = slices.DeleteFunc(r.Members, func(m weighted) bool { return m.Teacher == encoderStudent })
	if len(r.Members) == 0 {
		return nil, fmt.Errorf("%s has no member besides the student", r.Teacher)
	}
	return b.ensemble(ctx, r.Members)
}

// nthBest names the n-th best teacher, from 1, by their dev queries: of the ensembles and their members. The student is
// none, and BM25 is what the ensemble of both teaches.
func (b *bench) nthBest(n string) (string, error) {
	place, err := strconv.Atoi(n)
	if err != nil || place < 1 {
		return "", fmt.Errorf("best-%s: want a rank, such as best-1", n)
	}
	members := splitNames(b.p.settings.members)
	var all []*ranked
	names := map[*ranked]string{}
	for _, k := range b.p.teachers() {
		single := !slices.Contains([]string{teacherEnsemble, teacherBest}, k.name)
		if single && (!slices.Contains(members, k.name) || k.name == encoderStudent || k.name == teacherBM25) {
			continue
		}
		c := cell{kindDev, b.c.name, k.name}
		r, err := b.p.readRanked(c)
		if err != nil {
			return "", err
		}
		if r == nil {
			return "", fmt.Errorf("run the cell %s first: the best teachers are chosen by their dev queries", c)
		}
		all, names[r] = append(all, r), k.name
	}
	slices.SortStableFunc(all, func(x, y *ranked) int { return cmp.Compare(y.Mean, x.Mean) })
	if place > len(all) {
		return "", fmt.Errorf("best-%s: there are %d teachers", n, len(all))
	}
	return names[all[place-1]], nil
}
