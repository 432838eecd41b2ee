// Package mmap maps a file into memory. On Unix the system reads the pages from disk when they are touched and drops
// them when memory is short. On other systems the whole file is read.
package mmap

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"github.com/retort-ir/retort/internal/regular"
)

// File is a mapped file. It is safe for concurrent use, except that nothing may use the bytes after Close.
type File struct {
	data    []byte
	close   func([]byte) error
	release func([]byte) // nil: the bytes are no pages of the file
	once    sync.Once
	err     error
}

// Open maps the file at path. The file must not shrink while it is mapped: reading the lost pages ends the program.
// Replacing the file by a rename is harmless: the map keeps the old file.
func Open(path string) (*File, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := Map(f)
	return m, errors.Join(err, f.Close())
}

// Map maps a whole open file. The file may be closed and removed afterwards.
func Map(f *os.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", f.Name())
	}
	if info.Size() == 0 {
		return &File{close: func([]byte) error { return nil }}, nil
	}
	if info.Size() > math.MaxInt {
		return nil, fmt.Errorf("%s: %d bytes do not fit in the address space", f.Name(), info.Size())
	}
	m, err := view(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return m, nil
}

// Bytes returns the file's bytes. Do not change them: they may be read-only, and writing would end the program.
func (f *File) Bytes() []byte { return f.data }

// Release gives the memory of the pages back to the system, which reads again from disk what is touched again.
func (f *File) Release() {
	if f.release != nil {
		f.release(f.data)
	}
}

// Close unmaps the file. Closing twice is harmless.
func (f *File) Close() error {
	f.once.Do(func() { f.err = f.close(f.data) })
	return f.err
}

// read is the view where files cannot be mapped.
func read(f *os.File, size int) (*File, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), data); err != nil {
		return nil, err
	}
	return &File{data: data, close: func([]byte) error { return nil }}, nil
}
