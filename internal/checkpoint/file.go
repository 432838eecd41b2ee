package checkpoint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

var magic = []byte("retort training 1\n")

var errVersion = errors.New("not a checkpoint of this version of Retort")

type header struct {
	Best  *int            `json:"best,omitempty"` // the step of the best model that the file needs
	State json.RawMessage `json:"state"`
}

// Write writes a file that Open reads: state (nil: none) as JSON, and what body writes. The file appears whole or not
// at all.
func Write(path string, state any, body func(io.Writer) error) error {
	return writeWith(atomicfile.Write, path, state, -1, body)
}

// writeWith writes magic, the header's length (8 bytes), the header as JSON, the body, and the SHA-256 of all of them.
func writeWith(
	file func(string, func(io.Writer) error) error, path string, state any, best int, body func(io.Writer) error,
) error {
	raw, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	h := header{State: raw}
	if best >= 0 {
		h.Best = &best
	}
	head, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return file(path, func(w io.Writer) error {
		sum := sha256.New()
		bw := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<20)
		bw.Write(magic)
		bw.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(head))))
		bw.Write(head)
		if err := body(bw); err != nil {
			return err
		}
		if err := bw.Flush(); err != nil {
			return err
		}
		_, err := w.Write(sum.Sum(nil))
		return err
	})
}

// File is an open file that Write wrote and whose checksum matches.
type File struct {
	Path   string
	Body   *io.SectionReader
	file   *os.File
	header header
}

// Open returns os.ErrNotExist where there is no file.
func Open(path string) (*File, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, file: file}
	if err := f.read(); err != nil {
		file.Close()
		if errors.Is(err, errVersion) {
			return nil, fmt.Errorf("%s is %w: remove it to start anew", path, err)
		}
		return nil, fmt.Errorf("%s is damaged (%w): remove it to start anew", path, err)
	}
	return f, nil
}

// Load calls load with what the body of Write wrote.
func Load(path string, load func(io.Reader) error) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := load(bufio.NewReaderSize(f.Body, 1<<20)); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// State decodes the state into a pointer.
func (f *File) State(into any) error {
	if err := strictjson.Unmarshal(f.header.State, into); err != nil {
		return fmt.Errorf("%s is damaged (%w): remove it to start anew", f.Path, err)
	}
	return nil
}

// Close closes the file; Body cannot be read afterwards.
func (f *File) Close() error { return f.file.Close() }

func (f *File) best() int {
	if f.header.Best == nil {
		return -1
	}
	return *f.header.Best
}

func (f *File) read() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	body := info.Size() - sha256.Size
	start := int64(len(magic)) + 8
	if body < start {
		return errors.New("too short")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f.file, 0, body)); err != nil {
		return err
	}
	stored := make([]byte, sha256.Size)
	if _, err := f.file.ReadAt(stored, body); err != nil {
		return err
	}
	if !bytes.Equal(stored, sum.Sum(nil)) {
		return errors.New("its checksum does not match")
	}
	prefix := make([]byte, start)
	if _, err := f.file.ReadAt(prefix, 0); err != nil {
		return err
	}
	if !bytes.HasPrefix(prefix, magic) {
		return errVersion
	}
	n := binary.LittleEndian.Uint64(prefix[len(magic):])
	if n > uint64(body-start) {
		return errors.New("too short")
	}
	head := make([]byte, n)
	if _, err := f.file.ReadAt(head, start); err != nil {
		return err
	}
	if err := strictjson.Unmarshal(head, &f.header); err != nil {
		return err
	}
	f.Body = io.NewSectionReader(f.file, start+int64(n), body-start-int64(n))
	return nil
}
