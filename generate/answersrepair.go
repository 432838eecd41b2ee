package generate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/regular"
)

// CheckAnswers reads a file of answers, if there is one, and changes nothing. Any record that is not as it was written
// is ErrAnswersCorrupt, also one at the end that a kill can have left unfinished.
func CheckAnswers(ctx context.Context, path string) error {
	f, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s, err := salvageAnswers(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if s.dropped > 0 {
		return fmt.Errorf("%s: %w: %d of %d lines are not as they were written, the first is line %d",
			path, ErrAnswersCorrupt, s.dropped, s.dropped+len(s.bodies), s.first)
	}
	return nil
}

// AnswersRepair says what RepairAnswers did.
type AnswersRepair struct{ Kept, Lost int } // answers

// RepairAnswers writes a file of answers anew with all records whose checksums fit: answers that are lost will be asked
// for again. A file that is whole is left alone, with a nil result, and one that is open elsewhere is ErrAnswersLocked.
func RepairAnswers(ctx context.Context, path string) (*AnswersRepair, error) {
	f, err := regular.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := filelock.Lock(f); errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrAnswersLocked, err)
	} else if err != nil {
		return nil, err
	}
	s, err := salvageAnswers(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.dropped == 0 {
		return nil, nil
	}
	return &AnswersRepair{len(s.bodies), s.dropped}, atomicfile.Write(path, func(w io.Writer) error {
		bw := bufio.NewWriter(w)
		for n, body := range s.bodies {
			line, err := jsonl.Seal(n, json.RawMessage(body))
			if err != nil {
				return err
			}
			bw.Write(line)
		}
		return bw.Flush()
	})
}

// salvagedAnswers is what is good of a file of answers.
type salvagedAnswers struct {
	bodies  [][]byte // of good records, in their order, without checksums
	dropped int      // lines
	first   int      // of those, from 1
}

// salvageAnswers reads on behind bad lines. A bit that makes a line's end or takes one moves the numbers of those
// behind by one.
func salvageAnswers(ctx context.Context, r io.Reader) (*salvagedAnswers, error) {
	s := &salvagedAnswers{}
	br := bufio.NewReaderSize(r, 1<<20)
	moved := 0
	for number := 0; ; number++ {
		if number%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line, err := br.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(line) == 0 {
			return s, nil
		}
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		found := false
		for _, by := range []int{0, 1, -1} {
			_, whole := keyOfLine(number+moved+by, text)
			if !whole || !ended {
				continue
			}
			body, _ := jsonl.Unseal(number+moved+by, text)
			s.bodies, moved, found = append(s.bodies, body), moved+by, true
			break
		}
		if !found {
			if s.dropped++; s.dropped == 1 {
				s.first = number + 1
			}
		}
	}
}
