package ledger

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// SyncEvery is how often a ledger is synced to disk while records are appended. A power cut can lose the records
// appended since the last sync; a kill loses none.
const SyncEvery = 2 * time.Second

// File is the file of a ledger, such as an *os.File.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

// State describes the records of a ledger up to some record.
type State struct {
	Count int   // records
	Size  int64 // their bytes
	sum   hash.Hash
}

// SHA256 returns the checksum of the bytes in hexadecimal.
func (s State) SHA256() string {
	if s.sum == nil {
		s.sum = sha256.New()
	}
	return hex.EncodeToString(s.sum.Sum(nil))
}

func (s *State) add(line []byte) {
	if s.sum == nil {
		s.sum = sha256.New()
	}
	s.sum.Write(line)
	s.Count++
	s.Size += int64(len(line))
}

// clone returns a copy that does not change when records are added to s.
func (s State) clone() (State, error) {
	own := State{s.Count, s.Size, sha256.New()}
	if s.sum == nil {
		return own, nil
	}
	state, err := s.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return State{}, err
	}
	return own, own.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

// Ledger appends to a file. It is not safe for concurrent use, but Get may be called by several goroutines at a time.
type Ledger struct {
	path   string
	file   File
	state  State
	now    func() time.Time
	synced time.Time
	after  func() error // called after each sync
	broken bool         // a write has failed
}

// Options are what a Ledger needs besides its file. The zero value works.
type Options struct {
	Now    func() time.Time // nil: time.Now
	Synced func() error     // called after each sync, for a caller that keeps a record of it
}

// Continue returns a ledger that appends to the file after the records of state, and overwrites what follows them. path
// names the file in errors. The ledger owns the file from then on.
func Continue(file File, path string, state State, o Options) (*Ledger, error) {
	state, err := state.clone()
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Ledger{path: path, file: file, state: state, now: o.Now, synced: o.Now(), after: o.Synced}, nil
}

// State returns the state of the ledger. Later appends do not change it.
func (l *Ledger) State() (State, error) { return l.state.clone() }

// Count returns the number of records.
func (l *Ledger) Count() int { return l.state.Count }

// Append writes the records in one piece and returns the place of the last one. Each must be an object in JSON. The
// records are in the file when Append returns. After an error the file holds what it held before.
func (l *Ledger) Append(records ...any) (last Place, err error) {
	var data []byte
	for i, r := range records {
		number := l.state.Count + i
		line, err := Seal(number, r)
		if err != nil {
			return Place{}, fmt.Errorf("%s:%d: %w", l.path, number+1, err)
		}
		last = Place{number, l.state.Size + int64(len(data)), len(line) - 1}
		data = append(data, line...)
	}
	// The ledger keeps the offset itself: a later write overwrites the rest of a failed one, or the next Open cuts the
	// rest off.
	if _, err := l.file.WriteAt(data, l.state.Size); err != nil {
		return Place{}, errors.Join(l.failed(err), l.file.Truncate(l.state.Size))
	}
	count := l.state.Count + len(records)
	l.state.add(data)
	l.state.Count = count
	if l.now().Sub(l.synced) < SyncEvery {
		return last, nil
	}
	return last, l.Sync()
}

// Sync makes the records survive a power cut.
func (l *Ledger) Sync() error {
	if err := l.file.Sync(); err != nil {
		return l.failed(err)
	}
	l.synced, l.broken = l.now(), false
	if l.after == nil {
		return nil
	}
	return l.after()
}

func (l *Ledger) failed(err error) error {
	l.broken = true
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err // the message names the path already
	}
	return fmt.Errorf("write %s: %w (its %d records are safe: "+
		"once the cause is gone, the same command goes on from there)",
		filepath.Clean(l.path), err, l.state.Count)
}

// Close syncs and closes the file. It does not sync after a failed write, since the failure would be reported twice.
func (l *Ledger) Close() error {
	var err error
	if !l.broken {
		err = l.Sync()
	}
	return errors.Join(err, l.file.Close())
}

// Place is where a record is in its ledger.
type Place struct {
	number int   // from 0
	offset int64 // of its line
	length int   // of its line, without the end
}

// Get returns the JSON of the record at a place that Open or Append gave.
func (l *Ledger) Get(at Place) ([]byte, error) {
	line := make([]byte, at.length)
	if _, err := l.file.ReadAt(line, at.offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", l.path, err)
	}
	body, ok := Unseal(at.number, line)
	if !ok {
		return nil, corrupt(l.path, at.number, at.offset, "it has changed since the file was opened")
	}
	return body, nil
}
