package losstest

import (
	"math"
	"testing"

	"github.com/retort-ir/retort/loss"
)

// step of the differences: a power of two, so that similarities on a coarser binary grid are moved without rounding.
const step = 1.0 / (1 << 14)

// CentralDifferences returns dL/dsim by the five-point rule
//
//	(8 (L(s+h) - L(s-h)) - (L(s+2h) - L(s-2h))) / 12h,  h = 2^-14,
//
// whose error is h^4/30 times the fifth derivative: below 1e-6 for a softmax at temperature 0.01. It calls the loss four
// times a column, so is for rows of at most a few hundred columns.
func CentralDifferences(l loss.Loss, r *loss.Row, sim []float32) ([]float64, error) {
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

// CheckGradient reports an error on t for every column in which the gradient of l differs from [CentralDifferences] by
// more than 1e-4 of it plus 1e-6 (columns that must have no gradient included), or where l returns an error. A loss with
// a kink (a hinge) can fail where a similarity stands within 2^-13 of it.
func CheckGradient(t testing.TB, l loss.Loss, r *loss.Row, sim []float32) {
	t.Helper()
	want, err := CentralDifferences(l, r, sim)
	if err != nil {
		t.Errorf("query %q: %v", r.ID, err)
		return
	}
	got := make([]float32, len(sim))
	if _, err := l.Row(r, sim, got, 1); err != nil {
		t.Errorf("query %q: %v", r.ID, err)
		return
	}
	for i, w := range want {
		if g := float64(got[i]); !(math.Abs(g-w) <= 1e-4*math.Abs(w)+1e-6) {
			t.Errorf("query %q: dL/dsim[%d] is %.8g, central differences give %.8g", r.ID, i, g, w)
		}
	}
}
