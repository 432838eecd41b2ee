package distill

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/loss"
)

// halves is a loss.PartedBatch of the value 3.
type halves struct{ loss.InfoNCE }

func (halves) PartNames() []string { return []string{"one", "two"} }

func (halves) Step(context.Context, []loss.Row, blas32.General, blas32.General, blas32.General,
	blas32.General,
) (float64, error) {
	return 3, nil
}

func (h halves) StepParts(_ context.Context, _ []loss.Row, _, _, _, _ blas32.General, parts []float64) (float64,
	error,
) {
	parts[0] += 1
	parts[1] += 2
	return 3, nil
}

func TestPartsOfABatchLossAreReported(t *testing.T) {
	rows := []loss.Row{{ID: "q", Positive: -1}}
	v, d := matrix.New(1, 2), matrix.New(1, 2)
	value, parts, err := stepLoss(t.Context(), halves{}, rows, v, v, d, d, blockElements)
	require.NoError(t, err)
	require.Equal(t, 3., value)
	require.Equal(t, []float64{1, 2}, parts)
	require.Equal(t, []string{"one", "two"}, partNames(halves{}))
	require.Empty(t, partNames(wholeStep{}))
}
