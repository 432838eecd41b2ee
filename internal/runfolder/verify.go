package runfolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/regular"
)

// Verification is the result of [Verify].
type Verification struct {
	Files     int   // files read
	Bytes     int64 // bytes read
	Damaged   []Damage
	Unchecked []string // files of the layout without a checksum in the manifest, except journals
}

// Verify reads the whole run and compares it with its checksums. It changes nothing. It returns ErrInUse if a process
// works on the run, and fs.ErrNotExist if the folder holds no run. It skips journals (see [Journal]).
func Verify(ctx context.Context, dir string, layout Layout) (*Verification, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := layout.checkLinks(root); err != nil {
		return nil, err
	}
	lock, err := open(root, LockFile)
	if errors.Is(err, regular.ErrNotRegular) {
		return nil, err
	}
	if err == nil {
		defer lock.Close()
		if errors.Is(filelock.Lock(lock), filelock.ErrLocked) {
			return nil, fmt.Errorf("the run %s is %w by %[3]s: verify the run when %[3]s has ended",
				dir, ErrInUse, holder(lock))
		}
	}
	v := &verifier{ctx: ctx, root: root, layout: layout}
	return &v.Verification, v.run()
}

type verifier struct {
	Verification
	ctx      context.Context
	root     *os.Root
	layout   Layout
	manifest *Manifest
}

func (v *verifier) run() error {
	backup, err := v.readManifests()
	if err != nil {
		return err
	}
	if v.manifest == nil {
		v.manifest = backup // to find other damage
	}
	if v.manifest == nil {
		return nil
	}
	for _, e := range v.manifest.Stages {
		if err := v.stage(e); err != nil {
			return err
		}
	}
	for _, name := range v.layout.names() {
		if err := v.files(name); err != nil {
			return err
		}
	}
	slices.SortFunc(v.Damaged, func(a, b Damage) int { return strings.Compare(a.File, b.File) })
	return nil
}

// readManifests reads the manifest and its copy; each is nil if damaged.
func (v *verifier) readManifests() (backup *Manifest, err error) {
	read := func(name string) (*Manifest, error) {
		m, err := readManifest(v.root, name, v.layout)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		v.Files++
		if info, err := v.root.Stat(name); err == nil {
			v.Bytes += info.Size()
		}
		if errors.Is(err, ErrDamaged) {
			v.Damaged = append(v.Damaged, Damage{name, "its checksum does not match"})
			return nil, nil
		}
		return m, err
	}
	if v.manifest, err = read(ManifestFile); err != nil {
		return nil, err
	}
	backup, err = read(BackupFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // of format 1, or removed
	}
	return backup, err
}

func (v *verifier) stage(e *Entry) error {
	s, err := scan(v.ctx, v.root, e.File)
	if errors.Is(err, fs.ErrNotExist) {
		v.Damaged = append(v.Damaged, Damage{e.File, gone})
		return nil
	}
	if err != nil {
		return err
	}
	v.Files++
	v.Bytes += s.Total
	if reason := damage(e, s); reason != "" {
		good, _ := keep(e, s)
		reason = fmt.Sprintf("record %d, at byte offset %d: %s", good.Count+1, good.Size, reason)
		v.Damaged = append(v.Damaged, Damage{e.File, reason})
	}
	return nil
}

// files checks a name of the layout, except journals.
func (v *verifier) files(name string) error {
	if _, _, ok := v.layout.remedy(name); !ok {
		return nil
	}
	damaged, err := checkFiles(v.ctx, v.root, v.manifest, name)
	if err != nil {
		return err
	}
	v.Damaged = append(v.Damaged, damaged...)
	return walk(v.root, name, func(file string, info fs.FileInfo) error {
		if info.IsDir() {
			return nil
		}
		if _, ok := v.manifest.Files[file]; !ok {
			v.Unchecked = append(v.Unchecked, file)
			return nil
		}
		v.Files++
		v.Bytes += info.Size()
		return nil
	})
}
