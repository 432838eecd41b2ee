package runfolder

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/strictjson"
)

// Spec describes a stage of the layout, whose file is Name.jsonl.
type Spec struct {
	Name     string
	Settings map[string]string // everything that decides the output besides Inputs
	Inputs   []string          // stages that it reads; they must be complete
}

// Stage is a stage that has begun. A record survives a kill once Append has returned; a power cut can lose the
// records of the last seconds.
type Stage struct {
	folder *Folder
	entry  *Entry
	path   string
	ledger *ledger.Ledger // nil if the stage is complete or stopped
	state  ledger.State   // if there is no ledger
	since  time.Time      // end of the time that is counted already
}

// Begin resumes a stage whose key is the same, and starts any other stage anew. It logs a restart that discards
// records. A complete stage can only be read.
func (f *Folder) Begin(spec Spec) (*Stage, error) {
	if _, ok := f.layout.Stages[spec.Name]; !ok {
		return nil, fmt.Errorf("run folder: %q is not a stage of the layout", spec.Name)
	}
	inputs := map[string]string{}
	for _, name := range spec.Inputs {
		in := f.manifest.Find(name)
		if in == nil || in.State != Complete {
			return nil, fmt.Errorf("run folder: stage %s reads %s, which is not complete", spec.Name, name)
		}
		inputs[name] = in.SHA256
	}
	key, err := keyOf(spec.Name, spec.Settings, inputs)
	if err != nil {
		return nil, err
	}
	e := f.manifest.Find(spec.Name)
	if e != nil && e.Key != key {
		f.log.Info("a stage is redone", "stage", spec.Name, "why", e.differences(spec.Settings, inputs))
		e = nil
	}
	if e != nil {
		return f.resume(e)
	}
	err = f.drop(spec.Name)
	if err == nil {
		// An interrupted drop leaves files behind.
		err = f.removeFiles(append(f.layout.owned(spec.Name), stageFile(spec.Name))...)
	}
	if err != nil {
		return nil, fmt.Errorf("run folder: stage %s: %w", spec.Name, err)
	}
	return f.start(&Entry{
		Name: spec.Name, State: Running, Key: key, Settings: spec.Settings, Inputs: inputs, File: stageFile(spec.Name),
	})
}

// start creates the file before it writes the manifest, so that every stage in the manifest has its file.
func (f *Folder) start(e *Entry) (*Stage, error) {
	file, err := f.create(e.File)
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", f.at(err))
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("run folder: %w", err), file.Close())
	}
	f.manifest.Stages = append(f.manifest.Stages, e)
	if err := f.save(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f.writing(e, file, ledger.State{})
}

func (f *Folder) resume(e *Entry) (*Stage, error) {
	found := f.scanned[e.Name]
	if e.State == Complete {
		return &Stage{folder: f, entry: e, path: f.Path(e.File), state: found}, nil
	}
	file, err := f.create(e.File)
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", f.at(err))
	}
	return f.writing(e, file, found)
}

// writing returns a stage whose file holds the records of from.
func (f *Folder) writing(e *Entry, file ledger.File, from ledger.State) (*Stage, error) {
	s := &Stage{folder: f, entry: e, path: f.Path(e.File), since: f.now()}
	var err error
	s.ledger, err = ledger.Continue(file, s.path, from, ledger.Options{Now: f.now, Synced: s.synced})
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// Complete says whether the stage is complete.
func (s *Stage) Complete() bool { return s.entry.State == Complete }

// Count returns the number of records.
func (s *Stage) Count() int {
	if s.ledger != nil {
		return s.ledger.Count()
	}
	return s.state.Count
}

// Path returns the path of the stage's file.
func (s *Stage) Path() string { return s.path }

// Append writes a record, which must be an object in JSON. After an error the file is unchanged.
func (s *Stage) Append(record any) error {
	_, err := s.ledger.Append(record)
	return err
}

// synced updates the stage's entry in the manifest.
func (s *Stage) synced() error {
	now := s.folder.now()
	s.entry.Count = s.ledger.Count()
	s.entry.Seconds += max(0, now.Sub(s.since).Seconds()) // the clock may have been set back
	s.since = now
	s.entry.Peak = max(s.entry.Peak, rss.Peak())
	return s.folder.manifest.write(s.folder.root, ManifestFile)
}

// Finish makes the stage complete.
func (s *Stage) Finish() error {
	if s.Complete() {
		return nil
	}
	if err := s.ledger.Sync(); err != nil {
		return err
	}
	done, err := s.ledger.State()
	if err != nil {
		return err
	}
	running := *s.entry
	s.entry.State, s.entry.Bytes, s.entry.SHA256 = Complete, done.Size, done.SHA256()
	if err := s.Stop(); err != nil {
		s.entry.State, s.entry.Bytes, s.entry.SHA256 = running.State, running.Bytes, running.SHA256
		return err
	}
	return s.folder.manifest.write(s.folder.root, BackupFile)
}

// Stop ends the work on a stage that may be unfinished. After Finish it does nothing.
func (s *Stage) Stop() error {
	if s.ledger == nil {
		return nil
	}
	state, err := s.ledger.State()
	err = errors.Join(err, s.ledger.Close())
	s.state, s.ledger = state, nil
	s.folder.scanned[s.entry.Name] = state // for a Begin that comes later
	return err
}

// Read yields the records of a stage.
func Read[T any](ctx context.Context, s *Stage) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		state, err := s.state, error(nil)
		if s.ledger != nil {
			state, err = s.ledger.State()
		}
		if err != nil {
			yield(zero, err)
			return
		}
		f, err := open(s.folder.root, s.entry.File)
		if err != nil {
			yield(zero, err)
			return
		}
		defer f.Close()
		number := 0
		for body, err := range ledger.Read(ctx, f, state, s.path, remedy(s.folder.dir)) {
			number++
			var v T
			if err == nil {
				if err = strictjson.Unmarshal(body, &v); err != nil {
					err = fmt.Errorf("%s:%d: %w", s.path, number, err)
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// remedy returns the remedy for damage to a stage's file.
func remedy(dir string) string {
	return fmt.Sprintf(`run "retort repair %s", which redoes the records from there on`, dir)
}
