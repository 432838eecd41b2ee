package percentile_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/percentile"
)

// As numpy.percentile([1, 2, 3, 4, 5, 6, 7, 8], [0, 25, 100]).
func ExampleOf() {
	sorted := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	fmt.Println(percentile.Of(sorted, 0), percentile.Of(sorted, 25), percentile.Of(sorted, 100))
	// Output: 1 2.75 8
}
