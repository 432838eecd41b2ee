//go:build cgo

package onnx

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/encoder/transformer"
)

const testdata = "../transformer/testdata"

// libraryPath returns onnxruntime's library among the Python packages of RETORT_ONNXRUNTIME.
func libraryPath(t *testing.T) string {
	t.Helper()
	packages := os.Getenv("RETORT_ONNXRUNTIME")
	if packages == "" {
		t.Skip("set RETORT_ONNXRUNTIME to a folder of the Python package onnxruntime (make .cache/onnxruntime)")
	}
	paths, err := filepath.Glob(filepath.Join(packages, "onnxruntime", "capi", "libonnxruntime.so.*"))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	return paths[0]
}

// exported returns the folder of a model of testdata in ONNX.
func exported(t *testing.T, name string) string {
	t.Helper()
	folder, err := transformer.ReadFolder(filepath.Join(testdata, name), transformer.Options{})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "exported")
	require.NoError(t, folder.ExportONNX(t.Context(), dir))
	return dir
}

func open(t *testing.T, dir string) *Model {
	t.Helper()
	m, err := Open(t.Context(), dir, Options{Library: libraryPath(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestModelKeepsTheContract(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-cls", "tiny-router"} {
		t.Run(name, func(t *testing.T) {
			library, dir := libraryPath(t), exported(t, name)
			require.NoError(t, encodertest.TestEncode(t.Context(), func() (encoder.Encoder, error) {
				return Open(t.Context(), dir, Options{Library: library})
			}, encodertest.Tolerances{}))
		})
	}
}

// The reference is sentence-transformers 6.2, which made the goldens.
func TestVectorsEqualSentenceTransformers(t *testing.T) {
	for _, name := range []string{
		"tiny", "tiny-cls", "tiny-router", "families/mpnet", "families/roberta", "families/xlm-roberta",
		"families/distilbert", "families/gte", "families/new", "families/nomic_bert", "families/modernbert",
		"families/qwen3",
	} {
		t.Run(name, func(t *testing.T) {
			type embedded struct {
				Texts      []string
				Embeddings [][]float32
			}
			var golden struct{ Query, Passage embedded }
			raw, err := os.ReadFile(filepath.Join(testdata, name+".json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &golden))
			m := open(t, exported(t, name))
			for role, want := range map[encoder.Role]embedded{encoder.Query: golden.Query, encoder.Passage: golden.Passage} {
				got, err := m.Encode(t.Context(), role, want.Texts)
				require.NoError(t, err)
				for i, v := range want.Embeddings {
					require.InDeltaSlice(t, v, got.Data[i*got.Stride:][:got.Cols], 1e-5, want.Texts[i])
				}
			}
		})
	}
}

func TestAClosedModelEncodesNothing(t *testing.T) {
	m := open(t, exported(t, "tiny-router"))
	require.NoError(t, m.Close())
	_, err := m.Encode(t.Context(), encoder.Query, []string{"text"})
	require.ErrorIs(t, err, ErrClosed)
}

func TestBadModelsAreErrorsThatNameThem(t *testing.T) {
	library, dir := libraryPath(t), exported(t, "tiny")
	broken := exported(t, "tiny")
	file := filepath.Join(broken, "onnx", "model.onnx")
	require.NoError(t, os.WriteFile(file, []byte("no network"), 0o644))
	for name, c := range map[string]struct {
		dir  string
		o    Options
		want string
	}{
		"a folder without a network": {filepath.Join(testdata, "tiny"), Options{Library: library}, "retort export -onnx"},
		"a broken network":           {broken, Options{Library: library}, file},
		"no folder":                  {"missing", Options{Library: library}, "missing"},
		"another library":            {dir, Options{Library: "other.so"}, "Options.Library is other.so"},
		"fewer than no threads":      {dir, Options{Library: library, Threads: -1}, "Options.Threads is -1"},
	} {
		t.Run(name, func(t *testing.T) {
			open(t, dir) // so that the library is loaded
			_, err := Open(t.Context(), c.dir, c.o)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// RETORT_MODEL is a real model, such as all-MiniLM-L6-v2.
func BenchmarkEncode(b *testing.B) {
	dir, packages := os.Getenv("RETORT_MODEL"), os.Getenv("RETORT_ONNXRUNTIME")
	if dir == "" || packages == "" {
		b.Skip("set RETORT_MODEL to a model folder and RETORT_ONNXRUNTIME to the Python package's folder")
	}
	paths, err := filepath.Glob(filepath.Join(packages, "onnxruntime", "capi", "libonnxruntime.so.*"))
	require.NoError(b, err)
	folder, err := transformer.ReadFolder(dir, transformer.Options{})
	require.NoError(b, err)
	out := filepath.Join(b.TempDir(), "exported")
	require.NoError(b, folder.ExportONNX(context.Background(), out))
	m, err := Open(context.Background(), out, Options{Library: paths[0], Threads: 1})
	require.NoError(b, err)
	defer m.Close()
	for _, words := range []int{10, 126} {
		text := strings.Repeat("word ", words)
		b.Run(fmt.Sprintf("%d tokens", words+2), func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Encode(context.Background(), encoder.Passage, []string{text}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
