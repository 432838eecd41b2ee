package runfolder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort/internal/ctxio"
	"github.com/retort-ir/retort/internal/regular"
)

// HashPath hashes a file, or the names and contents of a folder's files. It follows links, since many model folders
// consist of links.
func HashPath(ctx context.Context, path string) (string, error) {
	h := pathHash{h: sha256.New(), root: path}
	if err := h.add(ctx, path, nil); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.h.Sum(nil)), nil
}

type pathHash struct {
	h    hash.Hash
	root string
}

// add hashes the file or folder at path; above are the folders around it.
func (h *pathHash) add(ctx context.Context, path string, above []fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return h.addFile(ctx, path)
	case !info.IsDir():
		return fmt.Errorf("%s is neither a file nor a folder", path)
	case slices.ContainsFunc(above, func(folder fs.FileInfo) bool { return os.SameFile(folder, info) }):
		return fmt.Errorf("%s is a link to a folder around it: remove the link", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := h.add(ctx, filepath.Join(path, e.Name()), append(above, info)); err != nil {
			return err
		}
	}
	return nil
}

func (h *pathHash) addFile(ctx context.Context, path string) error {
	f, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if relative, _ := filepath.Rel(h.root, path); relative != "." {
		fmt.Fprintf(h.h, "%q\n", relative)
	}
	_, err = io.Copy(h.h, ctxio.NewReader(ctx, f))
	return err
}
