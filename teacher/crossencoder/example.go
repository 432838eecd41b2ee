package crossencoder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/teacher"
)

// Example is what Train learns from one query: which of its candidates are relevant, what another teacher makes of
// them, or both.
type Example struct {
	// List holds the candidates and, where another teacher has scored them, its scores, on any scale. Candidates that are
	// not among the positives are taken for not relevant: mine them with that in mind.
	List retort.List
	// Positives are ids of relevant passages, in List or not. A step takes one of them, at random. Without any, the
	// example teaches its scores alone.
	Positives []string
}

// candidates are an example with its passages found in the corpus.
type candidates struct {
	Example
	positives []int           // indices in the corpus
	others    []int           // what of the list is no positive
	scores    map[int]float64 // by index; nil: none
}

// group is the part of an example that is in a step: the pairs' passages, and the row of the loss.
type group struct {
	work teacher.Work
	row  loss.Row
}

// resolve looks the examples up in the corpus. Its errors name the query.
func resolve(corpus retort.Corpus, examples []Example, what string) ([]candidates, error) {
	all := make([]candidates, len(examples))
	seen := map[string]bool{}
	for i, e := range examples {
		id := e.List.Query.ID
		if seen[id] {
			return nil, fmt.Errorf("crossencoder: two %s examples have the query id %q", what, id)
		}
		seen[id] = true
		c, err := resolveOne(corpus, e)
		if err != nil {
			return nil, fmt.Errorf("crossencoder: %s example %d, query %q: %w", what, i, id, err)
		}
		all[i] = c
	}
	return all, nil
}

func resolveOne(corpus retort.Corpus, e Example) (candidates, error) {
	c := candidates{Example: e}
	switch n := len(e.List.Scores); {
	case e.List.Query.Text == "":
		return c, errors.New("the query has no text")
	case e.List.Scores != nil && n != len(e.List.IDs):
		return c, fmt.Errorf("%d ids and %d scores", len(e.List.IDs), n)
	case e.List.Scores == nil && len(e.Positives) == 0:
		return c, errors.New("it has neither positives nor scores, so there is nothing to learn")
	case !(e.List.Weight >= 0) || math.IsInf(e.List.Weight, 0):
		return c, fmt.Errorf("its weight is %v", e.List.Weight)
	case e.List.Scores != nil:
		c.scores = make(map[int]float64, n)
	}
	used := map[int]bool{}
	find := func(id string) (int, error) {
		index, ok := corpus.Index(id)
		if !ok {
			return 0, fmt.Errorf("the corpus has no passage %q", id)
		}
		return index, nil
	}
	for _, id := range e.Positives {
		index, err := find(id)
		if err != nil {
			return c, err
		}
		if !used[index] {
			c.positives = append(c.positives, index)
		}
		used[index] = true
	}
	listed := map[int]bool{}
	for i, id := range e.List.IDs {
		index, err := find(id)
		if err != nil {
			return c, err
		}
		if listed[index] {
			return c, fmt.Errorf("passage %q is twice in the list", id)
		}
		listed[index] = true
		if c.scores != nil {
			if s := e.List.Scores[i]; math.IsNaN(s) || math.IsInf(s, 0) {
				return c, fmt.Errorf("the score of passage %q is %v", id, s)
			}
			c.scores[index] = e.List.Scores[i]
		}
		if !used[index] {
			c.others = append(c.others, index)
		}
	}
	if n := min(1, len(c.positives)) + len(c.others); n < 2 {
		return c, fmt.Errorf("%d passages to compare, where 2 are needed: a positive and a negative, or two with scores", n)
	}
	return c, nil
}

// sample draws the group of an epoch: one positive, where there are any, first, and others.
func (c *candidates) sample(corpus retort.Corpus, size int, rng *rand.Rand) (group, error) {
	var indices []int
	positive := int32(-1)
	if n := len(c.positives); n > 0 {
		positive = 0
		indices = append(indices, c.positives[rng.IntN(n)])
	}
	for _, k := range rng.Perm(len(c.others))[:min(len(c.others), size-len(indices))] {
		indices = append(indices, c.others[k])
	}
	return c.group(corpus, indices, positive, nil)
}

// whole is the group of all candidates, for the loss on held-out examples: the first positive among what is not one.
func (c *candidates) whole(corpus retort.Corpus) (group, error) {
	indices := slices.Concat(c.positives, c.others)
	positive := int32(-1)
	var ignore []int32
	for i := range c.positives {
		if i == 0 {
			positive = 0
			continue
		}
		ignore = append(ignore, int32(i))
	}
	return c.group(corpus, indices, positive, ignore)
}

func (c *candidates) group(corpus retort.Corpus, indices []int, positive int32, ignore []int32) (group, error) {
	g := group{
		work: teacher.Work{Query: c.List.Query},
		row:  loss.Row{ID: c.List.Query.ID, Weight: c.List.Weight, Positive: positive, Ignore: ignore},
	}
	for column, index := range indices {
		p, err := corpus.At(index)
		if err != nil {
			return g, fmt.Errorf("crossencoder: %w", err)
		}
		g.work.Passages = append(g.work.Passages, p)
		if score, ok := c.scores[index]; ok {
			g.row.List = append(g.row.List, int32(column))
			g.row.Teacher = append(g.row.Teacher, score)
		}
	}
	return g, nil
}

// hashExamples covers all that the examples say, and the texts of their passages.
func hashExamples(ctx context.Context, corpus retort.Corpus, all []candidates) (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	seen := map[int]bool{}
	for _, c := range all {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := enc.Encode(c.Example); err != nil {
			return "", fmt.Errorf("crossencoder: query %q: %w", c.List.Query.ID, err)
		}
		for _, index := range slices.Concat(c.positives, c.others) {
			if seen[index] {
				continue
			}
			seen[index] = true
			p, err := corpus.At(index)
			if err != nil {
				return "", fmt.Errorf("crossencoder: %w", err)
			}
			fmt.Fprintf(h, "%q %q\n", p.ID, p.Content())
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
