//go:build libtorch

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// linked returns a link to a folder of links to a model's files and subfolders, as package managers and the Hugging
// Face Hub's cache have them.
func linked(t *testing.T, model string) string {
	t.Helper()
	root := t.TempDir()
	absolute, err := filepath.Abs(model)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(root, "folder"), 0o755))
	for _, name := range names(t, absolute) {
		require.NoError(t, os.Symlink(filepath.Join(absolute, name), filepath.Join(root, "folder", name)))
	}
	link := filepath.Join(root, "LINK")
	require.NoError(t, os.Symlink("folder", link))
	return link
}

func TestDistillTakesAModelOfLinks(t *testing.T) {
	dir := runFolder(t)
	flags := " -threads 1 -batch 4 -epochs 1 -keep last"
	command := func(model, run string) []string {
		return strings.Fields("distill -corpus " + dir + "/corpus.jsonl -model " + model + " -out " +
			filepath.Join(dir, run) + flags)
	}
	link := linked(t, tiny)
	out := succeed(t, command(link, "of-links")...)
	succeed(t, command(tiny, "of-files")...)
	for _, file := range []string{
		"student/model.safetensors", "model/query_0_Transformer/model.safetensors",
		"model/document_0_Transformer/model.safetensors",
	} {
		require.Equal(t, readString(t, filepath.Join(dir, "of-files", file)),
			readString(t, filepath.Join(dir, "of-links", file)))
	}
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "of-links"), func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		require.True(t, e.IsDir() || e.Type().IsRegular(), "%s is a link", path)
		return nil
	}))
	again := succeed(t, command(link, "of-links")...)
	require.Equal(t, out[:strings.Index(out, " lists,")], again[:strings.Index(again, " lists,")],
		"a second run reuses the first")
	succeed(t, "status", filepath.Join(dir, "of-links"))

	card := readString(t, filepath.Join(dir, "of-files", "model", "README.md"))
	for _, want := range []string{
		"base_model: \"tiny\"\nlibrary_name: sentence-transformers\npipeline_tag: \"sentence-similarity\"\n",
		"# tiny, specialised by Retort",
		"- Towers: two, a sentence-transformers Router", "- Corpus: 48 passages\n",
		"- Queries made by: extracted from the passages: sentence, title, phrase, howto\n",
		"- Teacher: bm25\n", "retort export -tower query",
	} {
		require.Contains(t, card, want)
	}
	require.NotContains(t, card, dir)
}

// A learning rate of 1 makes every trained model worse than the first.
func TestAModelThatNothingBeatsIsSavedAsItCame(t *testing.T) {
	dir := runFolder(t)
	succeed(t, "distill", "-corpus", dir+"/corpus.jsonl", "-model", tiny, "-out", dir+"/run", "-threads", "1", "-batch",
		"4", "-epochs", "1", "-lr", "1")
	model := filepath.Join(dir, "run", "model")
	require.NoFileExists(t, filepath.Join(model, "router_config.json"))
	require.Equal(t, readString(t, filepath.Join(tiny, "model.safetensors")),
		readString(t, filepath.Join(model, "model.safetensors")))
	card := readString(t, filepath.Join(model, "README.md"))
	require.Contains(t, card, "so the weights are those of the base model.\n")
	require.Contains(t, card, "| MRR\\@10 of held-out generated queries | ")
}
