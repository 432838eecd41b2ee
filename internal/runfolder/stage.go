package runfolder

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"time"

	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/strictjson"
)

// Spec describes a stage of the layout. Its file is Name.jsonl.
type Spec struct {
	Name     string
	Settings map[string]string // all that decides its output besides the stages that it reads
	Inputs   []string          // stages that it reads; they must be complete
}

// Stage is a stage that has begun. What it appends is in the file when Append returns, and so survives a kill; a power
// cut can take the last seconds.
type Stage struct {
	folder *Folder
	entry  *Entry
	path   string
	file   file // nil where the stage is complete or was stopped
	count  int
	size   int64
	sum    hash.Hash
	broken bool      // a write has failed
	since  time.Time // when the seconds were counted last
	synced time.Time
}

// syncEvery is how often the file is synced and the manifest written while records are appended.
const syncEvery = 2 * time.Second

// Begin goes on with a stage where the folder has it with the same key, and starts it anew otherwise, which it reports where
// something was there. A complete stage can only be read.
func (f *Folder) Begin(spec Spec) (*Stage, error) {
	if _, ok := f.layout.Stages[spec.Name]; !ok {
		return nil, fmt.Errorf("run folder: %q is no stage of the layout", spec.Name)
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
		// A drop that was interrupted has left files behind.
		err = f.removeFiles(append(f.layout.owned(spec.Name), stageFile(spec.Name))...)
	}
	if err != nil {
		return nil, fmt.Errorf("run folder: stage %s: %w", spec.Name, err)
	}
	return f.start(&Entry{
		Name: spec.Name, State: Running, Key: key, Settings: spec.Settings, Inputs: inputs, File: stageFile(spec.Name),
	})
}

// start makes the file before the manifest knows of it, so that a stage in the manifest has a file of its own.
func (f *Folder) start(e *Entry) (*Stage, error) {
	s := &Stage{folder: f, entry: e, path: f.Path(e.File), sum: sha256.New(), since: f.now(), synced: f.now()}
	var err error
	if s.file, err = f.create(e.File); err != nil {
		return nil, fmt.Errorf("run folder: %w", f.at(err))
	}
	if err := s.file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("run folder: %w", err), s.file.Close())
	}
	f.manifest.Stages = append(f.manifest.Stages, e)
	if err := f.save(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

func (f *Folder) resume(e *Entry) (*Stage, error) {
	found := f.scanned[e.Name]
	s := &Stage{folder: f, entry: e, path: f.Path(e.File), count: found.count, size: found.size, since: f.now(), synced: f.now()}
	if e.State == Complete {
		return s, nil
	}
	var err error
	if s.sum, err = cloneHash(found.sum); err != nil {
		return nil, err
	}
	if s.file, err = f.create(e.File); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return s, nil
}

// Complete says that nothing is left to do.
func (s *Stage) Complete() bool { return s.entry.State == Complete }

// Count returns the number of records.
func (s *Stage) Count() int { return s.count }

// Path returns the path of the stage's file.
func (s *Stage) Path() string { return s.path }

// Append writes a record, which must be an object in JSON. After an error the file holds what it held before.
func (s *Stage) Append(record any) error {
	line, err := jsonl.Seal(s.count, record)
	if err != nil {
		return fmt.Errorf("%s:%d: %w", s.path, s.count+1, err)
	}
	// Written at an offset of our own: what a failed write left there is written over, or cut off by the next Open.
	if _, err := s.file.WriteAt(line, s.size); err != nil {
		return errors.Join(s.failed(err), s.file.Truncate(s.size))
	}
	s.sum.Write(line)
	s.size += int64(len(line))
	s.count++
	if s.folder.now().Sub(s.synced) < syncEvery {
		return nil
	}
	return s.sync()
}

func (s *Stage) failed(err error) error {
	s.broken = true
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err // the path is said already
	}
	return fmt.Errorf("write %s: %w (its %d records are safe: once the cause is gone, the same command goes on from there)",
		filepath.Clean(s.path), err, s.count)
}

func (s *Stage) sync() error {
	if err := s.file.Sync(); err != nil {
		return s.failed(err)
	}
	now := s.folder.now()
	s.synced = now
	s.entry.Count = s.count
	s.entry.Seconds += max(0, now.Sub(s.since).Seconds()) // a clock that is set back takes nothing away
	s.since = now
	s.entry.Peak = max(s.entry.Peak, rss.Peak())
	return s.folder.manifest.write(s.folder.root, ManifestFile)
}

// Finish makes the stage complete.
func (s *Stage) Finish() error {
	if s.Complete() {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return s.failed(err)
	}
	running := *s.entry
	s.entry.State, s.entry.Bytes, s.entry.SHA256 = Complete, s.size, hexSum(s.sum)
	if err := s.sync(); err != nil {
		s.entry.State, s.entry.Bytes, s.entry.SHA256 = running.State, running.Bytes, running.SHA256
		return err
	}
	if err := s.folder.manifest.write(s.folder.root, BackupFile); err != nil {
		return err
	}
	s.keep()
	file := s.file
	s.file = nil
	return file.Close()
}

// Stop ends the work on a stage that may be unfinished. After Finish it does nothing.
func (s *Stage) Stop() error {
	if s.file == nil {
		return nil
	}
	var err error
	if !s.broken { // or what went wrong would be said twice
		err = s.sync()
	}
	s.keep()
	err = errors.Join(err, s.file.Close())
	s.file = nil
	return err
}

// keep remembers what the file holds, for a Begin that comes later.
func (s *Stage) keep() {
	s.folder.scanned[s.entry.Name] = scanned{count: s.count, size: s.size, total: s.size, sum: s.sum}
}

// Read yields the records of a stage.
func Read[T any](ctx context.Context, s *Stage) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		f, err := open(s.folder.root, s.entry.File)
		if err != nil {
			yield(zero, err)
			return
		}
		defer f.Close()
		br := bufio.NewReaderSize(io.LimitReader(f, s.size), 1<<20)
		var offset int64
		for n := range s.count {
			v, length, err := readRecord[T](br, n)
			if errors.Is(err, errChecksum) {
				err = &CorruptError{Dir: s.folder.dir, Path: s.path, Line: n + 1, Offset: offset, Reason: err.Error()}
			} else if err != nil {
				err = fmt.Errorf("%s:%d: %w", s.path, n+1, err)
			}
			offset += int64(length)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

var errChecksum = errors.New("checksum does not match")

func readRecord[T any](br *bufio.Reader, n int) (v T, length int, err error) {
	line, err := br.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return v, 0, err
	}
	body, ok := jsonl.Unseal(n, bytes.TrimSuffix(line, []byte("\n")))
	if !ok {
		return v, 0, errChecksum
	}
	return v, len(line), strictjson.Unmarshal(body, &v)
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func cloneHash(h hash.Hash) (hash.Hash, error) {
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil, err
	}
	clone := sha256.New()
	return clone, clone.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}
