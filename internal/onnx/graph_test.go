package onnx

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// values returns what a weight of a test reads.
func values(v ...float32) func() ([]float32, error) {
	return func() ([]float32, error) { return v, nil }
}

// affineGraph computes y = x W^T + b for W = [[1 2 3] [4 5 6]] and b = [10 20].
func affineGraph() *Graph {
	var g Graph
	batch := Dim{Symbol: "batch"}
	x := g.OpWith("Cast", []Attribute{Int("to", TypeFloat)}, g.Ints64("x", batch, Dim{Size: 3}))
	b := g.Weight("layer.bias", []int{2}, values(10, 20))
	g.Output("y", g.Linear(x, "layer.weight", 2, 3, values(1, 2, 3, 4, 5, 6), b), batch, Dim{Size: 2})
	return &g
}

func TestAGraphIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "onnx", "model.onnx")
	require.NoError(t, affineGraph().Save(t.Context(), path))
	m, err := Open(path)
	require.NoError(t, err)
	defer m.Close()
	parameters, err := m.Parameters()
	require.NoError(t, err)
	require.Equal(t, []Parameter{
		{"layer.bias", []int{2}, []float32{10, 20}}, {"layer.weight", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
	}, parameters)
	require.NoFileExists(t, path+ExternalSuffix)
}

// A file of protocol buffers has less than 2 GB; here the limit is lower.
func TestWeightsBeyondTheLimitAreInAFileBeside(t *testing.T) {
	g := affineGraph()
	g.inline = 100
	path := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, g.Save(t.Context(), path))
	raw, err := os.ReadFile(path + ExternalSuffix)
	require.NoError(t, err)
	require.Equal(t, appendFloats(nil, []float32{10, 20, 1, 4, 2, 5, 3, 6}), raw)
	m, err := Open(path)
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Floats("layer.bias")
	require.ErrorContains(t, err, "its values are in another file")
}

// The reference is onnxruntime, after onnx's checker.
func TestOnnxruntimeComputesBothForms(t *testing.T) {
	packages := os.Getenv("RETORT_ONNXRUNTIME")
	if packages == "" {
		t.Skip("set RETORT_ONNXRUNTIME to a folder of the Python packages onnx and onnxruntime (make .cache/onnxruntime)")
	}
	for name, inline := range map[string]int64{"one file": 0, "two files": 100} {
		t.Run(name, func(t *testing.T) {
			g := affineGraph()
			g.inline = inline
			path := filepath.Join(t.TempDir(), "model.onnx")
			require.NoError(t, g.Save(t.Context(), path))
			command := exec.CommandContext(t.Context(), "python3", "-B", "-c", `
import sys, numpy, onnx, onnxruntime
onnx.checker.check_model(sys.argv[1], full_check=True)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(session.run(["y"], {"x": numpy.array([[1, 0, 0], [1, 1, 1]])})[0].tolist())
`, path)
			command.Env = append(os.Environ(), "PYTHONPATH="+packages)
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, "[[11.0, 24.0], [16.0, 35.0]]\n", string(out))
		})
	}
}

func TestAGraphThatCannotBeSavedLeavesNoFile(t *testing.T) {
	failure := errors.New("the disk is gone")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		read func() ([]float32, error)
		want string
	}{
		"a weight that cannot be read": {t.Context(), func() ([]float32, error) { return nil, failure }, failure.Error()},
		"a weight of another shape":    {t.Context(), values(1, 2, 3), "w: 3 values for the shape [2]"},
		"a cancelled context":          {cancelled, values(1, 2), "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			var g Graph
			g.Output("y", g.Weight("w", []int{2}, c.read), Dim{Size: 2})
			dir := t.TempDir()
			require.ErrorContains(t, g.Save(c.ctx, filepath.Join(dir, "model.onnx")), c.want)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestEqualConstantsAreOne(t *testing.T) {
	var g Graph
	require.Equal(t, g.Float(1), g.Float(1))
	require.NotEqual(t, g.Float(1), g.Floats(1))
	require.NotEqual(t, g.Int(1), g.Ints(1))
}
