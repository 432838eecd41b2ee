package losstorch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/loss"
)

// ones is a loss that nobody taught losstorch.
type ones struct{}

func (ones) Row(*loss.Row, []float32, []float32, float64) (float64, error) { return 1, nil }

func TestNewNamesWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		loss    loss.Loss
		options Options
		want    string
	}{
		{nil, Options{}, "no loss"},
		{ones{}, Options{}, "of type losstorch.ones"},
		{&loss.InfoNCE{}, Options{}, "of type *loss.InfoNCE"},
		{loss.Sum{{Weight: 1, Loss: loss.InfoNCE{}}, {Weight: 1, Loss: ones{}}}, Options{}, "of type losstorch.ones"},
		{loss.Sum{}, Options{}, "a sum without terms"},
		{loss.Sum{{Weight: 1, Loss: loss.InfoNCE{MaskRatio: 2}}}, Options{}, "InfoNCE.MaskRatio is 2"},
		{loss.Paper(), Options{Threads: -1}, "Options.Threads is -1"},
		{loss.Paper(), Options{Device: "gpu"}, `Options.Device: device "gpu"`},
		{loss.Paper(), Options{Precision: "bf16"}, `Options.Precision is "bf16"`},
		{loss.Paper(), Options{Budget: -1}, "Options.Budget is -1"},
	} {
		_, err := New(test.loss, test.options)
		require.ErrorContains(t, err, test.want)
	}
}

func TestTermsAreTakenApartWithTheirWeights(t *testing.T) {
	var got terms
	require.NoError(t, got.add(loss.Sum{
		{Weight: 2, Loss: loss.Paper()},
		{Weight: 0, Loss: ones{}},
		{Weight: -3, Loss: loss.Sum{{Weight: 0.5, Loss: loss.MarginMSE{Scale: 4}}}},
	}, 1, -1))
	require.Equal(t, terms{
		infoNCE: []infoNCE{{loss.InfoNCE{Temperature: 0.01, MaskRatio: 0.6}, 0.2, 0}},
		list: loss.Sum{
			{Weight: 2, Loss: loss.ListwiseKL{TeacherTemperature: 0.3, StudentTemperature: 0.05}},
			{Weight: -1.5, Loss: loss.MarginMSE{Scale: 4}},
		},
		listParts: []int{0, 2},
	}, got)
}
