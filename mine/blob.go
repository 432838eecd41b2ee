package mine

import (
	"bufio"
	"errors"
	"io/fs"
	"os"

	"github.com/retort-ir/retort/internal/mmap"
)

// blob is a byte sequence in memory or in a mapped file. The zero value is empty.
type blob struct {
	memory []byte
	mapped *mmap.File
	file   *tempFile
}

func (b blob) bytes() []byte {
	if b.mapped != nil {
		return b.mapped.Bytes()
	}
	return b.memory
}

func (b blob) close() error {
	if b.mapped == nil {
		return nil
	}
	return errors.Join(b.mapped.Close(), b.file.close())
}

// blobWriter writes a blob to its file, or to memory if it has no file.
type blobWriter struct {
	memory  []byte
	file    *tempFile
	buffer  *bufio.Writer
	written int64
}

func newFileBlob(file *tempFile) blobWriter {
	return blobWriter{file: file, buffer: bufio.NewWriterSize(file, 1<<18)}
}

func (w *blobWriter) write(b []byte) error {
	w.written += int64(len(b))
	if w.file == nil {
		w.memory = append(w.memory, b...)
		return nil
	}
	_, err := w.buffer.Write(b)
	return err
}

func (w *blobWriter) size() int64 { return w.written }

func (w *blobWriter) finish() (blob, error) {
	if w.file == nil {
		return blob{memory: w.memory}, nil
	}
	if err := w.buffer.Flush(); err != nil {
		return blob{}, err
	}
	mapped, err := mmap.Map(w.file.File)
	if err != nil {
		return blob{}, err
	}
	return blob{mapped: mapped, file: w.file}, nil
}

// tempFile is a file that is removed when it is closed. On Unix its name is removed at once, so that a killed program
// leaves no file behind.
type tempFile struct {
	*os.File
	named bool
}

// createTemp makes an empty temporary file in dir.
func createTemp(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(dir, "retort-bm25-*.tmp")
	if err != nil {
		return nil, err
	}
	return &tempFile{f, os.Remove(f.Name()) != nil}, nil
}

func (f *tempFile) close() error {
	err := f.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	if f.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
