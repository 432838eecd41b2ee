package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

func TestExportWritesOneTower(t *testing.T) {
	router := filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny-router")
	was, err := transformer.ReadFolder(router, transformer.Options{})
	require.NoError(t, err)
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		out := filepath.Join(t.TempDir(), "tower")
		require.Equal(t, out+"\n", succeed(t, "export", "-tower", role.String(), "-model", router, "-out", out))
		require.NoFileExists(t, filepath.Join(out, "router_config.json"))
		is, err := transformer.ReadFolder(out, transformer.Options{})
		require.NoError(t, err)
		require.True(t, is.Shared())
		for _, r := range []encoder.Role{encoder.Query, encoder.Passage} {
			require.Equal(t, was.Side(role).Prompt, is.Side(r).Prompt)
			require.Equal(t, was.Side(role).Tokens, is.Side(r).Tokens)
			require.Equal(t, was.Dim(), is.Dim())
		}
		require.Equal(t, readString(t, filepath.Join(was.Side(role).Tower.Dir, "model.safetensors")),
			readString(t, filepath.Join(out, "model.safetensors")))
		require.Contains(t, readString(t, filepath.Join(out, "README.md")), "library_name: sentence-transformers\n")
	}
}

func TestExportWritesModelsInONNX(t *testing.T) {
	router := filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny-router")
	whole := filepath.Join(t.TempDir(), "whole")
	require.Equal(t, whole+"\n", succeed(t, "export", "-onnx", "-model", router, "-out", whole))
	require.FileExists(t, filepath.Join(whole, "query_0_Transformer", "onnx", "model.onnx"))
	require.FileExists(t, filepath.Join(whole, "document_0_Transformer", "onnx", "model.onnx"))
	one := filepath.Join(t.TempDir(), "one")
	succeed(t, "export", "-onnx", "-tower", "query", "-model", router, "-out", one)
	require.FileExists(t, filepath.Join(one, "onnx", "model.onnx"))
	require.NoFileExists(t, filepath.Join(one, "model.safetensors"))
	require.Contains(t, readString(t, filepath.Join(one, "README.md")), `backend="onnx"`)
	_, err := transformer.ReadFolder(one, transformer.Options{})
	require.NoError(t, err)
}

func TestExportRefusesWhatItCannotWrite(t *testing.T) {
	dir := collection(t, nil)
	link := filepath.Join(dir, "link")
	absolute, err := filepath.Abs(tiny)
	require.NoError(t, err)
	require.NoError(t, os.Symlink(absolute, link))
	bare := filepath.Join(dir, "bare")
	require.NoError(t, os.CopyFS(bare, os.DirFS(tiny)))
	for _, name := range []string{"modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"} {
		require.NoError(t, os.Remove(filepath.Join(bare, name)))
	}
	for name, c := range map[string]struct {
		args string
		code int
		want string
	}{
		"no tower": {"-model " + tiny + " -out DIR/x", exitUsage, "-tower is missing"},
		"an unknown tower": {
			"-tower both -model " + tiny + " -out DIR/x", exitUsage,
			`-tower is "both", want query or passage`,
		},
		"an unknown tower in ONNX": {
			"-onnx -tower both -model " + tiny + " -out DIR/x", exitUsage,
			`-tower is "both", want query or passage`,
		},
		"no model": {"-tower query -out DIR/x", exitUsage, "-model is missing"},
		"a word":   {"-tower query -model " + tiny + " -out DIR/x y", exitUsage, `"y"`},
		"an unknown pool": {
			"-tower query -model " + tiny + " -out DIR/x -pooling middle", exitUsage,
			`-pooling: pooling "middle" is not supported; cls, max,`,
		},
		"its own folder": {
			"-tower query -model " + link + " -out " + tiny, exitFailure,
			"is where the model was opened from",
		},
		"somebody's folder": {"-tower query -model " + tiny + " -out DIR", exitFailure, "was not written by Retort"},
		"a width beyond the vectors": {
			"-tower query -model " + tiny + " -out DIR/x -dim 33", exitFailure,
			"Options.TruncateDim is 33; the model's vectors have 32 values (flag -dim)",
		},
		"no pooling": {"-tower query -model DIR/bare -out DIR/x", exitFailure, "(flag -pooling)"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := cli(t.Context(), append([]string{"export"},
				strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.want)
			require.Empty(t, stdout)
			require.NoFileExists(t, filepath.Join(dir, "x"))
		})
	}
	succeed(t, "export", "-tower", "query", "-dim", "8", "-model", tiny, "-out", filepath.Join(dir, "x"))
	require.Contains(t, readString(t, filepath.Join(dir, "x", "config_sentence_transformers.json")), `"truncate_dim": 8`)
	succeed(t, "export", "-tower", "query", "-pooling", "mean", "-model", bare, "-out", filepath.Join(dir, "x"))
	succeed(t, "export", "-tower", "passage", "-model", link, "-out", filepath.Join(dir, "x")) // in the place of the other
}

// A model that cannot be opened is named in the same way, whichever command is given it, and before LibTorch is needed.
func TestEveryCommandSaysWhatAWrongModelIs(t *testing.T) {
	dir := collection(t, map[string]string{
		"lists.jsonl":            `{"query":{"_id":"q1","text":"line"},"ids":["scan","read"],"scores":[1,0]}` + "\n",
		"pointer.gguf":           lfsPointer,
		"packed.gguf":            "\x1f\x8b\x08\x00",
		"run/manifest.json":      "{}",
		"run/model/config.json":  "{}",
		"hub/version.txt":        "1",
		"folder/model.Q4_1.gguf": "GGUF",
	})
	snapshot := filepath.Join(dir, "hub", "models--org--name", "snapshots", "abc")
	require.NoError(t, os.CopyFS(snapshot, os.DirFS(tiny)))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "hub", "models--org--name", "refs"), 0o755))
	for folder, file := range map[string][2]string{
		"weights": {"model.safetensors", lfsPointer}, "words": {"tokenizer.json", lfsPointer},
		"page": {"config.json", "<!DOCTYPE html><html>"},
	} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, folder), os.DirFS(tiny)))
		require.NoError(t, os.WriteFile(filepath.Join(dir, folder, file[0]), []byte(file[1]), 0o644))
	}
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "gone")))

	pointer := `the file is a Git LFS pointer, not the file itself; run "git lfs pull"`
	encoders := map[string]string{
		"hub": "hub is no model folder: it is a cache of the Hugging Face Hub. Name a model's snapshot: " +
			snapshot,
		"hub/models--org--name": "it is the Hugging Face Hub's cache of one model. Name its snapshot: " + snapshot,
		"run": "run is no model folder: it is a run of Retort, whose model is " +
			filepath.Join(dir, "run", "model"),
		"qrels":        "qrels is no model folder: it has no config.json",
		"gone":         "gone is a link to nowhere, which does not exist",
		"page":         "the file is a web page, not the file itself",
		"words":        filepath.Join("words", "tokenizer.json") + ": " + pointer,
		"weights":      filepath.Join("weights", "model.safetensors") + ": " + pointer,
		"pointer.gguf": "pointer.gguf is a file (a Git LFS pointer, not the file itself); give the folder that holds config.json",
	}
	llms := map[string]string{
		"pointer.gguf":          "pointer.gguf: " + pointer,
		"packed.gguf":           "packed.gguf: the file is compressed with gzip; unpack it first",
		"hub/models--org--name": "Name its snapshot: " + snapshot,
		"folder":                "model.Q4_1.gguf",
	}
	for _, c := range []struct {
		command string // MODEL is the path
		models  map[string]string
	}{
		{"eval -collection DIR -model MODEL", encoders},
		{"search -corpus DIR/corpus.jsonl -model MODEL line", encoders},
		{"embed -model MODEL -role passage DIR/corpus.jsonl -out DIR/x.npy", encoders},
		{"export -tower query -model MODEL -out DIR/x", encoders},
		{"distill -corpus DIR/corpus.jsonl -model MODEL -out DIR/x", encoders},
		{"score -corpus DIR/corpus.jsonl -lists DIR/lists.jsonl -teacher encoder:MODEL -out DIR/x.jsonl", encoders},
		{"score -corpus DIR/corpus.jsonl -lists DIR/lists.jsonl -teacher crossencoder:MODEL -out DIR/x.jsonl", encoders},
		{"train-teacher -corpus DIR/corpus.jsonl -lists DIR/lists.jsonl -start MODEL -out DIR/x", encoders},
		{"generate -corpus DIR/corpus.jsonl -generator llm -llm MODEL -out DIR/x.jsonl", llms},
		{"score -corpus DIR/corpus.jsonl -lists DIR/lists.jsonl -teacher likelihood:MODEL -out DIR/x.jsonl", llms},
	} {
		for model, want := range c.models {
			args := strings.Fields(strings.NewReplacer("DIR", dir, "MODEL", filepath.Join(dir, model)).Replace(c.command))
			code, stdout, stderr := cli(t.Context(), args...)
			require.Equal(t, exitFailure, code, "%s: %s", args, stderr)
			require.Contains(t, stderr, want, "%s", args)
			require.Empty(t, stdout)
		}
	}
}

const lfsPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000000000000000000000000000000000000000000000000000000000000000\nsize 136472\n"
