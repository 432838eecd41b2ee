package runfolder

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
)

// Repaired is what Repair did to one stage's file.
type Repaired struct {
	Stage  string
	Path   string
	Line   int   // of the first record that was dropped, from 1
	Offset int64 // of its first byte
	Kept   int   // records
	Redone int   // records that were dropped and will be made again
}

// Repair cuts every damaged file of a run before its first bad record; the next run makes the records again from there on.
// Stages that read such a file are redone only where it then differs. A kill while it works leaves damage that Repair
// removes when it is called again. A folder without a run is an error.
func Repair(ctx context.Context, dir string, log *slog.Logger) (_ []Repaired, err error) {
	if _, err := ReadManifest(dir); err != nil {
		return nil, err
	}
	f, err := open(dir, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var done []Repaired
	for _, e := range f.manifest.Stages {
		s, err := scan(ctx, f.Path(e.File))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the next run says so
		}
		if err != nil {
			return done, err
		}
		if s.whole() && damage(e, s) == "" {
			continue
		}
		s = s.keep(e)
		r := Repaired{Stage: e.Name, Path: f.Path(e.File), Line: s.count + 1, Offset: s.size, Kept: s.count, Redone: s.rest}
		if e.State == Complete {
			r.Redone = max(e.Count-s.count, s.rest)
		}
		if err := f.cut(e, s); err != nil {
			return done, err
		}
		done = append(done, r)
	}
	return done, nil
}

// cut makes the stage unfinished before the file is cut, so that no complete stage ever has a shorter file.
func (f *Folder) cut(e *Entry, s scanned) error {
	e.State, e.Count, e.Bytes, e.SHA256 = Running, s.count, 0, ""
	if err := f.save(); err != nil {
		return err
	}
	return os.Truncate(f.Path(e.File), s.size)
}
