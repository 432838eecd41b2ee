package loss

import (
	"fmt"
	"math"
)

// or returns x, or the default where x is 0.
func or(x, byDefault float64) float64 {
	if x == 0 {
		return byDefault
	}
	return x
}

// checkPositive returns an error that names the field if x is neither 0 (the default) nor a positive number with a
// finite reciprocal.
func checkPositive(field string, x float64) error {
	if x == 0 {
		return nil
	}
	if !(x > 0) || math.IsInf(x, 0) || math.IsInf(1/x, 0) {
		return fmt.Errorf("loss: %s is %v: it must be a positive number, or 0 for the default", field, x)
	}
	return nil
}
