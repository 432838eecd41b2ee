package teacher

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"

	"github.com/retort-ir/retort/internal/ledger"
)

// Store keeps scores in one append-only file of JSON Lines, each with a score, its key and a checksum. It writes a
// score before the call that computed the score returns, so scores survive a kill of the process; a power failure can
// lose the last two seconds. The index of all scores is in memory. It is safe for concurrent use. Only one process at a
// time can have the file open.
type Store struct {
	path string

	mu     sync.RWMutex
	ledger *ledger.Ledger // nil once closed
	scores map[key]float64
}

// record is a score and its key. In the file it is {"key":"00112233445566778899aabbccddeeff","score":0.5}, with null
// for a score that is missing (NaN).
type record struct {
	key   key
	score float64
}

const (
	recordBegin  = `{"key":"`
	recordMiddle = `","score":`
)

// MarshalJSON implements json.Marshaler.
func (r record) MarshalJSON() ([]byte, error) {
	text := append(hex.AppendEncode([]byte(recordBegin), r.key[:]), recordMiddle...)
	if math.IsNaN(r.score) {
		return append(text, "null}"...), nil
	}
	return append(strconv.AppendFloat(text, r.score, 'g', -1, 64), '}'), nil
}

var errNoRecord = errors.New("it is not a score")

// parseRecord reads what MarshalJSON writes and nothing else: opening a store of millions of scores is a matter of
// seconds for a JSON decoder.
func parseRecord(body []byte) (r record, err error) {
	text, ok := bytes.CutPrefix(body, []byte(recordBegin))
	if !ok || len(text) < hex.EncodedLen(len(r.key)) {
		return record{}, errNoRecord
	}
	if _, err := hex.Decode(r.key[:], text[:hex.EncodedLen(len(r.key))]); err != nil {
		return record{}, errNoRecord
	}
	text, ok = bytes.CutPrefix(text[hex.EncodedLen(len(r.key)):], []byte(recordMiddle))
	text, closed := bytes.CutSuffix(text, []byte("}"))
	if !ok || !closed {
		return record{}, errNoRecord
	}
	if string(text) == "null" {
		r.score = math.NaN()
		return r, nil
	}
	r.score, err = strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsNaN(r.score) || math.IsInf(r.score, 0) {
		return record{}, errNoRecord
	}
	return r, nil
}

// OpenStore opens the store at path and creates it if it does not exist. It removes an incomplete record at the end of
// the file, which a kill can leave, and logs a warning to log (nil: slog.Default()). Other damage is retort.ErrDamaged,
// with the line. If the store is open elsewhere, the error is retort.ErrInUse.
func OpenStore(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	s := &Store{path: path, scores: map[key]float64{}}
	var err error
	s.ledger, err = ledger.Open(ctx, path, recordBegin, s.add, log)
	if err != nil {
		return nil, fmt.Errorf("open the scores: %w", err)
	}
	return s, nil
}

func (s *Store) add(_ ledger.Place, body []byte) error {
	r, err := parseRecord(body)
	if err == nil {
		s.scores[r.key] = r.score
	}
	return err
}

// Len returns the number of scores.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.scores)
}

// Close syncs the file to disk, closes it and frees the lock. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil {
		return nil
	}
	err := s.ledger.Close()
	s.ledger = nil
	if err != nil {
		return fmt.Errorf("close the scores: %w", err)
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
	if s.ledger == nil {
		return fmt.Errorf("%s: the store of scores is closed", s.path)
	}
	fresh := make(map[key]float64, len(records))
	lines := make([]any, 0, len(records))
	for _, r := range records {
		_, stored := s.scores[r.key]
		_, again := fresh[r.key]
		if stored || again {
			continue
		}
		fresh[r.key] = r.score
		lines = append(lines, r)
	}
	if _, err := s.ledger.Append(lines...); err != nil {
		return fmt.Errorf("store scores: %w", err)
	}
	for k, score := range fresh {
		s.scores[k] = score
	}
	return nil
}
