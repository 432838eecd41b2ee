package losstest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retort-ir/retort/loss"
)

// Case is a row and the similarities it is for.
type Case struct {
	Name string // what is special about it
	Row  loss.Row
	Sim  []float32
}

// Cases returns rows for all edge cases of [loss.Row] and twenty random rows. It returns the same rows on each call.
// Teacher scores are in [0,1].
func Cases() []Case {
	rng := rand.New(rand.NewPCG(3, 1))
	var cases []Case
	add := func(name string, change func(*Case)) {
		c := Case{Name: name}
		c.Row, c.Sim = plainRow(rng)
		if change != nil {
			change(&c)
		}
		c.Row.ID = name
		cases = append(cases, c)
	}
	add("plain", nil)
	add("no positive", func(c *Case) { c.Row.Positive = -1 })
	add("a list of one", func(c *Case) { setList(c, c.Row.Positive) })
	add("a list of two", func(c *Case) { setList(c, c.Row.Positive, (c.Row.Positive+1)%int32(len(c.Sim))) })
	add("no list", func(c *Case) { setList(c); c.Row.Positive = -1 })
	add("one column", func(c *Case) { c.Row.Positive = 0; setList(c, 0); c.Sim = c.Sim[:1] })
	add("the list is every column", func(c *Case) { setList(c, permutation(rng, len(c.Sim))...) })
	add("ignored columns, some of the list, some twice", func(c *Case) {
		c.Row.Ignore = append(ignore(rng, &c.Row, len(c.Sim), 6), c.Row.List...)
		c.Row.Ignore = slices.DeleteFunc(c.Row.Ignore, func(i int32) bool { return i == c.Row.Positive })
		c.Row.Ignore = append(c.Row.Ignore, c.Row.Ignore[0])
	})
	add("all but the positive ignored", func(c *Case) {
		c.Row.Ignore = slices.DeleteFunc(permutation(rng, len(c.Sim)), func(i int32) bool { return i == c.Row.Positive })
	})
	add("counts", func(c *Case) { c.Row.Count = counts(rng, &c.Row, len(c.Sim)) })
	add("columns that do not occur", func(c *Case) {
		c.Row.Count = make([]float32, len(c.Sim))
		for _, i := range c.Row.List {
			c.Row.Count[i] = 1
		}
	})
	add("weight", func(c *Case) { c.Row.Weight = 2.5 })
	add("equal teacher scores", func(c *Case) {
		for i := range c.Row.Teacher {
			c.Row.Teacher[i] = 0.5
		}
	})
	add("teacher scores all 0", func(c *Case) { clear(c.Row.Teacher) })
	add("the positive is the teacher's last", func(c *Case) {
		c.Row.Teacher[slices.Index(c.Row.List, c.Row.Positive)] = 0
	})
	add("equal similarities", func(c *Case) {
		for i := range c.Sim {
			c.Sim[i] = 0.25
		}
	})
	add("similarities of 1 and -1", func(c *Case) {
		for i := range c.Sim {
			c.Sim[i] = float32(1 - 2*(i%2))
		}
	})
	for i := range 20 {
		c := Case{Name: fmt.Sprintf("random %d", i)}
		c.Row, c.Sim = RandomRow(rng)
		c.Row.ID = c.Name
		cases = append(cases, c)
	}
	return cases
}

// RandomRow returns a row over 2 to 40 columns with a list of one or more and, each by chance, a positive, ignored
// columns, counts and a weight, and similarities close enough together for a gradient in most columns at a temperature
// of 0.01. Teacher scores are in [0,1].
func RandomRow(rng *rand.Rand) (loss.Row, []float32) {
	r, sim := plainRow(rng)
	if rng.IntN(4) == 0 {
		r.Positive = -1
	}
	if rng.IntN(2) == 0 {
		r.Ignore = ignore(rng, &r, len(sim), rng.IntN(len(sim)))
	}
	if rng.IntN(2) == 0 {
		r.Count = counts(rng, &r, len(sim))
	}
	if rng.IntN(2) == 0 {
		r.Weight = math.Ldexp(float64(1+rng.IntN(16)), -2)
	}
	return r, sim
}

// plainRow returns a row whose positive is the teacher's first.
func plainRow(rng *rand.Rand) (loss.Row, []float32) {
	sim := make([]float32, 2+rng.IntN(39))
	for i := range sim {
		grid := math.Round((0.5 + 0.03*rng.NormFloat64()) * (1 << 13)) // coarser than the differences' step: no rounding
		sim[i] = float32(grid / (1 << 13))
	}
	r := loss.Row{ID: "random", List: permutation(rng, len(sim))[:1+rng.IntN(len(sim))]}
	best := 0
	for i := range r.List {
		r.Teacher = append(r.Teacher, rng.Float64())
		if r.Teacher[i] > r.Teacher[best] {
			best = i
		}
	}
	r.Positive = r.List[best]
	return r, sim
}

// setList gives the row a list whose teacher scores fall from 0.9.
func setList(c *Case, list ...int32) {
	c.Row.List, c.Row.Teacher = list, make([]float64, len(list))
	for i := range list {
		c.Row.Teacher[i] = 0.9 / float64(i+1)
	}
}

func permutation(rng *rand.Rand, n int) []int32 {
	p := make([]int32, n)
	for i, v := range rng.Perm(n) {
		p[i] = int32(v)
	}
	return p
}

// ignore returns up to n columns, the positive not among them.
func ignore(rng *rand.Rand, r *loss.Row, columns, n int) []int32 {
	p := slices.DeleteFunc(permutation(rng, columns), func(c int32) bool { return c == r.Positive })
	return p[:min(n, len(p))]
}

// counts returns 0 to 4 a column, at least 1 in the row's own list.
func counts(rng *rand.Rand, r *loss.Row, columns int) []float32 {
	count := make([]float32, columns)
	for i := range count {
		count[i] = float32(rng.IntN(5))
	}
	for _, c := range r.List {
		count[c] = max(count[c], 1)
	}
	return count
}
