package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Errors of ledgers.
var (
	ErrInUse   = errors.New("in use")
	ErrDamaged = errors.New("damaged")
)

// maxTail is the longest unfinished record in bytes: no record is longer, and so little can be computed again. A longer
// run of bad bytes is damage, which must not be cut off in silence.
const maxTail = 16 << 20

// BadChecksum is the reason of damage that a checksum shows.
const BadChecksum = "checksum does not match"

// DamagedError is an ErrDamaged: a ledger holds bytes that no kill can have left.
type DamagedError struct {
	Path   string
	Line   int   // from 1
	Offset int64 // of the line's first byte
	Reason string
	Remedy string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s:%d: record at byte offset %d: %s: %s", e.Path, e.Line, e.Offset, e.Reason, e.Remedy)
}

// Is reports whether the target is ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

func corrupt(path string, number int, offset int64, reason string) error {
	remedy := fmt.Sprintf(`run "retort repair %s", which keeps all other records`, path)
	return &DamagedError{Path: path, Line: number + 1, Offset: offset, Reason: reason, Remedy: remedy}
}

// Contents describes a scanned file.
type Contents struct {
	State       // the good records from the start
	Total int64 // bytes of the file
	Rest  int   // lines after the good records, finished or not
}

// Whole reports whether the file holds nothing but good records.
func (c Contents) Whole() bool { return c.Size == c.Total }

// Torn reports whether a kill can have left the bytes after the good records.
func (c Contents) Torn() bool { return c.Rest <= 1 && c.Total-c.Size <= maxTail }

// Scan reads a file to its end. It calls each, unless that is nil, with the JSON of every good record up to the first
// bad one; an error of each ends the scan.
func Scan(ctx context.Context, r io.Reader, each func(Place, []byte) error) (Contents, error) {
	var c Contents
	for l, err := range lines(ctx, r) {
		if err != nil {
			return Contents{}, err
		}
		c.Total += l.size
		body, ok := []byte(nil), false
		if c.Rest == 0 && l.ended {
			body, ok = Unseal(c.Count, l.text)
		}
		if !ok {
			c.Rest++
			continue
		}
		if each != nil {
			if err := each(Place{c.Count, c.Size, len(l.text)}, body); err != nil {
				return c, err
			}
		}
		c.add(append(l.text, '\n'))
	}
	return c, nil
}

// Read yields the JSON of the records of a file that held state when it was scanned or written. A record that has
// changed since is a *DamagedError with path and remedy.
func Read(ctx context.Context, r io.Reader, state State, path, remedy string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		left := false
		c, err := Scan(ctx, io.LimitReader(r, state.Size), func(_ Place, body []byte) error {
			if left = !yield(body, nil); left {
				return errLeft
			}
			return nil
		})
		switch {
		case left:
		case err != nil:
			yield(nil, err)
		case c.Count < state.Count:
			yield(nil, &DamagedError{path, c.Count + 1, c.Size, BadChecksum, remedy})
		}
	}
}

var errLeft = errors.New("the loop was left")

// line is a line of a file.
type line struct {
	text  []byte // without its end; nil where it is longer than any record
	size  int64  // with its end
	ended bool
}

// lines yields the lines of a file. It holds at most maxTail bytes of a line.
func lines(ctx context.Context, r io.Reader) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		br := bufio.NewReaderSize(r, 1<<20)
		for {
			l, err := readLine(ctx, br)
			if err == io.EOF && l.size == 0 {
				return
			}
			if err == io.EOF {
				err = nil
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func readLine(ctx context.Context, br *bufio.Reader) (line, error) {
	var l line
	for long := false; ; {
		if err := ctx.Err(); err != nil {
			return line{}, err
		}
		part, err := br.ReadSlice('\n')
		l.size += int64(len(part))
		long = long || l.size > maxTail
		if long {
			l.text = nil
		} else {
			l.text = append(l.text, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if l.ended = err == nil; l.ended && !long {
			l.text = bytes.TrimSuffix(l.text, []byte("\n"))
		}
		return l, err
	}
}
