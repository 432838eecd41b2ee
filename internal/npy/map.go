package npy

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/mmap"
)

// Mapped is a matrix in a memory-mapped file.
type Mapped struct {
	// Matrix is [n x d]. Do not change its numbers: writing would end the program. It is safe for concurrent use.
	Matrix blas32.General
	file   *mmap.File
}

// Map is [ReadFile] by memory map: the numbers take no memory of the program and are read from disk on access. Map
// reads the file instead where the file cannot be mapped, the processor is big-endian or the numbers are not aligned.
// The file must not shrink while the matrix is open: see [mmap.Open].
func Map(path string) (*Mapped, error) {
	file, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	m, offset, err := readShape(bytes.NewReader(file.Bytes()), int64(len(file.Bytes())))
	if err != nil {
		file.Close()
		return nil, named(path, err)
	}
	numbers := file.Bytes()[offset:]
	if !littleEndian() || offset%4 != 0 {
		m.Data = make([]float32, m.Rows*m.Cols)
		return &Mapped{Matrix: m, file: file}, readNumbers(bytes.NewReader(numbers), m.Data)
	}
	if len(numbers) > 0 {
		m.Data = unsafe.Slice((*float32)(unsafe.Pointer(&numbers[0])), len(numbers)/4)
	}
	return &Mapped{Matrix: m, file: file}, nil
}

// Close unmaps the file; nothing may use the matrix afterwards. Closing twice is harmless.
func (m *Mapped) Close() error { return m.file.Close() }

func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }
