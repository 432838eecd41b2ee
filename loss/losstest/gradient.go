package losstest

import (
	"math"

	"github.com/retort-ir/retort/internal/contract"
	"github.com/retort-ir/retort/loss"
)

// step of the differences: a power of two, so that similarities on a coarser binary grid are moved without rounding.
const step = 1.0 / (1 << 14)

// centralDifferences returns dL/dsim by the five-point rule
//
//	(8 (L(s+h) - L(s-h)) - (L(s+2h) - L(s-2h))) / 12h,  h = 2^-14,
//
// whose error is h^4/30 times the fifth derivative: below 1e-6 for a softmax at temperature 0.01. It calls the loss
// four times a column, so is for rows of at most a few hundred columns.
func centralDifferences(l loss.Loss, r *loss.Row, sim []float32) ([]float64, error) {
	moved := append([]float32(nil), sim...)
	scratch := make([]float32, len(sim))
	at := func(i int, by float64) (float64, error) {
		moved[i] = float32(float64(sim[i]) + by)
		value, err := l.Row(r, moved, scratch, 0)
		moved[i] = sim[i]
		return value, err
	}
	weights := []struct{ by, weight float64 }{{step, 8}, {-step, -8}, {2 * step, -1}, {-2 * step, 1}}
	diff := make([]float64, len(sim))
	for i := range diff {
		for _, w := range weights {
			value, err := at(i, w.by)
			if err != nil {
				return nil, err
			}
			diff[i] += w.weight * value / (12 * step)
		}
	}
	return diff, nil
}

func checkGradient(t *contract.T, l loss.Loss, c *Case) {
	want, err := centralDifferences(l, &c.Row, c.Sim)
	if err != nil {
		t.Errorf("query %q: %v", c.Row.ID, err)
		return
	}
	_, got := result(t, l, &c.Row, c.Sim, 1)
	for i, w := range want {
		if g := float64(got[i]); !(math.Abs(g-w) <= 1e-4*math.Abs(w)+1e-6) {
			t.Errorf("query %q: dL/dsim[%d] is %.8g, central differences give %.8g", c.Row.ID, i, g, w)
		}
	}
}
