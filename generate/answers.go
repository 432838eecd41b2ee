package generate

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/regular"
)

// Errors of OpenAnswers.
var (
	ErrAnswersLocked  = errors.New("the answers are in use")
	ErrAnswersCorrupt = errors.New("the answers are damaged")
)

// Answers is a file of what language models have answered, on which Recorded draws: JSON Lines, each with the answer, its key
// and a checksum, appended as the answers come. What is in it survives the end of the process, however it ends. It is safe for
// concurrent use; one process at a time can have it open.
type Answers struct {
	path string

	mu     sync.RWMutex
	file   *os.File // nil once closed
	size   int64
	places map[answerKey]place
	reused int
}

// place is where an answer stands in the file.
type place struct {
	number int // from 0
	offset int64
	length int // without the line's end
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

// OpenAnswers opens the file, which it makes where there is none. A record that a kill or power cut left unfinished at the end
// is cut off and reported to log (nil: slog.Default()). Other damage is ErrAnswersCorrupt and names the line. A file that is
// open elsewhere is ErrAnswersLocked.
func OpenAnswers(ctx context.Context, path string, log *slog.Logger) (*Answers, error) {
	f, err := regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the answers: %w", err)
	}
	a := &Answers{path: path, file: f, places: map[answerKey]place{}}
	if log == nil {
		log = slog.Default()
	}
	if err := a.open(ctx, log); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

func (a *Answers) open(ctx context.Context, log *slog.Logger) error {
	if err := filelock.Lock(a.file); errors.Is(err, filelock.ErrLocked) {
		return fmt.Errorf("%w: %w", ErrAnswersLocked, err)
	} else if err != nil {
		return err
	}
	rest, err := a.scan(ctx)
	if err != nil || rest == 0 {
		return err
	}
	log.Warn("answers: cut off what was left unfinished at the end of the file",
		"file", a.path, "line", len(a.places)+1, "offset", a.size, "bytes", rest)
	if err := a.file.Truncate(a.size); err != nil {
		return fmt.Errorf("repair the answers: %w", err)
	}
	return nil
}

// scan finds the answers and returns how many bytes stand behind the last good one.
func (a *Answers) scan(ctx context.Context) (rest int64, err error) {
	const maxTail = 1 << 20 // more than any record
	br := bufio.NewReaderSize(a.file, 1<<20)
	for number := 0; ; number++ {
		if number%1024 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		line, err := br.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if len(line) == 0 {
			return 0, nil
		}
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		if key, ok := keyOfLine(number, text); ok && ended {
			a.places[key] = place{number, a.size, len(text)}
			a.size += int64(len(line))
			continue
		}
		_, err = br.Peek(1)
		if last := errors.Is(err, io.EOF); last && len(line) <= maxTail && canBeTorn(text) {
			return int64(len(line)), nil
		}
		return 0, fmt.Errorf("line %d, at byte %d: the checksum does not match: %w; delete the file to ask again, "+
			"or cut it to %[2]d bytes to keep what stands before", number+1, a.size, ErrAnswersCorrupt)
	}
}

// keyOfLine returns the key of a good record.
func keyOfLine(number int, line []byte) (answerKey, bool) {
	r, err := readAnswer(number, line)
	if err != nil {
		return answerKey{}, false
	}
	key, err := hex.DecodeString(r.Key)
	if err != nil || len(key) != len(answerKey{}) {
		return answerKey{}, false
	}
	return answerKey(key), true
}

var errNoAnswerRecord = errors.New("no record of an answer")

func readAnswer(number int, line []byte) (recordedAnswer, error) {
	body, ok := jsonl.Unseal(number, line)
	if !ok {
		return recordedAnswer{}, errNoAnswerRecord
	}
	return jsonl.Decode[recordedAnswer](body, nil)
}

// canBeTorn says that a bad line is the beginning of a record, followed or replaced by the zeros that a power cut leaves, and
// not another file's.
func canBeTorn(line []byte) bool {
	line = bytes.TrimRight(line, "\x00")
	begin := []byte(`{"key":"`)
	n := min(len(line), len(begin))
	return bytes.Equal(line[:n], begin[:n])
}

// Len returns the number of answers.
func (a *Answers) Len() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.places)
}

// Reused returns how many requests were answered from the file since it was opened.
func (a *Answers) Reused() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.reused
}

// Close syncs the file to disk, closes it and frees the lock. Closing twice is harmless.
func (a *Answers) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	err := errors.Join(a.file.Sync(), a.file.Close())
	a.file = nil
	if err != nil {
		return fmt.Errorf("close the answers: %w", err)
	}
	return nil
}

// get returns the answer of that key, where there is one.
func (a *Answers) get(key answerKey) (Completion, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.places[key]
	if !ok {
		return Completion{}, false, nil
	}
	if a.file == nil {
		return Completion{}, false, a.errClosed()
	}
	line := make([]byte, at.length)
	if _, err := a.file.ReadAt(line, at.offset); err != nil {
		return Completion{}, false, fmt.Errorf("read an answer: %w", err)
	}
	r, err := readAnswer(at.number, line)
	if err != nil {
		return Completion{}, false, fmt.Errorf("%s: line %d has changed since it was opened: %w", a.path, at.number+1, ErrAnswersCorrupt)
	}
	a.reused++
	return r.Completion, true, nil
}

// put appends the answer, unless there is one of that key.
func (a *Answers) put(key answerKey, r recordedAnswer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return a.errClosed()
	}
	if _, ok := a.places[key]; ok {
		return nil
	}
	r.Key = hex.EncodeToString(key[:])
	number := len(a.places)
	line, err := jsonl.Seal(number, r)
	if err != nil {
		return fmt.Errorf("record an answer: %w", err)
	}
	// Written at an offset of our own: what a failed write left there is written over, or cut off by the next open.
	if _, err := a.file.WriteAt(line, a.size); err != nil {
		return fmt.Errorf("record an answer: %w", errors.Join(err, a.file.Truncate(a.size)))
	}
	a.places[key] = place{number, a.size, len(line) - 1}
	a.size += int64(len(line))
	return nil
}

func (a *Answers) errClosed() error { return fmt.Errorf("%s: the file of answers is closed", a.path) }

// storable returns the completion as the file gives it back.
func storable(c Completion) Completion {
	c.Text = strings.ToValidUTF8(c.Text, "\ufffd")
	return c
}
