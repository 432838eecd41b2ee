package transformer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/modelcard"
)

const lfsPointer = "version https://git-lfs.github.com/spec/v1\noid " +
	"sha256:0000000000000000000000000000000000000000000000000000000000000000\nsize 136472\n"

// A repository that was cloned without Git LFS, a download that is a web page, a file that is still packed.
func TestAFileThatIsNotWhatItsNameSaysIsNamed(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(`{"model_type": "bert"}`))
	require.NoError(t, errors.Join(err, w.Close()))
	for content, want := range map[string]string{
		lfsPointer:              `the file is a Git LFS pointer, not the file itself; run "git lfs pull" in its repository, or download the file again`,
		packed.String():         "the file is compressed with gzip; unpack it first",
		"<!DOCTYPE html><html>": "the file is a web page, not the file itself; download the file again",
	} {
		for _, name := range []string{
			configJSON, modulesJSON, sentenceBERTJSON, sentenceTransformersJSON, "1_Pooling/config.json", weightsFile,
			retortJSON,
			tokenizerJSON, tokenizerConfig, specialTokens, addedTokens, vocabTXT,
		} {
			dir := changedFolder(t, "tiny", func(dir string) { write(t, dir, name, content) })
			_, err := ReadFolder(dir, Options{})
			require.ErrorContains(t, err, filepath.Join(dir, name)+": "+want)
		}
	}
	dir := changedFolder(t, "tiny", func(dir string) {
		remove(t, dir, tokenizerJSON)
		write(t, dir, vocabTXT, lfsPointer)
	})
	_, err = ReadFolder(dir, Options{})
	require.ErrorContains(t, err, "vocab.txt: the file is a Git LFS pointer")
}

func TestAFolderThatIsNoModelIsNamed(t *testing.T) {
	root := t.TempDir()
	snapshot := filepath.Join(root, "models--org--name", "snapshots", "abc")
	require.NoError(t, os.CopyFS(snapshot, os.DirFS("testdata/tiny")))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "models--org--name", "refs"), 0o755))
	for _, dir := range []string{root, filepath.Dir(filepath.Dir(snapshot)), filepath.Dir(snapshot)} {
		_, err := ReadFolder(dir, Options{})
		require.ErrorContains(t, err, dir+" is no model folder: ")
		require.ErrorContains(t, err, snapshot)
	}
	f, err := ReadFolder(snapshot, Options{})
	require.NoError(t, err)
	require.Equal(t, "org/name", modelcard.NameOf(f.Dir))
	_, err = ReadFolder(t.TempDir(), Options{})
	require.ErrorContains(t, err, "it is empty")
}
