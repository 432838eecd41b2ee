package libtorch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyWhatACPUBuildNeedsIsUnpacked(t *testing.T) {
	for member, want := range map[string]string{
		"torch/lib/libtorch_cpu.so":               "lib/libtorch_cpu.so",
		"torch/lib/libgomp.so.1":                  "lib/libgomp.so.1",
		"torch/lib/libtorch_cuda.so":              "",
		"torch/lib/libtorch_python.so":            "",
		"torch/include/ATen/ATen.h":               "include/ATen/ATen.h",
		"torch/nn/functional.py":                  "",
		"nvidia/cu13/lib/libcudart.so.13":         "lib/libcudart.so.13",
		"nvidia/cu13/lib/libnvperf_host.so":       "",
		"nvidia/cu13/include/cuda_runtime.h":      "",
		"other/torch/lib/libtorch_cpu.so":         "",
		"torch-2.15.0.dist-info/licenses/LICENSE": "licenses/LICENSE",
	} {
		require.Equal(t, want, place(member), member)
	}
}

func TestAFullDiskIsSaid(t *testing.T) {
	require.NoError(t, checkSpace(t.TempDir(), 1))
	require.ErrorContains(t, checkSpace(t.TempDir(), math.MaxInt64), "set RETORT_HOME to another disk")
}
