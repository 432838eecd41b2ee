package retort_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestDevicesAndPrecisionsAreValidatedByName(t *testing.T) {
	for _, d := range []retort.Device{"", "cpu", "cuda", "cuda:3"} {
		require.NoError(t, d.Validate(), string(d))
	}
	require.ErrorContains(t, retort.Device("gpu").Validate(),
		`device "gpu" is not supported; supported are cpu, cuda, and cuda:N`)
	for _, p := range []retort.Precision{"", retort.FP32, retort.BF16} {
		require.NoError(t, p.Validate(), string(p))
	}
	require.ErrorContains(t, retort.Precision("int8").Validate(), `precision "int8" is not supported; supported are fp32`)
}
