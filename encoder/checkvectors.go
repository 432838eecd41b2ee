package encoder

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
)

// indexError is the largest relative error of a vector that comes back from an index. Engines differ by 1e-5 and
// half-precision storage rounds by 5e-4; another model's vectors are much further away.
const indexError = 1e-3

// CheckVectors returns an error unless e makes the given vectors [n x d], row-major, of the passages, with a relative
// L2 error of at most .001. Pass some passages of an index and their stored vectors before the queries of a new model
// search the index. A model whose query tower alone was trained passes, because its passage tower is the one that made
// the index.
func CheckVectors(ctx context.Context, e Encoder, passages []string, vectors blas32.General) error {
	if len(passages) == 0 {
		return errors.New("check vectors: no passages")
	}
	if err := matrix.Check(vectors, len(passages), e.Dim()); err != nil {
		return fmt.Errorf("check vectors: the stored vectors: %w", err)
	}
	made, err := e.Encode(ctx, Passage, passages)
	if err != nil {
		return fmt.Errorf("check vectors: %w", err)
	}
	for i := range passages {
		var apart, length float64
		for j, stored := range matrix.Row(vectors, i) {
			d := float64(matrix.Row(made, i)[j] - stored)
			apart += d * d
			length += float64(stored) * float64(stored)
		}
		if apart = math.Sqrt(apart / length); !(apart <= indexError) { // also if it is NaN
			return fmt.Errorf("the model's vector of the passage %.40q differs from the stored vector by %.2g of its length: "+
				"another model made the index, or the passage tower was trained too", passages[i], apart)
		}
	}
	return nil
}
