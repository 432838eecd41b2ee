package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/teacher"
)

// chosen is the best ensemble of a collection: its members and weights, and how they were found on the dev queries.
type chosen struct {
	Members []weighted       `json:"members"`
	From    []string         `json:"from"`    // the teachers that it was chosen among
	Subsets int              `json:"subsets"` // with equal weights, of which it was the best
	Weights *teacher.Weights `json:"weights"` // fitted for that subset
}

// openBest joins the members that were chosen on the dev queries.
func openBest(ctx context.Context, b *bench) (teacher.Teacher, error) {
	best, err := b.chooseBest(ctx)
	if err != nil {
		return nil, err
	}
	b.p.say("  %s", best.Weights)
	return b.ensemble(ctx, best.Members)
}

// chooseBest looks at every set of two or more members with equal weights, takes the one with the highest nDCG@10 on
// the dev queries, and fits its weights there. It is done once a call of the program: the same scores give the same
// choice.
func (b *bench) chooseBest(ctx context.Context) (*chosen, error) {
	if b.best != nil {
		return b.best, nil
	}
	names, err := b.candidateMembers()
	if err != nil {
		return nil, err
	}
	lists, err := b.devScores(ctx, names)
	if err != nil {
		return nil, err
	}
	best, subsets := bestSubset(lists, len(names))
	o := teacher.WeightOptions{Split: b.c.name + " " + b.c.dev.Split, Seed: b.p.settings.seed}
	for _, m := range best {
		o.Names = append(o.Names, names[m])
	}
	for i, l := range lists {
		lists[i].Scores = pick(l.Scores, best)
	}
	c := &chosen{From: names, Subsets: subsets}
	if c.Weights, err = teacher.FitWeights(ctx, lists, o); err != nil {
		return nil, err
	}
	for i, name := range c.Weights.Names {
		if w := c.Weights.Weights[i]; w > 0 {
			c.Members = append(c.Members, weighted{name, w})
		}
	}
	b.best = c
	return c, nil
}

// candidateMembers are the teachers of -members of which the models are given. Their dev cells must be done, so that
// their scores are there and the choice is the same whenever it is made.
func (b *bench) candidateMembers() ([]string, error) {
	wanted := splitNames(b.p.settings.members)
	for _, name := range wanted {
		if k, err := b.p.kindOf(name); err != nil || k.ensemble {
			return nil, fmt.Errorf("-members: %q cannot be a member of an ensemble", name)
		}
	}
	var names []string
	for _, k := range b.p.teachers() {
		if !slices.Contains(wanted, k.name) {
			continue
		}
		c := cell{kindDev, b.c.name, k.name}
		if done, err := b.p.done(c); err != nil || !done {
			return nil, fmt.Errorf("run the cell %s first, or remove %s from -members", c, k.name)
		}
		names = append(names, k.name)
	}
	if len(names) < 2 {
		return nil, fmt.Errorf("-members: only %[2]q of %[1]q have a model", wanted, names)
	}
	return names, nil
}

// devScores has every member score the candidates of the dev queries.
func (b *bench) devScores(ctx context.Context, names []string) ([]teacher.Judged, error) {
	work, err := b.candidates(ctx, b.c.dev.Queries, b.p.settings.depth)
	if err != nil {
		return nil, err
	}
	lists := make([]teacher.Judged, len(work))
	for i, w := range work {
		lists[i].Grades, lists[i].Missed = grades(b.c.dev.Qrels[w.Query.ID], w.Passages)
	}
	for _, name := range names {
		t, err := b.teacher(ctx, name)
		if err != nil {
			return nil, err
		}
		i := 0
		for _, scored := range teacher.ScoreAll(ctx, t, each(work), 1) {
			if scored.Err != nil {
				return nil, scored.Err
			}
			lists[i].Scores = append(lists[i].Scores, scored.Scores)
			i++
		}
	}
	// A query of which nothing is relevant says nothing about a teacher.
	lists = slices.DeleteFunc(lists,
		func(l teacher.Judged) bool { return slices.Max(slices.Concat(l.Grades, l.Missed)) <= 0 })
	return lists, ctx.Err()
}

// bestSubset returns the indexes of the members that rank best together, and how many sets it looked at.
func bestSubset(lists []teacher.Judged, members int) (best []int, subsets int) {
	highest := -1.0
	for set := 1; set < 1<<members; set++ {
		var in []int
		for m := range members {
			if set>>m&1 == 1 {
				in = append(in, m)
			}
		}
		if len(in) < 2 {
			continue
		}
		subsets++
		sum := 0.0
		for _, l := range lists {
			sum += metric.Value(eval.RankedBy(fuse(pick(l.Scores, in)), l.Grades, l.Missed))
		}
		if sum > highest {
			best, highest = in, sum
		}
	}
	return best, subsets
}

// fuse adds z-scores up, as an ensemble with equal weights does.
func fuse(scores [][]float64) []float64 {
	sum := make([]float64, len(scores[0]))
	for _, of := range scores {
		for j, z := range teacher.ZScores(of) {
			sum[j] += z
		}
	}
	return sum
}

func pick(scores [][]float64, members []int) [][]float64 {
	out := make([][]float64, len(members))
	for i, m := range members {
		out[i] = scores[m]
	}
	return out
}
