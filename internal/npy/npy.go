// Package npy writes and reads matrices of float32 as NumPy's .npy files.
//
// Reference: NumPy's manual, "A simple file format for NumPy arrays" (numpy.lib.format), versions 1.0 and 2.0.
package npy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
)

const (
	magic     = "\x93NUMPY"
	alignment = 64      // of the first number
	maxHeader = 1 << 16 // bytes; the header of a matrix needs far fewer
)

// WriteFile writes the matrix m [n x d]. The file appears whole or not at all.
func WriteFile(path string, m blas32.General) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		nw, err := NewWriter(w, m.Rows, m.Cols)
		if err != nil {
			return err
		}
		return errors.Join(nw.Append(m), nw.Close())
	})
}

// Writer writes a matrix in blocks of rows, so that the matrix need not fit in memory.
type Writer struct {
	w    *bufio.Writer
	rows int // still to come
	cols int
}

// NewWriter writes the header of a [rows x cols] matrix, row-major, version 1.0.
func NewWriter(w io.Writer, rows, cols int) (*Writer, error) {
	if rows < 0 || cols < 0 {
		return nil, fmt.Errorf("npy: a matrix cannot be %d x %d", rows, cols)
	}
	b := bufio.NewWriterSize(w, 1<<16)
	_, err := b.Write(header(rows, cols))
	return &Writer{w: b, rows: rows, cols: cols}, err
}

// Continue returns a Writer that continues after the first done rows of a [rows x cols] matrix: w must be at
// Offset(rows, cols, done).
func Continue(w io.Writer, rows, cols, done int) (*Writer, error) {
	if done < 0 || done > rows || cols < 0 {
		return nil, fmt.Errorf("npy: row %d of a matrix of %d x %d", done, rows, cols)
	}
	return &Writer{w: bufio.NewWriterSize(w, 1<<16), rows: rows - done, cols: cols}, nil
}

// Offset returns where in the file of a [rows x cols] matrix, as Writer writes it, a row begins.
func Offset(rows, cols, row int) int64 {
	return int64(len(header(rows, cols))) + 4*int64(row)*int64(cols)
}

// header returns the bytes before the numbers.
func header(rows, cols int) []byte {
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	prefix := len(magic) + 2 + 2 // version, length of the text
	padding := alignment - (prefix+len(text)+1)%alignment
	text += strings.Repeat(" ", padding%alignment) + "\n"

	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

// Append writes the rows of m.
func (w *Writer) Append(m blas32.General) error {
	if m.Cols != w.cols || m.Rows > w.rows {
		return fmt.Errorf("npy: %d rows of %d numbers do not fit, %d of %d are to come", m.Rows, m.Cols, w.rows, w.cols)
	}
	for i := range m.Rows {
		for _, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			if _, err := w.w.Write(binary.LittleEndian.AppendUint32(w.w.AvailableBuffer(), math.Float32bits(v))); err != nil {
				return err
			}
		}
	}
	w.rows -= m.Rows
	return nil
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.w.Flush() }

// Close writes what is buffered. Rows that are missing are an error.
func (w *Writer) Close() error {
	if w.rows > 0 {
		return fmt.Errorf("npy: %d rows were not written", w.rows)
	}
	return w.w.Flush()
}

// ReadFile reads a matrix [n x d], d > 0, of float32 in row-major order. Any other array, and a file that is too
// short or too long, is an error.
func ReadFile(path string) (blas32.General, error) {
	f, err := regular.Open(path)
	if err != nil {
		return blas32.General{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return blas32.General{}, err
	}
	return Read(f, info.Size(), path)
}

// Read is [ReadFile] of a stream of size bytes. name names it in errors.
func Read(r io.Reader, size int64, name string) (blas32.General, error) {
	m, err := read(bufio.NewReaderSize(r, 1<<16), size)
	if err != nil {
		return blas32.General{}, named(name, err)
	}
	return m, nil
}

func named(name string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("truncated")
	}
	return fmt.Errorf("%s: %w", name, err)
}

func read(r *bufio.Reader, size int64) (blas32.General, error) {
	m, _, err := readShape(r, size)
	if err != nil {
		return blas32.General{}, err
	}
	m.Data = make([]float32, m.Rows*m.Cols)
	return m, readNumbers(r, m.Data)
}

// readShape returns the matrix without its numbers, and the offset of the numbers in the file of size bytes.
func readShape(r io.Reader, size int64) (m blas32.General, offset int, err error) {
	header, prefix, err := readHeader(r)
	if err != nil {
		return blas32.General{}, 0, err
	}
	rows, cols, err := parseHeader(header)
	if err != nil {
		return blas32.General{}, 0, err
	}
	offset = prefix + len(header)
	have := size - int64(offset)
	if int64(rows) > math.MaxInt64/4/int64(cols) || 4*int64(rows)*int64(cols) > have {
		return blas32.General{}, 0, fmt.Errorf("truncated: %d x %d numbers do not fit in %d bytes", rows, cols, have)
	}
	if extra := have - 4*int64(rows)*int64(cols); extra > 0 {
		return blas32.General{}, 0, fmt.Errorf("%d bytes follow the %d x %d numbers", extra, rows, cols)
	}
	return blas32.General{Rows: rows, Cols: cols, Stride: cols}, offset, nil
}

func readNumbers(r io.Reader, values []float32) error {
	buffer := make([]byte, 1<<14)
	for len(values) > 0 {
		n := min(len(values), len(buffer)/4)
		if _, err := io.ReadFull(r, buffer[:4*n]); err != nil {
			return err
		}
		for i := range n {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(buffer[4*i:]))
		}
		values = values[n:]
	}
	return nil
}

// readHeader returns the header and the number of bytes before it.
func readHeader(r io.Reader) (header string, prefix int, err error) {
	start := make([]byte, len(magic)+2)
	if _, err := io.ReadFull(r, start); err != nil || string(start[:len(magic)]) != magic {
		return "", 0, errors.New("not a .npy file")
	}
	var length int
	switch major := start[len(magic)]; major {
	case 1:
		b := make([]byte, 2)
		if _, err := io.ReadFull(r, b); err != nil {
			return "", 0, err
		}
		prefix, length = len(start)+2, int(binary.LittleEndian.Uint16(b))
	case 2, 3:
		b := make([]byte, 4)
		if _, err := io.ReadFull(r, b); err != nil {
			return "", 0, err
		}
		n := binary.LittleEndian.Uint32(b)
		if n > maxHeader {
			return "", 0, fmt.Errorf("header of %d bytes", n)
		}
		prefix, length = len(start)+4, int(n)
	default:
		return "", 0, fmt.Errorf("version %d of the .npy format", major)
	}
	text := make([]byte, length)
	_, err = io.ReadFull(r, text)
	return string(text), prefix, err
}

// The members of the header, a dictionary in Python's notation.
var (
	descrMember   = regexp.MustCompile(`'descr': *'([^']*)'`)
	fortranMember = regexp.MustCompile(`'fortran_order': *(True|False)`)
	shapeMember   = regexp.MustCompile(`'shape': *\(([0-9, ]*)\)`)
)

func parseHeader(header string) (rows, cols int, err error) {
	descr := descrMember.FindStringSubmatch(header)
	fortran := fortranMember.FindStringSubmatch(header)
	shape := shapeMember.FindStringSubmatch(header)
	switch {
	case descr == nil || fortran == nil || shape == nil:
		return 0, 0, fmt.Errorf("header %.100q does not describe a matrix of numbers", header)
	case descr[1] != "<f4":
		return 0, 0, fmt.Errorf("numbers of type %q, want \"<f4\": save x.astype('<f4')", descr[1])
	case fortran[1] == "True":
		return 0, 0, errors.New("numbers in Fortran order: save numpy.ascontiguousarray(x)")
	}
	first, rest, _ := strings.Cut(shape[1], ",")
	rows, err = strconv.Atoi(strings.TrimSpace(first))
	if err == nil {
		cols, err = strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), ",")))
	}
	if err != nil || cols < 1 {
		return 0, 0, fmt.Errorf("shape (%s), want (rows, columns) with at least one column", shape[1])
	}
	return rows, cols, nil
}
