// Package jsonl reads and writes JSON Lines: one JSON value a line. Every error names the file and the line.
package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/internal/textfile"
)

// MaxLine is the longest line in bytes that Read accepts. A longer line means that the file is not JSON Lines.
const MaxLine = 16 << 20

// Read yields the values of r in order, skipping blank lines, each checked by check (which may be nil). The first error
// ends the sequence. Read unpacks r, see package textfile.
func Read[T any](r io.Reader, name string, check func(T) error) iter.Seq2[T, error] {
	return ReadWith(r, name, func(line []byte) (T, error) { return Decode(line, check) })
}

// ReadWith is Read with another decoder of a line.
func ReadWith[T any](r io.Reader, name string, decode func(line []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		text, err := textfile.NewReader(r)
		if err != nil {
			var zero T
			yield(zero, fmt.Errorf("%s:1: %w", name, err))
			return
		}
		defer text.Close()
		for record, err := range ReadRecords(text, name, decode) {
			if !yield(record.Value, err) {
				return
			}
		}
	}
}

// Record is a value and its place in the stream.
type Record[T any] struct {
	Value  T
	Offset int64 // of the line's first byte
}

// ReadRecords is ReadWith with the offset of every value, for a text that is not packed. Decoding the bytes from the
// offset to the end of the line gives the value again.
func ReadRecords[T any](r io.Reader, name string, decode func(line []byte) (T, error)) iter.Seq2[Record[T], error] {
	return func(yield func(Record[T], error) bool) {
		br := bufio.NewReaderSize(r, 64<<10)
		next := int64(0)
		first := true
		for number := 1; ; number++ {
			line, err := readLine(br)
			if err == io.EOF {
				return
			}
			offset := next
			next += int64(len(line)) + 1
			if mark := []byte("\ufeff"); err == nil && number == 1 && bytes.HasPrefix(line, mark) {
				line = line[len(mark):]
				offset += int64(len(mark))
			}
			var v T
			if err == nil {
				if len(bytes.TrimSpace(line)) == 0 {
					continue
				}
				v, err = decode(line)
				if err != nil {
					err = explain(err, line, first)
				}
				first = false
			}
			if err != nil {
				yield(Record[T]{}, fmt.Errorf("%s:%d: %w", name, number, err))
				return
			}
			if !yield(Record[T]{v, offset}, nil) {
				return
			}
		}
	}
}

// ReadFile is Read of a file. It opens the file when the loop starts and closes it when the loop ends.
func ReadFile[T any](path string, check func(T) error) iter.Seq2[T, error] {
	return ReadFileWith(path, func(line []byte) (T, error) { return Decode(line, check) })
}

// ReadFileWith is ReadWith of a file.
func ReadFileWith[T any](path string, decode func(line []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f, err := regular.OpenStream(path)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		defer f.Close()
		ReadWith(f, path, decode)(yield)
	}
}

// Write writes one value a line. An error names the record, counted from 1.
func Write[T any](w io.Writer, values iter.Seq[T]) error {
	bw := bufio.NewWriter(w)
	enc := json.NewEncoder(bw)
	enc.SetEscapeHTML(false)
	number := 0
	for v := range values {
		number++
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("record %d: %w", number, err)
		}
	}
	return bw.Flush()
}

// Decode returns the value of one line, checked by check (which may be nil).
func Decode[T any](line []byte, check func(T) error) (T, error) {
	var v T
	if err := strictjson.Unmarshal(line, &v); err != nil {
		return v, err
	}
	if check == nil {
		return v, nil
	}
	return v, check(v)
}

// explain adds to the error of the first line what format the file seems to have.
func explain(err error, line []byte, first bool) error {
	var mistake *strictjson.Error
	if !errors.As(err, &mistake) {
		return err
	}
	if !utf8.Valid(line) {
		return errors.New("invalid UTF-8: write the file in UTF-8 " +
			"(iconv -f WINDOWS-1252 -t UTF-8 FILE, if it comes from Windows)")
	}
	what := ""
	switch text := bytes.TrimSpace(line); {
	case !first:
	case text[0] == '[':
		what = "is the file a JSON array? JSON Lines has one object a line (jq -c '.[]' FILE)"
	case text[0] == '{' && mistake.Syntax && int(mistake.Offset) >= len(bytes.TrimRight(line, " \t\r\n")):
		what = "does a value go over several lines? JSON Lines has one whole object a line (jq -c . FILE)"
	case text[0] == '<':
		what = "is the file HTML or XML? JSON Lines has one object a line"
	case text[0] == '{':
	case bytes.Contains(text, []byte("\t")):
		what = "is the file TSV? JSON Lines has one object a line, such as " + sample
	case bytes.Contains(text, []byte(",")), bytes.Contains(text, []byte(";")):
		what = "is the file CSV? JSON Lines has one object a line, such as " + sample
	default:
		what = "is the file JSON Lines? JSON Lines has one object a line, such as " + sample
	}
	if what == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, what)
}

const sample = `{"_id": "7", "title": "Kettles", "text": "Descale with vinegar."}`

// readLine returns the next line without its end, or io.EOF when there is none.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if len(bytes.TrimSuffix(line, []byte("\n"))) > MaxLine {
			return nil, fmt.Errorf("line longer than %d bytes: is the file JSON Lines?", MaxLine)
		}
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}
