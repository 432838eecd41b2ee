package modelcheck_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/modelcheck"
)

// tree makes files, given by their paths and contents; a content that begins with "->" makes a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(content, "->"); ok {
			require.NoError(t, os.Symlink(target, path))
			continue
		}
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return root
}

const cached = "models--org--small"

// hubCache is laid out as huggingface_hub does: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
func hubCache(t *testing.T) string {
	return tree(t, map[string]string{
		cached + "/refs/main":                    "bbb\n",
		cached + "/blobs/1234":                   "{}",
		cached + "/snapshots/aaa/config.json":    "->../../blobs/1234",
		cached + "/snapshots/bbb/config.json":    "->../../blobs/1234",
		"models--org--broken/refs/main":          "ccc",
		"models--org--broken/blobs/1.incomplete": "",
		"models--org--broken/snapshots/.keep":    "",
		"datasets--org--d/refs/main":             "ddd",
		"version.txt":                            "1",
	})
}

func TestFoldersThatHoldAModelPass(t *testing.T) {
	hub := hubCache(t)
	require.NoError(t, modelcheck.Folder(filepath.Join(hub, cached, "snapshots", "aaa")))
	root := tree(t, map[string]string{"real/config.json": "{}", "link": "->real", "router/modules.json": "[]"})
	require.NoError(t, modelcheck.Folder(filepath.Join(root, "link")))
	require.NoError(t, modelcheck.Folder(filepath.Join(root, "router"), "config.json", "modules.json"))
	require.ErrorContains(t, modelcheck.Folder(filepath.Join(root, "router")),
		"router is no model folder: it has no config.json")
}

func TestAPathThatIsNoModelSaysWhatItIs(t *testing.T) {
	hub := hubCache(t)
	home := tree(t, map[string]string{"hub/" + cached + "/snapshots/aaa/config.json": "{}", "token": "secret"})
	root := tree(t, map[string]string{
		"empty/.hidden/x":            "",
		"run/manifest.json":          "{}",
		"run/model/config.json":      "{}",
		"gguf/model.Q4_1.gguf":       "GGUF",
		"zip/all-MiniLM/config.json": "{}",
		"other/notes.txt":            "hello",
		"gone":                       "->nowhere",
		"weights.gguf":               "GGUF\x03\x00\x00\x00",
		"model.tar.gz":               "\x1f\x8b\x08",
		"config.json":                "{}",
		"blob":                       "\x01\x02",
	})
	require.NoError(t, os.Mkdir(filepath.Join(root, "bare"), 0o755))
	snapshot := func(rev string) string { return filepath.Join(hub, cached, "snapshots", rev) }
	for name, c := range map[string]struct {
		path string
		want []string
	}{
		"a model's folder in the Hub's cache": {filepath.Join(hub, cached), []string{
			"is no model folder: it is the Hugging Face Hub's cache of one model. Name its snapshot: " + snapshot("bbb") +
				" or " + snapshot("aaa"),
		}},
		"its snapshots": {filepath.Join(hub, cached, "snapshots"), []string{"Did you mean " + snapshot("aaa")}},
		"a download broken off": {
			filepath.Join(hub, "models--org--broken"),
			[]string{"It holds no whole snapshot: download the model again"},
		},
		"the Hub's cache": {hub, []string{"it is a cache of the Hugging Face Hub. Name a model's snapshot: " +
			snapshot("bbb")}},
		"the folder above it": {home, []string{
			"it is a cache of the Hugging Face Hub",
			filepath.Join(home, "hub", cached, "snapshots", "aaa"),
		}},
		"a run": {
			filepath.Join(root, "run"),
			[]string{"it is a run of Retort, whose model is " + filepath.Join(root, "run", "model")},
		},
		"a GGUF file's folder": {filepath.Join(root, "gguf"), []string{
			"model.Q4_1.gguf",
			"language models only (-llm FILE)",
		}},
		"the folder around it": {
			filepath.Join(root, "zip"),
			[]string{"Did you mean " + filepath.Join(root, "zip", "all-MiniLM") + "?"},
		},
		"another folder": {
			filepath.Join(root, "other"),
			[]string{"other is no model folder: it has no config.json. A model folder in the layout of"},
		},
		"an empty folder": {filepath.Join(root, "bare"), []string{"bare is no model folder: it is empty"}},
		"a GGUF file": {
			filepath.Join(root, "weights.gguf"),
			[]string{"is a file: a GGUF file; GGUF is read for language models only"},
		},
		"an archive": {
			filepath.Join(root, "model.tar.gz"),
			[]string{"model.tar.gz is a file (compressed with gzip); give the folder that holds config.json"},
		},
		"a model's file": {
			filepath.Join(root, "config.json"),
			[]string{"config.json is a file (JSON text); give the folder"},
		},
		"any file":          {filepath.Join(root, "blob"), []string{"blob is a file; give the folder"}},
		"nothing":           {filepath.Join(root, "nothing"), []string{"no such file"}},
		"a link to nothing": {filepath.Join(root, "gone"), []string{"gone is a link to nowhere, which does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := modelcheck.Folder(c.path)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	require.ErrorIs(t, modelcheck.Folder(filepath.Join(root, "nothing")), fs.ErrNotExist)
	require.ErrorIs(t, modelcheck.Folder(filepath.Join(root, "gone")), fs.ErrNotExist)
}

func TestANameOfTheHubSaysHowToDownloadIt(t *testing.T) {
	t.Chdir(t.TempDir())
	err := modelcheck.Folder("sentence-transformers/all-MiniLM-L6-v2")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "retort fetch-model sentence-transformers/all-MiniLM-L6-v2")
	for _, path := range []string{"model", "./a/b", "../a/b", "/a/b", "a/b/c", "a/"} {
		require.NotContains(t, modelcheck.Folder(path).Error(), "fetch-model", path)
	}
}
