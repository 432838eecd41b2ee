package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/regular"
)

// Open opens or creates the ledger at path, and locks it until it is closed or the process ends. It calls each with
// every record. An error of each is damage.
//
// begin is the beginning of the JSON of every record: Open refuses a file whose only line begins otherwise, since the
// file belongs to another program. Open cuts off an unfinished record at the end, which a kill or power cut leaves, and
// warns log (nil: slog.Default()). Other damage is a *DamagedError; ErrInUse means that the ledger is open elsewhere.
func Open(ctx context.Context, path, begin string, each func(Place, []byte) error, log *slog.Logger) (*Ledger, error) {
	f, err := openLocked(path, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	l, err := open(ctx, f, path, begin, each, log)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func openLocked(path string, flag int) (*os.File, error) {
	f, err := regular.OpenFile(path, os.O_RDWR|flag, 0o644)
	if err != nil {
		return nil, err
	}
	if err = filelock.Lock(f); err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("%s is %w: %w", path, ErrInUse, err)
	}
	return nil, err
}

func open(ctx context.Context, f *os.File, path, begin string, each func(Place, []byte) error, log *slog.Logger,
) (*Ledger, error) {
	var place Place
	var foreign error // from each
	c, err := Scan(ctx, f, func(at Place, body []byte) error {
		place, foreign = at, each(at, body)
		return foreign
	})
	if foreign != nil {
		return nil, notOurs(path, place, foreign.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !c.Whole() {
		if err := cut(f, path, begin, c, log); err != nil {
			return nil, err
		}
	}
	return Continue(f, path, c.State, Options{})
}

// cut removes an unfinished record.
func cut(f *os.File, path, begin string, c Contents, log *slog.Logger) error {
	if !c.Torn() {
		return corrupt(path, c.Count, c.Size, BadChecksum)
	}
	if c.Count == 0 {
		own, err := beginsLike(f, begin)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !own {
			return notOurs(path, Place{}, "it does not begin with "+begin)
		}
	}
	if log == nil {
		log = slog.Default()
	}
	log.Warn("cut off an unfinished record at the end of the file",
		"file", path, "line", c.Count+1, "offset", c.Size, "bytes", c.Total-c.Size)
	return f.Truncate(c.Size)
}

// notOurs is the error for a file that another program, or another part of this program, has written.
func notOurs(path string, at Place, reason string) error {
	return &DamagedError{
		Path: path, Line: at.number + 1, Offset: at.offset, Reason: reason,
		Remedy: "give the path of another file, or remove this file",
	}
}

// beginsLike reports whether the file, up to the zeros that a power cut leaves, is a prefix of a record.
func beginsLike(f *os.File, begin string) (bool, error) {
	head := make([]byte, len(begin))
	n, err := f.ReadAt(head, 0)
	if n == 0 && err != nil {
		return false, err
	}
	head = bytes.TrimRight(head[:n], "\x00")
	return bytes.HasPrefix([]byte(begin), head), nil
}
