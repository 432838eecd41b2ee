// Package modelcheck says why a path is not a model folder, and which path the user may have meant: a snapshot in a
// cache of the Hugging Face Hub, the model in a run, another folder inside.
package modelcheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/hub"
)

const configFile = "config.json"

// Folder returns an error if dir, or the target of the link dir, is not a folder that holds one of the files, by
// default config.json.
func Folder(dir string, files ...string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing(dir, err)
	case err != nil:
		return fmt.Errorf("model folder: %w", err)
	case !info.IsDir():
		return isFile(dir)
	}
	if len(files) == 0 {
		files = []string{configFile}
	}
	if slices.ContainsFunc(files, func(name string) bool { return exists(dir, name) }) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("model folder: %w", err)
	}
	return fmt.Errorf("%s is no model folder: %s", dir, reason(dir, entries))
}

func missing(dir string, err error) error {
	target, linkErr := os.Readlink(dir)
	if linkErr != nil && hub.IsName(dir) {
		return fmt.Errorf("model folder: %w; if this is a name on the Hugging Face Hub, download the model first "+
			"(retort fetch-model %s) and give its folder", err, dir)
	}
	if linkErr != nil {
		return fmt.Errorf("model folder: %w", err)
	}
	return fmt.Errorf("model folder %s is a link to %s, which does not exist: %w", dir, target, err)
}

func isFile(path string) error {
	head, err := filekind.Head(path)
	kind := filekind.Of(head)
	if err != nil || kind.Name == "" {
		return fmt.Errorf("model folder %s is a file; give the folder that holds %s", path, configFile)
	}
	if kind == filekind.GGUF {
		return fmt.Errorf("model folder %s is a file: %s; %s", path, kind.Name, kind.Remedy)
	}
	return fmt.Errorf("model folder %s is a file (%s); give the folder that holds %s", path, kind.Name, configFile)
}

// reason says what a folder is that is not a model folder.
func reason(dir string, entries []os.DirEntry) string {
	models := under(dir, entries, isCached)
	switch {
	case len(entries) == 0:
		return "it is empty"
	case exists(dir, "snapshots") && (exists(dir, "refs") || exists(dir, "blobs")):
		return "it is the Hugging Face Hub's cache of one model. " + snapshotAdvice(dir)
	case len(models) > 0:
		return cacheReason(models)
	case exists(dir, "hub") && hasModels(filepath.Join(dir, "hub")):
		return Folder(filepath.Join(dir, "hub")).Error()
	case exists(dir, "manifest.json") && exists(dir, "model"):
		return fmt.Sprintf("it is a run of Retort, whose model is %s", filepath.Join(dir, "model"))
	}
	isGGUF := func(name string) bool { return strings.EqualFold(filepath.Ext(name), ".gguf") }
	if files := under(dir, entries, isGGUF); len(files) > 0 {
		return fmt.Sprintf("it has no %s, but %s. %s", configFile, listed(files), filekind.GGUF.Remedy)
	}
	isModel := func(name string) bool { return exists(filepath.Join(dir, name), configFile) }
	if inside := under(dir, entries, isModel); len(inside) > 0 {
		return fmt.Sprintf("it has no %s. Did you mean %s?", configFile, listed(inside))
	}
	return fmt.Sprintf("it has no %s. A model folder in the layout of Hugging Face or sentence-transformers has %s, "+
		"tokenizer.json and model.safetensors", configFile, configFile)
}

func hasModels(hub string) bool {
	entries, err := os.ReadDir(hub)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return isCached(e.Name()) })
}

// isCached says whether an entry of the Hub's cache is the folder of a model: models--ORGANISATION--NAME.
func isCached(name string) bool { return strings.HasPrefix(name, "models--") }

func cacheReason(models []string) string {
	var whole []string
	for _, m := range models {
		if s := snapshots(m); len(s) > 0 {
			whole = append(whole, s[0])
		}
	}
	if len(whole) == 0 {
		return "it is a cache of the Hugging Face Hub, in which no download is whole. Download a model again"
	}
	return fmt.Sprintf("it is a cache of the Hugging Face Hub. Name a model's snapshot: %s", listed(whole))
}

func snapshotAdvice(dir string) string {
	found := snapshots(dir)
	if len(found) == 0 {
		return "It holds no whole snapshot: download the model again"
	}
	return "Name its snapshot: " + listed(found)
}

// snapshots returns the whole snapshots in a cached model's folder, the snapshot of the branch main first.
func snapshots(dir string) []string {
	parent := filepath.Join(dir, "snapshots")
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil
	}
	all := under(parent, entries, func(name string) bool {
		return exists(filepath.Join(parent, name), configFile) || exists(filepath.Join(parent, name), "modules.json")
	})
	revision, err := os.ReadFile(filepath.Join(dir, "refs", "main"))
	if err != nil {
		return all
	}
	main := filepath.Join(parent, strings.TrimSpace(string(revision)))
	slices.SortStableFunc(all, func(a, b string) int {
		switch main {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	return all
}

// under returns the paths of the entries that are wanted.
func under(dir string, entries []os.DirEntry, wanted func(name string) bool) []string {
	var all []string
	for _, e := range entries {
		if wanted(e.Name()) {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all
}

// mostListed bounds how many paths an error lists.
const mostListed = 3

func listed(paths []string) string {
	if len(paths) > mostListed {
		return fmt.Sprintf("%s or one of %d more", strings.Join(paths[:mostListed], ", "), len(paths)-mostListed)
	}
	return strings.Join(paths, " or ")
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
