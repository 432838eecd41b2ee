package losstest

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/retort-ir/retort/internal/contract"
	"github.com/retort-ir/retort/loss"
)

// TestLoss checks the contract of [loss.Loss] on the rows of [Cases] and returns the violations as joined errors. It
// checks that
//   - the gradient agrees with central differences to a relative 1e-4 plus 1e-6 (a loss with a kink can fail where a
//     similarity is within 2^-13 of the kink),
//   - the gradient is added to grad, and scale and Row.Weight multiply it,
//   - neither sim nor the row changes,
//   - concurrent calls give the same results (run it with -race),
//   - malformed rows and similarities that are NaN or infinite give an error that names the query, and no panic.
func TestLoss(ctx context.Context, l loss.Loss) error {
	var errs []error
	run := func(check func(t *contract.T)) { errs = append(errs, contract.Run(ctx, "loss", check)) }
	for _, c := range Cases() {
		for _, check := range []func(*contract.T, loss.Loss, *Case){
			checkGradient, checkAdds, checkScale, checkWeight, checkReadsOnly, checkNotFinite,
		} {
			if err := ctx.Err(); err != nil {
				return errors.Join(append(errs, err)...)
			}
			run(func(t *contract.T) { check(t, l, &c) })
		}
	}
	run(func(t *contract.T) { checkConcurrent(t, l) })
	run(func(t *contract.T) { checkMalformed(t, l) })
	return errors.Join(errs...)
}

// result calls the loss with a gradient of zeros.
func result(t *contract.T, l loss.Loss, r *loss.Row, sim []float32, scale float64) (float64, []float32) {
	grad := make([]float32, len(sim))
	value, err := l.Row(r, sim, grad, scale)
	if err != nil {
		t.Errorf("query %q: %v", r.ID, err)
	}
	return value, grad
}

func checkAdds(t *contract.T, l loss.Loss, c *Case) {
	_, want := result(t, l, &c.Row, c.Sim, 1)
	got := make([]float32, len(c.Sim))
	for i := range got {
		got[i] = float32(i%7) - 3
		want[i] += got[i]
	}
	if _, err := l.Row(&c.Row, c.Sim, got, 1); err != nil {
		t.Errorf("query %q: %v", c.Name, err)
	}
	compare(t, c.Name, "it does not add to what is in grad", got, want)
}

func checkScale(t *contract.T, l loss.Loss, c *Case) {
	value, want := result(t, l, &c.Row, c.Sim, 1)
	const scale = -0.375
	for i := range want {
		want[i] *= scale
	}
	scaled, got := result(t, l, &c.Row, c.Sim, scale)
	compare(t, c.Name, "scale does not multiply the gradient", got, want)
	if scaled != value {
		t.Errorf("query %q: the loss is %v at scale 1 and %v at scale %v: scale must change the gradient only", c.Name, value,
			scaled, scale)
	}
}

func checkWeight(t *contract.T, l loss.Loss, c *Case) {
	row := c.Row
	row.Weight = 0
	value, one := result(t, l, &row, c.Sim, 1)
	for _, weight := range []float64{1, 0.75} {
		row.Weight = weight
		want := slices.Clone(one)
		for i := range want {
			want[i] *= float32(weight)
		}
		weighted, got := result(t, l, &row, c.Sim, 1)
		compare(t, c.Name, "Row.Weight (0 is 1) does not multiply the gradient", got, want)
		if !near(weighted, weight*value, 1e-12) {
			t.Errorf("query %q: the loss is %v at weight 0, which is 1, and %v at weight %v", c.Name, value, weighted, weight)
		}
	}
}

func checkReadsOnly(t *contract.T, l loss.Loss, c *Case) {
	row, sim := clone(c)
	result(t, l, &row, sim, 1)
	if !slices.Equal(sim, c.Sim) {
		t.Errorf("query %q: it changes sim", c.Name)
	}
	if !reflect.DeepEqual(row, c.Row) {
		t.Errorf("query %q: it changes the row", c.Name)
	}
}

func checkNotFinite(t *contract.T, l loss.Loss, c *Case) {
	columns := slices.Clone(c.Row.List)
	if c.Row.Positive != -1 {
		columns = append(columns, c.Row.Positive)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, column := range columns {
			row, sim := clone(c)
			sim[column] = float32(bad)
			_, err := l.Row(&row, sim, make([]float32, len(sim)), 1)
			wantError(t, err, row.ID, "a similarity that is not finite")
		}
	}
}

// checkConcurrent wants the very bits that one goroutine gets. Each goroutine has rows of its own, so that what they
// share is the loss.
func checkConcurrent(t *contract.T, l loss.Loss) {
	type answer struct {
		value float64
		grad  []float32
	}
	all := func() []answer {
		var answers []answer
		for _, c := range Cases() {
			grad := make([]float32, len(c.Sim))
			value, _ := l.Row(&c.Row, c.Sim, grad, 1)
			answers = append(answers, answer{value, grad})
		}
		return answers
	}
	want := all()
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("called concurrently, it panics: %v", p)
				}
			}()
			if !reflect.DeepEqual(all(), want) {
				t.Errorf("called concurrently, it gives other results")
			}
		}()
	}
	wg.Wait()
}

func checkMalformed(t *contract.T, l loss.Loss) {
	for _, m := range malformed {
		c := Case{
			Row: loss.Row{ID: "the-query", List: []int32{0, 2, 3}, Teacher: []float64{0.9, 0.5, 0.1}},
			Sim: make([]float32, 5),
		}
		grad := make([]float32, 5)
		m.change(&c.Row, &c.Sim, &grad)
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s: a panic: %v", m.name, p)
				}
			}()
			_, err := l.Row(&c.Row, c.Sim, grad, 1)
			wantError(t, err, c.Row.ID, m.name)
		}()
	}
}

var malformed = []struct {
	name   string
	change func(r *loss.Row, sim, grad *[]float32)
}{
	{"a list column out of range", func(r *loss.Row, _, _ *[]float32) { r.List[1] = 5 }},
	{"a negative list column", func(r *loss.Row, _, _ *[]float32) { r.List[1] = -1 }},
	{"a column twice in the list", func(r *loss.Row, _, _ *[]float32) { r.List[2] = 0 }},
	{"fewer teacher scores than the list", func(r *loss.Row, _, _ *[]float32) { r.Teacher = r.Teacher[:2] }},
	{"no teacher scores", func(r *loss.Row, _, _ *[]float32) { r.Teacher = nil }},
	{"more teacher scores than the list", func(r *loss.Row, _, _ *[]float32) { r.List = r.List[:2] }},
	{"a teacher score that is NaN", func(r *loss.Row, _, _ *[]float32) { r.Teacher[1] = math.NaN() }},
	{"an infinite teacher score", func(r *loss.Row, _, _ *[]float32) { r.Teacher[1] = math.Inf(1) }},
	{"a positive out of range", func(r *loss.Row, _, _ *[]float32) { r.Positive = 5 }},
	{"a positive below -1", func(r *loss.Row, _, _ *[]float32) { r.Positive = -2 }},
	{"an ignored positive", func(r *loss.Row, _, _ *[]float32) { r.Ignore = []int32{1, 0} }},
	{"an ignored column out of range", func(r *loss.Row, _, _ *[]float32) { r.Ignore = []int32{5} }},
	{"a negative ignored column", func(r *loss.Row, _, _ *[]float32) { r.Ignore = []int32{-1} }},
	{"fewer counts than columns", func(r *loss.Row, _, _ *[]float32) { r.Count = []float32{1, 1} }},
	{"a negative weight", func(r *loss.Row, _, _ *[]float32) { r.Weight = -1 }},
	{"a weight that is NaN", func(r *loss.Row, _, _ *[]float32) { r.Weight = math.NaN() }},
	{"an infinite weight", func(r *loss.Row, _, _ *[]float32) { r.Weight = math.Inf(1) }},
	{"a gradient shorter than sim", func(_ *loss.Row, _, grad *[]float32) { *grad = (*grad)[:4] }},
	{"a gradient longer than sim", func(_ *loss.Row, sim, _ *[]float32) { *sim = (*sim)[:4] }},
}

func wantError(t *contract.T, err error, id, what string) {
	switch {
	case err == nil:
		t.Errorf("query %q: %s gives no error", id, what)
	case !strings.Contains(err.Error(), id):
		t.Errorf("query %q: %s gives an error that does not name the query: %v", id, what, err)
	}
}

func compare(t *contract.T, id, what string, got, want []float32) {
	for i := range want {
		if !near(float64(got[i]), float64(want[i]), 1e-6) {
			t.Errorf("query %q: %s: element %d is %v, want %v", id, what, i, got[i], want[i])
			return
		}
	}
}

// near says whether two numbers differ by at most tol, relative to the larger where that is above 1.
func near(a, b, tol float64) bool {
	return math.Abs(a-b) <= tol*max(1, math.Abs(a), math.Abs(b))
}

func clone(c *Case) (loss.Row, []float32) {
	r := c.Row
	r.List, r.Teacher = slices.Clone(r.List), slices.Clone(r.Teacher)
	r.Ignore, r.Count = slices.Clone(r.Ignore), slices.Clone(r.Count)
	return r, slices.Clone(c.Sim)
}
