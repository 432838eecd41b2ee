// Package textfile opens users' text files: corpora, queries, judgements, runs. It unpacks gzip and zstd, whatever the
// name of the file. For a file that is not text, the error says what the file is and what to do.
package textfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/regular"
)

const (
	// maxWindow is the most memory that a zstd file may ask for: what zstd --long=27 needs.
	maxWindow = 128 << 20
	// A packed file may unpack to maxRatio times its size, and to freeSize in any case. No text packs better; such a file
	// was made to fill a disk.
	maxRatio = 200
	freeSize = 64 << 20
)

// Open opens a text file. Errors of Open and of Read name the path.
func Open(path string) (io.ReadCloser, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		return nil, err
	}
	text, err := NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &file{text, f, path}, nil
}

type file struct {
	text io.ReadCloser
	file *os.File
	path string
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.text.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", f.path, err)
	}
	return n, err
}

func (f *file) Close() error { return errors.Join(f.text.Close(), f.file.Close()) }

// NewReader returns the text of r. Close frees what unpacks it, and leaves r open.
func NewReader(r io.Reader) (io.ReadCloser, error) {
	packed := &counter{r: r}
	head := bufio.NewReaderSize(packed, bufferSize)
	start, err := peek(head)
	if err != nil {
		return nil, err
	}
	packing := packingOf(start)
	if packing == nil {
		return io.NopCloser(head), filekind.CheckData(start)
	}
	unpacked, err := packing.open(head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", packing.name, explain(err))
	}
	text := bufio.NewReaderSize(&bounded{r: unpacked, packed: packed, name: packing.name}, bufferSize)
	start, err = peek(text)
	if err == nil && packingOf(start) != nil {
		err = fmt.Errorf("packed twice, with %s and again: unpack it once", packing.name)
	}
	if err == nil {
		err = filekind.CheckData(start)
	}
	if err != nil {
		unpacked.Close()
		return nil, err
	}
	return &unpacking{text, unpacked}, nil
}

type unpacking struct {
	io.Reader
	decoder io.Closer
}

func (u *unpacking) Close() error {
	_ = u.decoder.Close() // repeats the error of Read
	return nil
}

// IsPlain says whether a file that begins with start is not packed.
func IsPlain(start []byte) bool { return packingOf(start) == nil }

const (
	headSize   = 512 // enough for the magic numbers of every format
	bufferSize = 64 << 10
)

func peek(r *bufio.Reader) ([]byte, error) {
	start, err := r.Peek(headSize)
	if err == io.EOF || errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	return start, err
}

type packing struct {
	name  string
	magic [][]byte
	open  func(io.Reader) (io.ReadCloser, error)
}

var packings = []packing{
	{"gzip", [][]byte{{0x1f, 0x8b}}, func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
	{"zstd", [][]byte{{0x28, 0xb5, 0x2f, 0xfd}, {0x50, 0x2a, 0x4d, 0x18}}, func(r io.Reader) (io.ReadCloser, error) {
		// With one worker there are no goroutines, and nothing is read ahead.
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}},
}

func packingOf(start []byte) *packing {
	for i := range packings {
		isPrefix := func(magic []byte) bool { return bytes.HasPrefix(start, magic) }
		if slices.ContainsFunc(packings[i].magic, isPrefix) {
			return &packings[i]
		}
	}
	return nil
}

// explain says what to do about an error of a decoder.
func explain(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the file ends too early: it was cut, or there are bytes behind its end; fetch it again")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		return errors.New("there are bytes behind its end that are not packed; pack the file again")
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("unpacking needs more than %d MiB of memory: pack the file without --long, or with --long=27",
			maxWindow>>20)
	}
	return fmt.Errorf("%w: the file is damaged, fetch it again", err)
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// bounded fails when a file unpacks to more than text can.
type bounded struct {
	r      io.Reader
	packed *counter
	n      int64
	name   string
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if b.n > freeSize && b.n > maxRatio*b.packed.n {
		return 0, fmt.Errorf("%s: %d bytes unpack to more than %d: no text packs so well; unpack it yourself if it is right",
			b.name, b.packed.n, b.n)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", b.name, explain(err))
	}
	return n, err
}
