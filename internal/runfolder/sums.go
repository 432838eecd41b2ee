package runfolder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/ctxio"
	"github.com/retort-ir/retort/internal/regular"
)

// Damage is a file of a run that has changed since it was written.
type Damage struct {
	File   string // its path in the run, with slashes
	Reason string
}

// gone is the reason for a missing file.
const gone = "it is gone"

// Error returns an ErrDamaged that names the file and the remedy.
func (d Damage) Error(dir string) error {
	return fmt.Errorf(`%s is %w: %s: run "retort repair %s"`,
		filepath.Join(dir, filepath.FromSlash(d.File)), ErrDamaged, d.Reason, dir)
}

// Record writes the checksums of files, and of all files in folders, to the manifest. The names must be in the layout.
// Record removes the checksums of missing files.
func (f *Folder) Record(ctx context.Context, names ...string) error {
	sums := map[string]Sum{}
	for _, name := range names {
		if err := f.summable(name); err != nil {
			return err
		}
		err := walk(f.root, name, func(file string, info fs.FileInfo) error {
			if info.IsDir() {
				return nil
			}
			sum, err := sumOf(ctx, f.root, file)
			sums[file] = sum
			return err
		})
		if err != nil {
			return f.at(err)
		}
	}
	f.manifest.forget(names...)
	if f.manifest.Files == nil {
		f.manifest.Files = map[string]Sum{}
	}
	maps.Copy(f.manifest.Files, sums)
	return f.save()
}

// Replace calls write, which writes the names anew, and records their checksums. It removes the old checksums first, so
// that a kill never leaves a new file with an old checksum.
func (f *Folder) Replace(ctx context.Context, write func() error, names ...string) error {
	for _, name := range names {
		if err := f.summable(name); err != nil {
			return err
		}
	}
	if f.manifest.forget(names...) {
		if err := f.save(); err != nil {
			return err
		}
	}
	if err := write(); err != nil {
		return err
	}
	return f.Record(ctx, names...)
}

// Replace is [Folder.Replace] in a run that no process works on. In a folder without a manifest it only calls write.
func Replace(ctx context.Context, dir string, layout Layout, write func() error, names ...string) (err error) {
	if _, err := ReadManifest(dir, layout); errors.Is(err, fs.ErrNotExist) {
		return write()
	}
	f, err := openLocked(dir, layout, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.readManifest(); err != nil {
		return err
	}
	return f.Replace(ctx, write, names...)
}

// Recorded says whether the manifest holds a checksum of the file, or of a file in the folder.
func (f *Folder) Recorded(name string) bool { return len(f.manifest.under(name)) > 0 }

// Check reads files, and all files in folders, and compares them with their checksums. It skips files without one.
func (f *Folder) Check(ctx context.Context, names ...string) ([]Damage, error) {
	return checkFiles(ctx, f.root, f.manifest, names...)
}

// Remove removes files and folders of the layout and their checksums. It removes a link, not its target.
func (f *Folder) Remove(names ...string) error {
	for _, name := range names {
		if !slices.Contains(f.layout.names(), name) {
			return fmt.Errorf("run folder: %q is not in the layout", name)
		}
	}
	if f.manifest.forget(names...) {
		if err := f.save(); err != nil {
			return err
		}
	}
	return f.removeFiles(names...)
}

func (f *Folder) summable(name string) error {
	if _, _, ok := f.layout.remedy(name); !ok || strings.Contains(name, "/") {
		return fmt.Errorf("run folder: %q is not a file or folder of the layout with checksums in the manifest", name)
	}
	return nil
}

// CheckRead compares files of a run, by name, with the manifest: files of complete stages, and other files with a
// checksum. It does not lock the run. It accepts a run without a manifest, and missing files, which their readers
// report.
func CheckRead(ctx context.Context, dir string, layout Layout, names ...string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	m, err := readManifest(root, ManifestFile, layout)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	damaged, err := checkFiles(ctx, root, m, names...)
	if err != nil {
		return err
	}
	for _, e := range m.Stages {
		if e.State != Complete || !slices.Contains(names, e.File) {
			continue
		}
		reason, err := m.compare(ctx, root, e.File, Sum{e.Bytes, e.SHA256})
		if err != nil {
			return err
		}
		if reason != "" {
			damaged = append(damaged, Damage{e.File, reason})
		}
	}
	for _, d := range damaged {
		if d.Reason != gone {
			return d.Error(dir)
		}
	}
	return nil
}

func checkFiles(ctx context.Context, root *os.Root, m *Manifest, names ...string) ([]Damage, error) {
	var damaged []Damage
	for _, name := range names {
		for _, file := range m.under(name) {
			reason, err := m.compare(ctx, root, file, m.Files[file])
			if err != nil {
				return nil, err
			}
			if reason != "" {
				damaged = append(damaged, Damage{file, reason})
			}
		}
	}
	return damaged, nil
}

// compare says how a file differs from its checksum.
func (m *Manifest) compare(ctx context.Context, root *os.Root, file string, want Sum) (reason string, err error) {
	got, err := sumOf(ctx, root, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone, nil
	case err != nil:
		return "", at(root, err)
	case got.Bytes != want.Bytes:
		return fmt.Sprintf("it has %d bytes and had %d", got.Bytes, want.Bytes), nil
	case got != want:
		return "its checksum does not match", nil
	}
	return "", nil
}

// under returns the files with a checksum that have a name or are in the folder of that name.
func (m *Manifest) under(name string) []string {
	var files []string
	for _, file := range slices.Sorted(maps.Keys(m.Files)) {
		if top, _, _ := strings.Cut(file, "/"); top == name {
			files = append(files, file)
		}
	}
	return files
}

// forget removes the checksums of names, and says whether there were any.
func (m *Manifest) forget(names ...string) bool {
	before := len(m.Files)
	for _, name := range names {
		for _, file := range m.under(name) {
			delete(m.Files, file)
		}
	}
	return len(m.Files) < before
}

func sumOf(ctx context.Context, root *os.Root, file string) (Sum, error) {
	f, err := open(root, file)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, ctxio.NewReader(ctx, f), make([]byte, 1<<20))
	if err != nil {
		return Sum{}, err
	}
	return Sum{n, hex.EncodeToString(h.Sum(nil))}, nil
}

// open refuses all but regular files: reading a pipe would never end.
func open(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, at(root, err)
	}
	if err := regular.Check(filepath.Join(root.Name(), name), info); err != nil {
		return nil, err
	}
	f, err := root.Open(name)
	return f, at(root, err)
}

// maxManifest bounds a manifest in bytes.
const maxManifest = 64 << 20

func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return regular.ReadAll(f, filepath.Join(root.Name(), name), maxManifest)
}
