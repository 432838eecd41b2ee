package loss_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
)

func TestThePartsOfALossAddUpToIt(t *testing.T) {
	row := func() *loss.Row {
		return &loss.Row{
			ID: "q", Weight: 2, List: []int32{0, 2, 3}, Teacher: []float64{1, 0.7, 0.1}, Positive: 0,
			Ignore: []int32{4},
		}
	}
	sim := []float32{0.5, 0.4, 0.6, -0.2, 0.3}
	for name, l := range map[string]loss.Parted{
		"joint": loss.Paper(),
		"sum": loss.Sum{
			{Weight: 1, Loss: loss.ListwiseKL{}},
			{Weight: 0.1, Loss: loss.InfoNCE{Temperature: 0.1, MaskRatio: 0.6}},
			{Weight: 0.5, Loss: loss.InfoNCE{Temperature: 0.5}},
			{Weight: 0, Loss: loss.MarginMSE{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			grad, again := make([]float32, 5), make([]float32, 5)
			want, err := l.Row(row(), sim, grad, 1)
			require.NoError(t, err)
			parts := make([]float64, len(l.PartNames()))
			got, err := l.RowParts(row(), sim, again, 1, parts)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, grad, again)
			var sum float64
			for _, p := range parts {
				sum += p
			}
			require.InDelta(t, want, sum, 1e-12)
			require.Positive(t, parts[0])
			require.Positive(t, parts[1])

			_, err = l.RowParts(row(), sim, again, 1, make([]float64, 1))
			require.Error(t, err)

			masked, err := l.(loss.Masker).Masked(nil, row())
			require.NoError(t, err)
			require.Subset(t, []int32{0, 2, 4}, masked)
			require.Subset(t, masked, []int32{0, 2, 4})
		})
	}
	require.Equal(t, []string{"ListwiseKL", "InfoNCE"}, loss.Paper().PartNames())
	require.Equal(t, []string{"InfoNCE", "MarginMSE", "InfoNCE2"},
		loss.Sum{{Loss: loss.InfoNCE{}}, {Loss: loss.MarginMSE{}}, {Loss: loss.InfoNCE{}}}.PartNames())
	none, err := loss.Sum{
		{Weight: 1, Loss: loss.ListwiseKL{}},
		{Weight: 0, Loss: loss.InfoNCE{MaskRatio: 0.6}},
	}.Masked(nil, row())
	require.NoError(t, err)
	require.Empty(t, none, "without InfoNCE nothing is masked")
}
