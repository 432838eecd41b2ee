package eval

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/textfile"
)

// maxLine guards against files without lines.
const maxLine = 1 << 20

// readLines calls parse with every line of r that is not blank, without its end (LF or CRLF). It decompresses gzip and
// zstd. Errors name the stream and the line.
func readLines(r io.Reader, name string, parse func(line []byte) error) error {
	text, err := textfile.NewReader(r)
	if err != nil {
		return fmt.Errorf("%s:1: %w", name, err)
	}
	defer text.Close()
	sc := bufio.NewScanner(text)
	sc.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 1
	for ; sc.Scan(); number++ {
		line := sc.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if !utf8.Valid(line) {
			return fmt.Errorf("%s:%d: invalid UTF-8", name, number)
		}
		if len(bytes.Trim(line, blanks)) == 0 {
			continue
		}
		if err := parse(line); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: line longer than %d bytes", name, number, maxLine)
	}
	if sc.Err() != nil {
		return fmt.Errorf("%s:%d: %w", name, number, sc.Err())
	}
	return nil
}

// readFile calls read with the file at path.
func readFile[T any](path string, read func(io.Reader, string) (T, error)) (T, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		var zero T
		return zero, err
	}
	defer f.Close()
	return read(f, path)
}

// blanks separate the columns of TREC's files. Other white space of Unicode may be in an id.
const blanks = " \t\v\f\r"

// columns appends the columns of a line, separated by blanks, to dst[:0].
func columns(dst [][]byte, line []byte) [][]byte {
	dst = dst[:0]
	for len(line) > 0 {
		line = bytes.TrimLeft(line, blanks)
		end := bytes.IndexAny(line, blanks)
		if end < 0 {
			end = len(line)
		}
		if end > 0 {
			dst = append(dst, line[:end])
		}
		line = line[end:]
	}
	return dst
}

// checkID returns an error if an id cannot be in a file whose columns are separated by the separators.
func checkID(what, id, separators string) error {
	switch {
	case id == "":
		return fmt.Errorf("empty %s", what)
	case !utf8.ValidString(id):
		return fmt.Errorf("%s %q is invalid UTF-8", what, id)
	case strings.ContainsAny(id, separators):
		return fmt.Errorf("%s %q contains white space, which separates columns in this format", what, id)
	}
	return nil
}
