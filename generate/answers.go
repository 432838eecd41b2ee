package generate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/ledger"
)

// Answers is a file of what language models have answered, which Recorded reads and appends to: JSON Lines, each with
// the answer, its key and a checksum. What is in it survives the end of the process, however it ends; a power cut can
// take the last two seconds. It is safe for concurrent use. One process at a time can have it open.
type Answers struct {
	path string

	mu     sync.Mutex
	ledger *ledger.Ledger // nil once closed
	places map[answerKey]ledger.Place
	reused int
}

// answerKey is the first half of a SHA-256.
type answerKey [16]byte

func keyOf(model string, r Request) answerKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(model), model, r.Key()))
	return answerKey(sum[:16])
}

// recordedAnswer is a record of the file.
type recordedAnswer struct {
	Key    string `json:"key"`              // answerKey in hexadecimal
	Model  string `json:"model"`            // Completer.Model, for whoever reads the file
	Prompt string `json:"prompt,omitempty"` // Prompt.Name, likewise
	Completion
}

// OpenAnswers opens the file, which it creates where there is none. It cuts off a record that a kill or power cut left
// unfinished at the end, and reports that to log (nil: slog.Default()). Other damage is retort.ErrDamaged and names the
// line. A file that is open elsewhere is retort.ErrInUse.
func OpenAnswers(ctx context.Context, path string, log *slog.Logger) (*Answers, error) {
	a := &Answers{path: path, places: map[answerKey]ledger.Place{}}
	var err error
	a.ledger, err = ledger.Open(ctx, path, `{"key":"`, a.add, log)
	if err != nil {
		return nil, fmt.Errorf("open the answers: %w", err)
	}
	return a, nil
}

// add enters the place of a record.
func (a *Answers) add(at ledger.Place, body []byte) error {
	r, err := jsonl.Decode[recordedAnswer](body, nil)
	if err != nil {
		return err
	}
	key, err := hex.DecodeString(r.Key)
	if err != nil || len(key) != len(answerKey{}) || !bytes.HasPrefix(body, fmt.Appendf(nil, `{"key":%q,"model":`,
		r.Key)) {
		return errors.New("it is not an answer")
	}
	a.places[answerKey(key)] = at
	return nil
}

// Len returns the number of answers.
func (a *Answers) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.places)
}

// Reused returns how many requests were answered from the file since it was opened.
func (a *Answers) Reused() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reused
}

// Close syncs the file to disk, closes it and frees the lock. A second Close does nothing.
func (a *Answers) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ledger == nil {
		return nil
	}
	err := a.ledger.Close()
	a.ledger = nil
	if err != nil {
		return fmt.Errorf("close the answers: %w", err)
	}
	return nil
}

var errAnswersClosed = errors.New("the file of answers is closed")

// get returns the answer of that key, where there is one.
func (a *Answers) get(key answerKey) (Completion, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.places[key]
	if !ok {
		return Completion{}, false, nil
	}
	if a.ledger == nil {
		return Completion{}, false, fmt.Errorf("%s: %w", a.path, errAnswersClosed)
	}
	body, err := a.ledger.Get(at)
	if err != nil {
		return Completion{}, false, err
	}
	r, err := jsonl.Decode[recordedAnswer](body, nil)
	if err != nil {
		return Completion{}, false, fmt.Errorf("%s: %w", a.path, err)
	}
	a.reused++
	return r.Completion, true, nil
}

// put appends the answer, unless there is one of that key.
func (a *Answers) put(key answerKey, r recordedAnswer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ledger == nil {
		return fmt.Errorf("%s: %w", a.path, errAnswersClosed)
	}
	if _, ok := a.places[key]; ok {
		return nil
	}
	r.Key = hex.EncodeToString(key[:])
	at, err := a.ledger.Append(r)
	if err != nil {
		return fmt.Errorf("record an answer: %w", err)
	}
	a.places[key] = at
	return nil
}

// storable returns the completion as the file gives it back.
func storable(c Completion) Completion {
	c.Text = strings.ToValidUTF8(c.Text, "\ufffd")
	return c
}
