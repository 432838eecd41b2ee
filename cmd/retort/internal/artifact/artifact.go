// Package artifact checks the SHA-256 of downloaded archives against a pinned value and unpacks the wanted members.
package artifact

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/ctxio"
	"github.com/retort-ir/retort/internal/regular"
)

// Check compares the file's SHA-256 with the one in hex.
func Check(path, want string) error {
	f, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%s: SHA-256 is %s, want %s: the registry or a proxy changed the file",
			filepath.Base(path), got, want)
	}
	return nil
}

// Unpack writes members of a zip archive (a wheel, a jar) to the folder dir, which it creates. place returns the path
// of a member, relative to dir and with slashes, or "" to skip the member. Unpack fails for a path outside dir, also
// through a link in dir, for a member that is not a regular file, for two members with one path, and for an archive
// without a wanted member.
func Unpack(ctx context.Context, archive, dir string, place func(member string) string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer z.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	unpacked := 0
	for _, member := range z.File {
		to := place(member.Name)
		if to == "" || member.FileInfo().IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !filepath.IsLocal(filepath.FromSlash(to)) {
			return fmt.Errorf("%s: member %q would leave the folder", archive, member.Name)
		}
		if !member.Mode().IsRegular() {
			return fmt.Errorf("%s: member %q is not a regular file (%s)", archive, member.Name, member.Mode().Type())
		}
		if err := unpackMember(ctx, member, root, filepath.FromSlash(to)); err != nil {
			return fmt.Errorf("unpack %s of %s: %w", member.Name, filepath.Base(archive), err)
		}
		unpacked++
	}
	if unpacked == 0 {
		return fmt.Errorf("%s: no wanted member", archive)
	}
	return nil
}

// maxDeflate is above the maximum compression ratio of deflate, 1032.
const maxDeflate = 1100

func unpackMember(ctx context.Context, member *zip.File, root *os.Root, name string) (err error) {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return copyMember(ctx, f, member)
}

func copyMember(ctx context.Context, w io.Writer, member *zip.File) error {
	size := int64(member.UncompressedSize64)
	if member.UncompressedSize64 > maxDeflate*(member.CompressedSize64+1) {
		return fmt.Errorf("%d compressed bytes cannot hold %d bytes", member.CompressedSize64,
			member.UncompressedSize64)
	}
	r, err := member.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, io.LimitReader(ctxio.NewReader(ctx, r), size+1))
	if err == nil && n > size {
		err = fmt.Errorf("more than the %d bytes in the archive's directory", size)
	}
	return err
}

// CopyMember writes one member of a zip archive to w.
func CopyMember(ctx context.Context, w io.Writer, archive, name string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer z.Close()
	for _, member := range z.File {
		if member.Name != name {
			continue
		}
		if err := copyMember(ctx, w, member); err != nil {
			return fmt.Errorf("read %s of %s: %w", name, filepath.Base(archive), err)
		}
		return nil
	}
	return fmt.Errorf("%s: no member %q", archive, name)
}
