package runfolder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/version"
)

// LockFile is the file that a process locks while it works on a run.
const LockFile = "lock"

// ErrInUse says that another process works on the run.
var ErrInUse = ledger.ErrInUse

// Folder is a run that this process works on. It is not safe for concurrent use. Close, or the end of the process,
// unlocks the run.
type Folder struct {
	dir      string
	layout   Layout
	root     *os.Root // every read, write and removal is below it, so that no link leads out
	log      *slog.Logger
	lock     *os.File
	manifest *Manifest
	scanned  map[string]ledger.State // by stage

	now    func() time.Time
	create func(name string) (ledger.File, error) // opens or creates a stage's file
}

// Open opens or creates the folder, locks it and checks the file of every stage. Open cuts off an unfinished record at
// the end of a file. It forgets a stage whose file is missing, and the stages that read the file. It warns log (nil:
// slog.Default()) of both. ErrDamaged means damage, with file, line and offset in a stage's file; ErrInUse means that
// another process works on the run. Open reads no other files: see [Folder.Check].
func Open(ctx context.Context, dir string, layout Layout, log *slog.Logger) (*Folder, error) {
	f, err := openLocked(dir, layout, log)
	if err != nil {
		return nil, err
	}
	err = f.readManifest()
	if errors.Is(err, fs.ErrNotExist) {
		f.manifest, err = &Manifest{Stages: []*Entry{}}, nil
	}
	if err == nil {
		f.manifest.Format, f.manifest.Retort = Format, version.Number
		err = errors.Join(f.removeTemporary(), f.check(ctx))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openLocked opens or creates a folder and locks it.
func openLocked(dir string, layout Layout, log *slog.Logger) (_ *Folder, err error) {
	if log == nil {
		log = slog.Default()
	}
	f := &Folder{dir: dir, layout: layout, log: log, scanned: map[string]ledger.State{}, now: time.Now}
	f.create = func(name string) (ledger.File, error) { return f.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644) }
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	if f.root, err = os.OpenRoot(dir); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	err = layout.checkLinks(f.root)
	if err == nil {
		err = f.takeLock()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Folder) readManifest() error {
	var err error
	f.manifest, err = readManifest(f.root, ManifestFile, f.layout)
	return err
}

// removeTemporary removes the temporary files that a kill left, for names of the layout and in its folders only. It
// follows no link.
func (f *Folder) removeTemporary() error {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return f.at(err)
	}
	names := f.layout.names()
	var errs []error
	for _, e := range entries {
		own := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(e.Name(), "."+name+".tmp-") })
		switch {
		case own:
			errs = append(errs, f.at(f.root.RemoveAll(e.Name())))
		case e.IsDir() && slices.Contains(names, e.Name()):
			errs = append(errs, f.removeTemporaryIn(e.Name()))
		}
	}
	return errors.Join(errs...)
}

func (f *Folder) removeTemporaryIn(dir string) error {
	entries, err := fs.ReadDir(f.root.FS(), dir)
	if err != nil {
		return f.at(err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), ".tmp-") {
			errs = append(errs, f.at(f.root.RemoveAll(dir+"/"+e.Name())))
		}
	}
	return errors.Join(errs...)
}

// lockWait is how long to wait for the lock: [InUse] holds it for a moment.
const lockWait = 200 * time.Millisecond

func (f *Folder) takeLock() error {
	if info, err := f.root.Stat(LockFile); err == nil {
		if err := regular.Check(f.Path(LockFile), info); err != nil {
			return fmt.Errorf("%w: remove it", err)
		}
	}
	lock, err := f.root.OpenFile(LockFile, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("run folder: %w", f.at(err))
	}
	for start := time.Now(); ; time.Sleep(lockWait / 10) {
		if err = filelock.Lock(lock); !errors.Is(err, filelock.ErrLocked) || time.Since(start) > lockWait {
			break
		}
	}
	if err != nil {
		defer lock.Close()
		if !errors.Is(err, filelock.ErrLocked) {
			return fmt.Errorf("run folder: %w", err)
		}
		return fmt.Errorf("the run %s is %w by %s: wait for it, or take another folder", f.dir, ErrInUse, holder(lock))
	}
	f.lock = lock
	if err := writePID(lock); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return nil
}

// InUse says whether a process works on the run. It returns false if the lock cannot be read.
func InUse(dir string) bool {
	lock, err := regular.Open(filepath.Join(dir, LockFile))
	if err != nil {
		return false
	}
	defer lock.Close()
	return errors.Is(filelock.Lock(lock), filelock.ErrLocked)
}

func writePID(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// holder names the process that holds the lock.
func holder(lock *os.File) string {
	pid := make([]byte, 32)
	n, _ := lock.ReadAt(pid, 0)
	if text := strings.TrimSpace(string(pid[:n])); text != "" {
		return "process " + text
	}
	return "another process"
}

// Close unlocks the run. Stop a stage that is being written first.
func (f *Folder) Close() error {
	var errs []error
	if f.lock != nil {
		errs = append(errs, f.lock.Close())
	}
	if f.root != nil {
		errs = append(errs, f.root.Close())
	}
	f.lock, f.root = nil, nil
	return errors.Join(errs...)
}

// Path returns the path of a file of the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// Dir returns the folder's path as it was given.
func (f *Folder) Dir() string { return f.dir }

// Warn reports to the log that the folder was opened with.
func (f *Folder) Warn(message string, args ...any) { f.log.Warn(message, args...) }

// Manifest returns the manifest of the run. Do not change it.
func (f *Folder) Manifest() *Manifest { return f.manifest }

// Describe writes the job's seed, settings and input hashes to the manifest, for its readers. No stage depends on them.
func (f *Folder) Describe(seed uint64, settings, inputs map[string]string) error {
	f.manifest.Seed, f.manifest.Settings, f.manifest.Inputs = seed, settings, inputs
	f.manifest.WorkingFolder, _ = os.Getwd() // optional
	return f.save()
}

// save writes the manifest and its copy.
func (f *Folder) save() error { return f.manifest.write(f.root, ManifestFile, BackupFile) }

// at replaces a path below the root, in an error, by the path that the user knows.
func (f *Folder) at(err error) error { return at(f.root, err) }

func at(root *os.Root, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) && !filepath.IsAbs(of.Path) {
		return &fs.PathError{Op: of.Op, Path: filepath.Join(root.Name(), of.Path), Err: of.Err}
	}
	return err
}

// check scans the stages' files.
func (f *Folder) check(ctx context.Context) error {
	for i := 0; i < len(f.manifest.Stages); i++ {
		e := f.manifest.Stages[i]
		s, err := scan(ctx, f.root, e.File)
		if errors.Is(err, fs.ErrNotExist) {
			if err := f.forget(e.Name); err != nil {
				return err
			}
			i = -1 // forget has removed other stages too
			continue
		}
		if err != nil {
			return err
		}
		if err := f.checkStage(e, s); err != nil {
			return err
		}
	}
	return nil
}

// forget drops a stage whose file is missing, and the stages that read the file.
func (f *Folder) forget(stage string) error {
	all := append([]string{stage}, f.manifest.Readers(stage)...)
	f.log.Warn("the file of a stage is gone: it is redone, with the stages that read it",
		"file", f.Path(f.manifest.Find(stage).File), "stages", strings.Join(all, ", "))
	return f.drop(all...)
}

// drop removes stages from the manifest, and then their files.
func (f *Folder) drop(stages ...string) error {
	var files []string
	for _, name := range stages {
		if f.manifest.Find(name) != nil {
			files = append(append(files, stageFile(name)), f.layout.owned(name)...)
		}
		delete(f.scanned, name)
	}
	f.manifest.remove(stages...)
	f.manifest.forget(files...)
	if err := f.save(); err != nil {
		return err
	}
	return f.removeFiles(files...)
}

// removeFiles removes files and folders. It removes a link, not its target.
func (f *Folder) removeFiles(names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, f.at(f.root.RemoveAll(name)))
	}
	return errors.Join(errs...)
}

func (f *Folder) checkStage(e *Entry, c ledger.Contents) error {
	if reason := damage(e, c); reason != "" {
		good, _ := keep(e, c)
		return &ledger.DamagedError{
			Path: f.Path(e.File), Line: good.Count + 1, Offset: good.Size, Reason: reason, Remedy: remedy(f.dir),
		}
	}
	f.scanned[e.Name] = c.State
	if e.State == Complete {
		return nil
	}
	if c.Count < e.Count {
		f.log.Warn("a stage's file holds fewer records than were written: the others are redone",
			"file", f.Path(e.File), "records", c.Count, "written", e.Count)
	}
	if c.Whole() {
		return nil
	}
	f.log.Warn("cut off an unfinished record at the end of a stage's file",
		"file", f.Path(e.File), "line", c.Count+1, "offset", c.Size, "bytes", c.Total-c.Size)
	return f.truncate(e.File, c.Size)
}

func (f *Folder) truncate(name string, size int64) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return f.at(err)
	}
	return errors.Join(file.Truncate(size), file.Close())
}

// damage describes the damage that no kill can have caused; "" if there is none.
func damage(e *Entry, c ledger.Contents) string {
	switch {
	case !c.Whole() && (e.State == Complete || !c.Torn()):
		return ledger.BadChecksum
	case e.State != Complete:
		return ""
	case c.Count < e.Count:
		return fmt.Sprintf("the file ends after %d of %d records", c.Count, e.Count)
	case c.Count > e.Count || c.SHA256() != e.SHA256:
		return "the file is not the one that this stage has written"
	}
	return ""
}

// keep returns the records of a stage's file that can be kept, and the number of lost lines. Nothing can be kept of a
// whole file that differs from the file that the complete stage wrote.
func keep(e *Entry, c ledger.Contents) (good ledger.State, lost int) {
	if e.State == Complete && c.Whole() && c.Count >= e.Count {
		return ledger.State{}, c.Count
	}
	return c.State, c.Rest
}

// scan reads a file of a run to its end.
func scan(ctx context.Context, root *os.Root, name string) (ledger.Contents, error) {
	f, err := open(root, name)
	if err != nil {
		return ledger.Contents{}, err
	}
	defer f.Close()
	return ledger.Scan(ctx, f, nil)
}
