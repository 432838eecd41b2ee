package static

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/safetensors"
)

type embedded struct {
	Texts      []string
	Embeddings [][]float32
}

type golden struct{ Query, Passage embedded }

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, v))
}

func open(t testing.TB, dir string, o Options) *Model {
	t.Helper()
	m, err := Open(t.Context(), dir, o)
	require.NoError(t, err)
	return m
}

func encode(t testing.TB, m *Model, role encoder.Role, texts []string) blas32.General {
	t.Helper()
	rows, err := m.Encode(t.Context(), role, texts)
	require.NoError(t, err)
	return rows
}

// The references are sentence-transformers 6.2 and model2vec 0.10: testdata/make_golden.py.
func TestVectorsEqualThoseOfPython(t *testing.T) {
	for name, want := range map[string]struct {
		dim        int
		normalized bool
	}{
		"st": {10, true}, "model2vec": {12, true}, "mapped": {12, false}, "int8": {12, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			require.True(t, Holds(dir))
			var g golden
			readJSON(t, dir+".json", &g)
			m := open(t, dir, Options{})
			require.Equal(t, want.dim, m.Dim())
			require.Equal(t, want.normalized, m.Normalized())
			for role, part := range map[encoder.Role]embedded{encoder.Query: g.Query, encoder.Passage: g.Passage} {
				got := encode(t, m, role, part.Texts)
				require.Equal(t, len(part.Embeddings), got.Rows)
				for i, row := range part.Embeddings {
					require.InDeltaSlice(t, row, matrix.Row(got, i), 1e-5, "%s %d: %q", role, i, part.Texts[i])
				}
			}
		})
	}
}

func TestOptionsOverrideTheFolder(t *testing.T) {
	const text = "find: the server shuts down without interrupting any active connection at all"
	none := ""
	m := open(t, "testdata/st", Options{QueryPrompt: &none, TruncateDim: 4})
	require.Equal(t, 4, m.Dim())
	whole := open(t, "testdata/st", Options{})
	require.Equal(t, 10, whole.Dim())
	wanted := encode(t, whole, encoder.Query, []string{strings.TrimPrefix(text, "find: ")})
	cut, norms := matrix.Leading(wanted, 4)
	require.Len(t, norms, 1)
	got := encode(t, m, encoder.Query, []string{text})
	for i, v := range matrix.Row(got, 0) {
		require.InDelta(t, matrix.Row(cut, 0)[i], v, 1e-6)
	}
	require.Equal(t, 12, open(t, "testdata/st", Options{TruncateDim: 12}).Dim())

	n, limit, err := whole.CountTruncated(t.Context(), encoder.Passage, []string{text, "a"})
	require.NoError(t, err)
	require.Equal(t, []int{1, 9}, []int{n, limit})
	n, limit, err = open(t, "testdata/st", Options{PassageTokens: 400}).CountTruncated(t.Context(), encoder.Passage, []string{text})
	require.NoError(t, err)
	require.Equal(t, []int{0, 400}, []int{n, limit})

	seen := map[string]bool{}
	for _, o := range []Options{{}, {QueryPrompt: &none}, {PassageTokens: 4}, {TruncateDim: 4}} {
		seen[open(t, "testdata/st", o).Fingerprint()] = true
	}
	seen[open(t, "testdata/model2vec", Options{}).Fingerprint()] = true
	require.Len(t, seen, 5)
	require.Equal(t, whole.Fingerprint(), open(t, "testdata/st", Options{}).Fingerprint())
}

func TestTextsWithoutTokensAndWrongCalls(t *testing.T) {
	m := open(t, "testdata/model2vec", Options{})
	require.Equal(t, make([]float32, 12), encode(t, m, encoder.Passage, []string{""}).Data)
	require.Equal(t, 0, encode(t, m, encoder.Passage, nil).Rows)
	_, err := m.Encode(t.Context(), encoder.Role(7), []string{"a"})
	require.ErrorContains(t, err, "role 7 is neither query nor passage")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Encode(ctx, encoder.Query, []string{"a", "b"})
	require.ErrorIs(t, err, context.Canceled)
}

func TestPromptsThatNobodyUsesAreNamed(t *testing.T) {
	var log strings.Builder
	dir := copyOf(t, "st", func(t *testing.T, dir string) {
		write(t, dir, "config_sentence_transformers.json", `{"prompts":{"passage":"text: "}}`)
	})
	open(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.Contains(t, log.String(), `set Options.PassagePrompt to \"text: \"`)
}

func copyOf(t *testing.T, name string, change func(t *testing.T, dir string)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))))
	change(t, dir)
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func table(name string, shape ...int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		f, err := os.Create(filepath.Join(dir, "model.safetensors"))
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, safetensors.Write(f, []safetensors.Tensor{{Name: name, Shape: shape, Values: make([]float32, n)}}, nil))
	}
}

func TestBadFoldersAreErrorsThatNameTheFile(t *testing.T) {
	module := func(kind string) string {
		return fmt.Sprintf(`{"path":"","type":"sentence_transformers.models.%s"}`, kind)
	}
	file := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, dir, name, text) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	}
	for name, c := range map[string]struct {
		harm func(*testing.T, string)
		want string
	}{
		"a network":           {file("modules.json", "["+module("Transformer")+"]"), "modules.json: the first module is not a StaticEmbedding"},
		"a Dense":             {file("modules.json", "["+module("StaticEmbedding")+","+module("Dense")+"]"), "modules.json: module Dense"},
		"code of its own":     {file("modules.json", `[{"path":"","type":"own.Model"}]`), "Retort does not run code"},
		"no weights":          {remove("model.safetensors"), "no model.safetensors or pytorch_model.bin"},
		"no tokenizer":        {remove("tokenizer.json"), "tokenizer.json"},
		"no table":            {table("other", 2, 2), `model.safetensors: no tensor "embedding.weight" or "embeddings"`},
		"a table of one line": {table("embeddings", 400), "has shape [400]; a table of vectors is wanted"},
		"too few rows":        {table("embeddings", 100, 4), "the number of embeddings is 100, the tokenizer has ids up to"},
		"another similarity":  {file("config_sentence_transformers.json", `{"similarity_fn_name":"euclidean"}`), "similarity_fn_name is"},
		"no length":           {file("tokenizer.json", `{"truncation":{"max_length":0},"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`), "tokenizer.json"},
		"Git LFS":             {file("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"), "model.safetensors: the file is a Git LFS pointer"},
		"weights cut off": {func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "model.safetensors"), 500))
		}, "model.safetensors: truncated: "},
		"no number": {func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "model.safetensors"), os.O_RDWR, 0)
			require.NoError(t, err)
			defer f.Close()
			_, err = f.Seek(-4, io.SeekEnd)
			require.NoError(t, err)
			require.NoError(t, binary.Write(f, binary.LittleEndian, float32(math.NaN())))
		}, "is NaN: the weights are damaged"},
		"a list of modules cut off": {file("modules.json", "["+module("StaticEmbedding")), "modules.json: line 1: "},
		"a key that nobody read":    {file("config_sentence_transformers.json", `{"scale":3}`), "scale is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, "st", c.harm)
			_, err := Open(t.Context(), dir, Options{})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, dir)
		})
	}
	for want, o := range map[string]Options{
		"Options.QueryTokens is -1": {QueryTokens: -1}, "Options.PassageTokens is -1": {PassageTokens: -1},
		"Options.TruncateDim is -1; the model's vectors have 12 values": {TruncateDim: -1},
		"Options.TruncateDim is 13; the model's vectors have 12 values": {TruncateDim: 13},
	} {
		_, err := Open(t.Context(), "testdata/st", o)
		require.ErrorContains(t, err, want)
	}
	require.False(t, Holds("../transformer/testdata/tiny"))
	require.False(t, Holds("testdata"))
	_, err := Open(t.Context(), "./testdata/none", Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func BenchmarkEncode(b *testing.B) {
	var g golden
	readJSON(b, "testdata/model2vec.json", &g)
	m := open(b, "testdata/model2vec", Options{})
	for b.Loop() {
		encode(b, m, encoder.Passage, g.Passage.Texts)
	}
	b.ReportMetric(float64(b.N*len(g.Passage.Texts))/b.Elapsed().Seconds(), "texts/s")
}
