package teacher

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/regular"
)

// StoreFile is the name of the file that a store keeps in its folder.
const StoreFile = "scores.retort"

// ErrLocked says that a store is open already, in this process or another.
var ErrLocked = errors.New("the score cache is in use")

// ErrCorrupt says that a store's file holds something that no kill can have left there.
var ErrCorrupt = errors.New("the score cache is damaged")

// Store keeps scores in one append-only file of a folder. A score is in the file before the call that computed it returns,
// so a killed process loses none that it was told of; Close makes them survive a power cut too. It holds an index of about
// 50 bytes a score in memory and is safe for concurrent use.
//
// The file is a header, "retort scores 1\n", and records of 28 bytes: the first 16 bytes of
// SHA-256(fingerprint, query, content), the score as a little-endian IEEE 754 float64, and the CRC-32C of the 24 bytes before.
type Store struct {
	path string

	mu     sync.RWMutex
	file   *os.File // nil once closed
	size   int64    // of the header and whole records
	scores map[key]float64
}

type record struct {
	key   key
	score float64
}

const (
	storeHeader  = "retort scores 1\n"
	headerPrefix = "retort scores " // before the version
	recordSize   = 16 + 8 + 4
	// maxTail is the most that open cuts off by itself: more than any one write or a few seconds of scores, and little
	// enough to compute again. A longer run of bad records is damage that its owner should hear of.
	maxTail = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// OpenStore opens the store in the folder, which it makes where there is none. What a kill or power cut left unfinished at
// the end of the file is cut off and reported to log (nil: slog.Default()). Damage before the end is ErrCorrupt, with the
// offset. A store that is open elsewhere is ErrLocked.
func OpenStore(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the score cache: %w", err)
	}
	path := filepath.Join(dir, StoreFile)
	f, err := regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the score cache: %w", err)
	}
	s := &Store{path: path, file: f}
	if log == nil {
		log = slog.Default()
	}
	if err := s.open(ctx, log); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, log *slog.Logger) error {
	if err := filelock.Lock(s.file); errors.Is(err, filelock.ErrLocked) {
		return fmt.Errorf("%s: %w: %w", s.path, ErrLocked, err)
	} else if err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.scores, s.size, err = readRecords(ctx, s.file)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if s.size < info.Size() {
		log.Warn("score cache: cut off what was left unfinished at the end of the file",
			"file", s.path, "offset", s.size, "bytes", info.Size()-s.size, "scores", len(s.scores))
		if err := s.file.Truncate(s.size); err != nil {
			return fmt.Errorf("repair the score cache: %w", err)
		}
	}
	if s.size > 0 {
		return nil
	}
	if _, err := s.file.WriteAt([]byte(storeHeader), 0); err != nil {
		return fmt.Errorf("begin the score cache: %w", err)
	}
	s.size = int64(len(storeHeader))
	return nil
}

// Len returns the number of scores.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.scores)
}

// Close syncs the file to disk, closes it and frees the lock. Closing twice is harmless.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Sync(), s.file.Close())
	s.file = nil
	if err != nil {
		return fmt.Errorf("close the score cache: %w", err)
	}
	return nil
}

func (s *Store) get(k key) (float64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	score, ok := s.scores[k]
	return score, ok
}

// put appends the records whose keys are new, in one write.
func (s *Store) put(records []record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return fmt.Errorf("%s: the score cache is closed", s.path)
	}
	fresh := make(map[key]float64, len(records))
	data := make([]byte, 0, len(records)*recordSize)
	for _, r := range records {
		_, stored := s.scores[r.key]
		_, again := fresh[r.key]
		if stored || again {
			continue
		}
		fresh[r.key] = r.score
		data = appendRecord(data, r)
	}
	// Written at an offset of our own: what a failed write left there is written over, or cut off by the next open.
	if _, err := s.file.WriteAt(data, s.size); err != nil {
		return fmt.Errorf("write to the score cache: %w", errors.Join(err, s.file.Truncate(s.size)))
	}
	s.size += int64(len(data))
	for k, score := range fresh {
		s.scores[k] = score
	}
	return nil
}

func appendRecord(data []byte, r record) []byte {
	start := len(data)
	data = append(data, r.key[:]...)
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(r.score))
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data[start:], castagnoli))
}

func parseRecord(data []byte) (record, bool) {
	body, sum := data[:recordSize-4], binary.LittleEndian.Uint32(data[recordSize-4:])
	r := record{key: key(body[:16]), score: math.Float64frombits(binary.LittleEndian.Uint64(body[16:]))}
	return r, crc32.Checksum(body, castagnoli) == sum
}

// readRecords reads a store's file. It returns the scores and the size of what is good: the header and the records up to
// the end, or up to the first bad record when no good one follows it.
// A bad record before a good one is ErrCorrupt, and so is a long run of them.
func readRecords(ctx context.Context, r io.Reader) (map[key]float64, int64, error) {
	scores := map[key]float64{}
	br := bufio.NewReaderSize(r, 1<<20)
	if ok, err := readHeader(br); err != nil || !ok {
		return scores, 0, err
	}
	good := int64(len(storeHeader))
	bad := int64(-1) // offset of the first bad record
	var data [recordSize]byte
	for offset := good; ; offset += recordSize {
		if offset%(1<<16) < recordSize && ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		_, err := io.ReadFull(br, data[:])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return scores, good, nil
		}
		if err != nil {
			return nil, 0, err
		}
		rec, ok := parseRecord(data[:])
		switch {
		case bad >= 0 && (ok || offset-bad >= maxTail):
			return nil, 0, fmt.Errorf("record at offset %d: checksum does not match: %w; "+
				"delete the file to start an empty cache, or cut it to %d bytes to keep what stands before", bad, ErrCorrupt, bad)
		case ok:
			scores[rec.key] = rec.score
			good = offset + recordSize
		case bad < 0:
			bad = offset
		}
	}
}

// readHeader returns false where the file is empty or its header unfinished.
func readHeader(br *bufio.Reader) (bool, error) {
	header := make([]byte, len(storeHeader))
	n, err := io.ReadFull(br, header)
	header = header[:n]
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return false, err
	case string(header) == storeHeader:
		return true, nil
	case bytes.HasPrefix([]byte(storeHeader), header):
		return false, nil
	case bytes.HasPrefix(header, []byte(headerPrefix)):
		return false, fmt.Errorf("score cache of another version: it begins with %q, this program writes %q", header, storeHeader)
	default:
		return false, fmt.Errorf("not a score cache: it begins with %q; give another folder or remove the file", header)
	}
}
