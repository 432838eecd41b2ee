package runfolder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/regular"
)

// LockFile is the name of the file that the process that works on a run keeps locked.
const LockFile = "lock"

// ErrInUse says that another process works on the run.
var ErrInUse = errors.New("in use")

// Folder is a run that this process works on. It belongs to one goroutine. Close frees it; so does the end of the process.
type Folder struct {
	dir      string
	log      *slog.Logger
	lock     *os.File
	manifest *Manifest
	scanned  map[string]scanned // by stage

	now    func() time.Time
	create func(path string) (file, error) // opens a stage's file for writing, makes it where there is none
}

// file is what a stage's records are written to.
type file interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Open makes the folder where there is none, locks it and checks every stage's file. An unfinished end of a file is cut off.
// A stage whose file somebody has deleted is forgotten, with the stages that read it. Both are reported to log (nil:
// slog.Default()). Damage is a *CorruptError; a run that another process works on is ErrInUse.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Folder, error) {
	f, err := open(dir, log)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.removeTemporary(), f.check(ctx)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeTemporary removes what a kill has left of files that were to appear whole or not at all, here and one folder down.
func (f *Folder) removeTemporary() error {
	var errs []error
	for _, pattern := range []string{".*.tmp-*", filepath.Join("*", ".*.tmp-*")} {
		paths, err := filepath.Glob(filepath.Join(escape(f.dir), pattern))
		errs = append(errs, err)
		for _, path := range paths {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// escape makes a path stand for itself in a pattern.
func escape(path string) string {
	if runtime.GOOS == "windows" {
		return path // where a backslash separates names, and only [ could be meant otherwise
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// open locks the folder and reads the manifest.
func open(dir string, log *slog.Logger) (*Folder, error) {
	if log == nil {
		log = slog.Default()
	}
	f := &Folder{dir: dir, log: log, scanned: map[string]scanned{}, now: time.Now}
	f.create = func(path string) (file, error) { return regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644) }
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	var err error
	f.manifest, err = ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		f.manifest, err = &Manifest{Format: Format, Stages: []*Entry{}}, nil
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.manifest.Retort = version()
	return f, nil
}

func (f *Folder) takeLock() error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	lock, err := regular.OpenFile(f.Path(LockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if err := filelock.Lock(lock); err != nil {
		defer lock.Close()
		if !errors.Is(err, filelock.ErrLocked) {
			return fmt.Errorf("run folder: %w", err)
		}
		return fmt.Errorf("the run %s is %w by %s: wait for it, or take another folder", f.dir, ErrInUse, holder(lock))
	}
	f.lock = lock
	if err := writePID(lock); err != nil {
		return errors.Join(fmt.Errorf("run folder: %w", err), lock.Close())
	}
	return nil
}

func writePID(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// holder names the process that has the lock.
func holder(lock *os.File) string {
	pid := make([]byte, 32)
	n, _ := lock.ReadAt(pid, 0)
	if text := strings.TrimSpace(string(pid[:n])); text != "" {
		return "process " + text
	}
	return "another process"
}

// Close frees the run. A stage that is being written must be stopped first.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Close()
	f.lock = nil
	return err
}

// Path returns the path of a file of the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// Dir returns the folder's path as it was given.
func (f *Folder) Dir() string { return f.dir }

// Manifest returns what is known of the run. It is not to be changed.
func (f *Folder) Manifest() *Manifest { return f.manifest }

// Describe writes the job's settings, hashes of the files it was given, and seed to the manifest. They are for people and
// programs that read it; no stage depends on them.
func (f *Folder) Describe(seed uint64, settings, inputs map[string]string) error {
	f.manifest.Seed, f.manifest.Settings, f.manifest.Inputs = seed, settings, inputs
	return f.save()
}

func (f *Folder) save() error { return f.manifest.write(f.dir) }

// check scans the stages' files.
func (f *Folder) check(ctx context.Context) error {
	for i := 0; i < len(f.manifest.Stages); i++ {
		e := f.manifest.Stages[i]
		s, err := scan(ctx, f.Path(e.File))
		if errors.Is(err, fs.ErrNotExist) {
			if err := f.forget(e.Name); err != nil {
				return err
			}
			i = -1 // others went with it
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

// forget drops a stage whose file is gone, and those that read it.
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
		if e := f.manifest.Find(name); e != nil {
			files = append(append(files, e.File), e.Owns...)
		}
		delete(f.scanned, name)
	}
	f.manifest.remove(stages...)
	if err := f.save(); err != nil {
		return err
	}
	return f.removeFiles(files...)
}

func (f *Folder) removeFiles(names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(f.Path(name)))
	}
	return errors.Join(errs...)
}

func (f *Folder) checkStage(e *Entry, s scanned) error {
	if reason := damage(e, s); reason != "" {
		keep := s.keep(e)
		return &CorruptError{Dir: f.dir, Path: f.Path(e.File), Line: keep.count + 1, Offset: keep.size, Reason: reason}
	}
	f.scanned[e.Name] = s
	if e.State == Complete {
		return nil
	}
	if s.count < e.Count {
		f.log.Warn("a stage's file holds fewer records than were written: the others are redone",
			"file", f.Path(e.File), "records", s.count, "written", e.Count)
	}
	if s.whole() {
		return nil
	}
	f.log.Warn("cut off what was left unfinished at the end of a stage's file",
		"file", f.Path(e.File), "line", s.count+1, "offset", s.size, "bytes", s.total-s.size)
	return os.Truncate(f.Path(e.File), s.size)
}

// damage says what a kill cannot have done, "" where there is nothing of the kind.
func damage(e *Entry, s scanned) string {
	switch {
	case s.rest > 0 && (e.State == Complete || !s.torn):
		return "checksum does not match"
	case e.State != Complete:
		return ""
	case s.count < e.Count:
		return fmt.Sprintf("the file ends after %d of %d records", s.count, e.Count)
	case s.count > e.Count || hexSum(s.sum) != e.SHA256:
		return "the file is not the one that this stage has written"
	}
	return ""
}

// version is that of the module, as far as the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	const module = "github.com/retort-ir/retort"
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	if info.Main.Path == module && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
