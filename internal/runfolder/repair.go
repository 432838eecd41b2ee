package runfolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/ledger"
)

// Repaired describes the repair of one file.
type Repaired struct {
	Path   string
	Reason string // the damage
	Done   string // what Repair did and what the next run does; "" if Cut is set
	Lost   bool   // no run makes the file again
	Cut    *Cut   // of a stage's file
}

// Cut describes the records that Repair dropped from a stage's file.
type Cut struct {
	Line   int   // of the first dropped record, from 1
	Offset int64 // of that line
	Kept   int   // records
	Redone int   // dropped records, which the next run makes again
}

// Repair restores a damaged manifest from its copy, cuts every damaged file of a stage before its first bad record, and
// applies the layout's remedy to every other damaged file. The next run makes the dropped records again; stages that
// read them start anew only if the records change. After a kill, call Repair again. A folder without a run is an error,
// and so is a manifest that is damaged like its copy.
func Repair(ctx context.Context, dir string, layout Layout, log *slog.Logger) (_ []Repaired, err error) {
	if _, err := ReadManifest(dir, layout); err != nil && !errors.Is(err, ErrDamaged) {
		return nil, err
	}
	f, err := openLocked(dir, layout, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := repair{Folder: f}
	for _, part := range []func(context.Context) error{r.manifests, r.stages, r.files} {
		if err := part(ctx); err != nil {
			return r.done, err
		}
	}
	return r.done, nil
}

type repair struct {
	*Folder
	done []Repaired
}

func (r *repair) add(file, reason, done string, lost bool) {
	r.done = append(r.done, Repaired{Path: r.Path(filepath.FromSlash(file)), Reason: reason, Done: done, Lost: lost})
}

// manifests restores the manifest from its copy, or the copy from the manifest.
func (r *repair) manifests(context.Context) error {
	err := r.readManifest()
	backup, backupErr := readManifest(r.root, BackupFile, r.layout)
	switch {
	case err == nil && !errors.Is(backupErr, ErrDamaged):
		return nil
	case err == nil:
		r.add(BackupFile, "its checksum does not match", "written again", false)
	case !errors.Is(err, ErrDamaged):
		return err
	case backupErr != nil:
		return fmt.Errorf("%w: its copy %s does not help (%w)", err, BackupFile, backupErr)
	default:
		r.manifest = backup
		r.add(ManifestFile, "its checksum does not match", "restored from "+BackupFile, false)
	}
	return r.save()
}

func (r *repair) stages(ctx context.Context) error {
	for _, e := range r.manifest.Stages {
		s, err := scan(ctx, r.root, e.File)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Open warns of a missing file
		}
		if err != nil {
			return err
		}
		reason := damage(e, s)
		if s.Whole() && reason == "" {
			continue
		}
		good, lost := keep(e, s)
		cut := &Cut{Line: good.Count + 1, Offset: good.Size, Kept: good.Count, Redone: lost}
		if e.State == Complete {
			cut.Redone = max(e.Count-good.Count, lost)
		}
		if reason == "" {
			reason = "the end is unfinished"
		}
		if err := r.cut(e, good); err != nil {
			return err
		}
		r.done = append(r.done, Repaired{Path: r.Path(e.File), Reason: reason, Cut: cut})
	}
	return nil
}

// cut marks the stage as unfinished before it cuts the file, so that a kill leaves no complete stage with a shorter
// file.
func (f *Folder) cut(e *Entry, s ledger.State) error {
	e.State, e.Count, e.Bytes, e.SHA256 = Running, s.Count, 0, ""
	if err := f.save(); err != nil {
		return err
	}
	return f.truncate(e.File, s.Size)
}

// files applies the layout's remedies to files whose checksums do not match.
func (r *repair) files(ctx context.Context) error {
	for _, name := range r.layout.names() {
		damaged, err := r.Check(ctx, name)
		if err != nil {
			return err
		}
		for _, d := range damaged {
			if !r.Recorded(name) {
				continue // removed with an earlier file
			}
			if err := r.file(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *repair) file(d Damage) error {
	top, _, inFolder := strings.Cut(d.File, "/")
	remedy, stage, _ := r.layout.remedy(d.File)
	switch remedy {
	case Redo:
		r.add(d.File, d.Reason, "the next run starts the stage "+stage+" anew", false)
		return r.drop(stage)
	case SetAside:
		delete(r.manifest.Files, d.File)
		if err := r.save(); err != nil {
			return err
		}
		if d.Reason == gone {
			r.add(d.File, d.Reason, "nothing makes it again", true)
			return nil
		}
		aside := d.File + ".damaged"
		r.add(d.File, d.Reason, "nothing makes it again: it is now "+r.Path(filepath.FromSlash(aside)), true)
		return r.at(r.root.Rename(d.File, aside))
	}
	done := "removed: the next run makes it again"
	if inFolder {
		done = fmt.Sprintf("removed with all of %s: the next run makes it again", r.Path(top))
	}
	r.add(d.File, d.Reason, done, false)
	return r.Remove(top)
}
