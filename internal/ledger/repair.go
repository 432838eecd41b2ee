package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
)

// Check reads the ledger at path, if there is one, and changes nothing. A changed record is an ErrDamaged, and so is an
// unfinished record at the end, which a kill can leave.
func Check(ctx context.Context, path string) error {
	f, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := salvage(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if s.first == 0 {
		return nil
	}
	return fmt.Errorf("%s is %w: %d of %d lines have changed, and line %d is the first that is damaged or out of place",
		path, ErrDamaged, s.dropped, s.dropped+len(s.bodies), s.first)
}

// Repaired says what Repair did.
type Repaired struct {
	Kept, Lost int    // records
	Aside      string // path of the damaged file
}

// Repair rewrites the ledger at path with all records whose checksums match, and keeps the damaged file beside it as
// NAME.damaged. The result is nil, and nothing changes, where the ledger is whole or does not exist. ErrInUse means
// that the ledger is open elsewhere.
func Repair(ctx context.Context, path string) (*Repaired, error) {
	f, err := openLocked(path, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := salvage(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.first == 0 {
		return nil, nil
	}
	r := &Repaired{len(s.bodies), s.dropped, path + ".damaged"}
	return r, atomicfile.Rotate(path, filepath.Clean(r.Aside), s.write)
}

// salvaged holds the good records of a ledger.
type salvaged struct {
	bodies  [][]byte // JSON of the good records, in their order
	dropped int      // lines
	first   int      // first line that was dropped or is out of place, from 1; 0 if the ledger is whole
}

// salvage reads on after bad lines. A flipped bit that makes or removes the end of a line shifts the numbers of all
// later records by one.
func salvage(ctx context.Context, r io.Reader) (*salvaged, error) {
	s := &salvaged{}
	number, moved := -1, 0
	for l, err := range lines(ctx, r) {
		if err != nil {
			return nil, err
		}
		number++
		found := false
		for _, by := range []int{0, 1, -1} {
			body, ok := Unseal(number+moved+by, l.text)
			if ok && l.ended {
				s.bodies, moved, found = append(s.bodies, body), moved+by, true
				break
			}
		}
		if !found {
			s.dropped++
		}
		if s.first == 0 && (!found || moved != 0) {
			s.first = number + 1
		}
	}
	return s, nil
}

func (s *salvaged) write(w io.Writer) error {
	bw := bufio.NewWriter(w)
	for n, body := range s.bodies {
		line, err := Seal(n, json.RawMessage(body))
		if err != nil {
			return err
		}
		bw.Write(line) // Flush returns its error
	}
	return bw.Flush()
}
