package losstest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstest"
)

// rowFunc is a Loss made of a function.
type rowFunc func(r *loss.Row, sim, grad []float32, scale float64) (float64, error)

func (f rowFunc) Row(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	return f(r, sim, grad, scale)
}

var good = loss.Sum{{Weight: 1, Loss: loss.ListwiseKL{}}, {Weight: 0.1, Loss: loss.InfoNCE{}}}

// Every way to break the contract is seen, and told from the others.
func TestEachBrokenRuleIsNamed(t *testing.T) {
	var calls float64
	var mu sync.Mutex
	for _, test := range []struct {
		name string
		loss rowFunc
		want string
	}{
		{"a gradient without the temperature", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			return good.Row(r, sim, grad, scale*0.05)
		}, "central differences give"},
		{
			"a gradient that is a thousandth off in one column",
			func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
				before := make([]float32, len(grad))
				copy(before, grad)
				value, err := good.Row(r, sim, grad, scale)
				if err == nil {
					grad[0] += (grad[0] - before[0]) * 0.001
				}
				return value, err
			}, "dL/dsim[0] is",
		},
		{"a gradient that replaces what is there", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			clear(grad)
			return good.Row(r, sim, grad, scale)
		}, "does not add to what is in grad"},
		{"no scale", func(r *loss.Row, sim, grad []float32, _ float64) (float64, error) {
			return good.Row(r, sim, grad, 1)
		}, "scale does not multiply the gradient"},
		{"scale in the loss", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			value, err := good.Row(r, sim, grad, scale)
			return value * math.Abs(scale), err
		}, "scale must change the gradient only"},
		{"no weight", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			row := *r
			row.Weight = 1
			return good.Row(&row, sim, grad, scale)
		}, "Row.Weight (0 is 1) does not multiply the gradient"},
		{"a weight of 0 taken for 0", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			value, err := good.Row(r, sim, grad, scale*r.Weight)
			return value * r.Weight, err
		}, "Row.Weight (0 is 1) does not multiply the gradient"},
		{"sim used as scratch", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			value, err := good.Row(r, sim, grad, scale)
			sim[0] += 0.5
			return value, err
		}, "it changes sim"},
		{"the row changed", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			value, err := good.Row(r, sim, grad, scale)
			r.ID += "!"
			return value, err
		}, "it changes the row"},
		{"state between calls", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			mu.Lock()
			defer mu.Unlock()
			calls++
			value, err := good.Row(r, sim, grad, scale)
			return value + calls*1e-9, err
		}, "called concurrently"},
		{"errors without the query", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			value, err := good.Row(r, sim, grad, scale)
			if err != nil {
				err = errors.New("malformed")
			}
			return value, err
		}, "does not name the query"},
		{"nothing checked", func(r *loss.Row, sim, _ []float32, _ float64) (float64, error) {
			return float64(len(r.Teacher)), nil
		}, "a similarity that is not finite gives no error"},
		{"a panic", func(r *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			for i := range r.List {
				_ = r.Teacher[i]
			}
			return good.Row(r, sim, grad, scale)
		}, "no teacher scores: a panic"},
		{"an error of its own", func(r *loss.Row, _, _ []float32, _ float64) (float64, error) {
			return 0, fmt.Errorf("query %s: not today", r.ID)
		}, "not today"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.ErrorContains(t, losstest.TestLoss(t.Context(), test.loss), test.want)
		})
	}
	require.NoError(t, losstest.TestLoss(t.Context(), good))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, losstest.TestLoss(ctx, good), context.Canceled)
}

func TestAMissingGradientOnOneColumnIsSeen(t *testing.T) {
	err := losstest.TestLoss(t.Context(),
		rowFunc(func(row *loss.Row, sim, grad []float32, scale float64) (float64, error) {
			before := slices.Clone(grad)
			value, err := loss.ListwiseKL{}.Row(row, sim, grad, scale)
			if last := len(row.List) - 1; err == nil && row.ID == "plain" {
				grad[row.List[last]] = before[row.List[last]]
			}
			return value, err
		}))
	row := losstest.Cases()[0].Row
	require.ErrorContains(t, err,
		fmt.Sprintf(`query "plain": dL/dsim[%d] is 0, central differences give`, row.List[len(row.List)-1]))
	require.Equal(t, 1, strings.Count(err.Error(), "\n")+1)
}

func TestRandomRowsAreWellFormedAndCoverEveryField(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	seen := map[string]int{}
	for range 200 {
		r, sim := losstest.RandomRow(rng)
		require.NoError(t, r.Check(sim, make([]float32, len(sim))))
		for name, has := range map[string]bool{
			"no positive": r.Positive == -1, "ignore": len(r.Ignore) > 0, "count": r.Count != nil,
			"weight": r.Weight != 0, "a list of one": len(r.List) == 1,
		} {
			if has {
				seen[name]++
			}
		}
	}
	require.Len(t, seen, 5)
}

func TestCasesAreTheSameEveryTimeAndNobodyElses(t *testing.T) {
	first := losstest.Cases()
	for i := range first {
		require.NoError(t, first[i].Row.Check(first[i].Sim, make([]float32, len(first[i].Sim))), first[i].Name)
	}
	require.Equal(t, first, losstest.Cases())
	first[0].Sim[0], first[0].Row.Teacher[0] = 9, 9
	require.NotEqual(t, first[0], losstest.Cases()[0])
}
