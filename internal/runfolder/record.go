package runfolder

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/retort-ir/retort/internal/jsonl"
)

// maxTail is the most that Open cuts off the end of a file by itself: more than any one record, and little enough to
// compute again. A longer run of bad bytes is damage that its owner should hear of.
const maxTail = 16 << 20

// scanned is what a stage's file holds.
type scanned struct {
	count int       // good records from the start
	size  int64     // their bytes
	sum   hash.Hash // SHA-256 of those
	total int64     // bytes of the file
	// rest counts the lines after the good records, the last one whether it is finished or not.
	rest int
	// torn says that what follows can be what a kill leaves behind.
	torn bool
}

// whole says that the file holds nothing but good records.
func (s scanned) whole() bool { return s.size == s.total }

// keep returns what can be kept of a file: nothing of one that is good in itself, but not the one that a complete stage has
// written.
func (s scanned) keep(e *Entry) scanned {
	if e.State == Complete && s.whole() && s.count >= e.Count {
		return scanned{sum: sha256.New(), total: s.total, rest: s.count}
	}
	return s
}

// scanFile scans a file of a run.
func scanFile(ctx context.Context, root *os.Root, name string) (scanned, error) {
	f, err := open(root, name)
	if err != nil {
		return scanned{}, err
	}
	defer f.Close()
	return scan(ctx, f)
}

// scan reads a file to its end.
func scan(ctx context.Context, r io.Reader) (scanned, error) {
	s := scanned{sum: sha256.New(), torn: true}
	br := bufio.NewReaderSize(r, 1<<20)
	for bad := false; ; {
		if err := ctx.Err(); err != nil {
			return scanned{}, err
		}
		line, err := br.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return scanned{}, err
		}
		s.total += int64(len(line))
		if len(line) == 0 {
			break
		}
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		if !bad && ended {
			if _, ok := jsonl.Unseal(s.count, text); ok {
				s.count++
				s.size += int64(len(line))
				s.sum.Write(line)
				continue
			}
		}
		bad = true
		s.rest++
	}
	s.torn = s.rest <= 1 && s.total-s.size <= maxTail
	return s, nil
}

// CorruptError says that a stage's file holds something that no kill can have left there.
type CorruptError struct {
	Dir    string // of the run
	Path   string // of the file
	Line   int    // from 1
	Offset int64  // of the line's first byte
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf(`%s:%d: record at byte offset %d: %s: run "retort repair %s", which redoes the records from there on`,
		e.Path, e.Line, e.Offset, e.Reason, e.Dir)
}
