package runfolder

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	sumName   = `"crc32c":"`
	sumLength = len(sumName) + 8 + len(`"}`)
	// maxTail is the most that Open cuts off the end of a file by itself: more than any one record, and little enough to
	// compute again. A longer run of bad bytes is damage that its owner should hear of.
	maxTail = 16 << 20
)

// encodeRecord returns the line of record n with its end. The value must be an object in JSON.
func encodeRecord(n int, value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(body) < 2 || body[0] != '{' {
		return nil, fmt.Errorf("%T is not an object in JSON", value)
	}
	sum := checksum(n, body)
	line := body[:len(body)-1]
	if len(line) > 1 {
		line = append(line, ',')
	}
	return fmt.Appendf(line, "%s%08x\"}\n", sumName, sum), nil
}

// decodeRecord returns the JSON of record n without its checksum, and false where the checksum does not fit. line has no
// end of line.
func decodeRecord(n int, line []byte) ([]byte, bool) {
	at := len(line) - sumLength
	if at < 1 || !bytes.HasPrefix(line[at:], []byte(sumName)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return nil, false
	}
	stored, err := hex.DecodeString(string(line[at+len(sumName) : len(line)-2]))
	if err != nil {
		return nil, false
	}
	body := bytes.TrimSuffix(line[:at], []byte(","))
	body = append(bytes.Clone(body), '}')
	return body, binary.BigEndian.Uint32(stored) == checksum(n, body)
}

func checksum(n int, body []byte) uint32 {
	number := binary.LittleEndian.AppendUint64(nil, uint64(n))
	return crc32.Update(crc32.Checksum(number, castagnoli), castagnoli, body)
}

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

// scan reads a file to its end.
func scan(ctx context.Context, path string) (scanned, error) {
	f, err := os.Open(path)
	if err != nil {
		return scanned{}, err
	}
	defer f.Close()
	s := scanned{sum: sha256.New(), torn: true}
	br := bufio.NewReaderSize(f, 1<<20)
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
			if _, ok := decodeRecord(s.count, text); ok {
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
