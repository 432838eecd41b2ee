package retort

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/textfile"
)

// FileCorpus is a Corpus whose passages stay in a JSON Lines file: At reads a passage from the file on each call. Its
// memory grows with the number of passages, not with the length of their texts and ids. It is safe for concurrent use.
//
// For a compressed file or a stream, FileCorpus keeps an uncompressed copy in the directory for temporary files
// ([os.TempDir]) and removes it on Close.
//
// The file must not change while the corpus is open: reads after a change return an error. Renaming another file over
// it is harmless: the corpus continues to read the old file.
type FileCorpus struct {
	path     string
	file     *os.File
	copied   bool // file is a temporary copy
	size     int64
	modified time.Time

	seed    maphash.Seed
	offsets []int64  // of the passages' lines
	hashes  []uint64 // of the passages' ids
	table   []uint32 // of hashes, with linear probing: the index of a passage plus 1, or 0
}

// OpenCorpus opens a JSON Lines file as a corpus without loading the passages into memory. It scans the file once and
// returns the same errors as [LoadCorpus], with file and line. The caller must call Close.
func OpenCorpus(ctx context.Context, path string) (*FileCorpus, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		return nil, err
	}
	plain, err := isPlainFile(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !plain {
		defer f.Close()
		return ReadCorpus(ctx, f, path)
	}
	c := &FileCorpus{path: path, file: f, seed: maphash.MakeSeed()}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// ReadCorpus copies a corpus from a stream to a temporary file (see [FileCorpus]). Streams compressed with gzip or zstd
// are decompressed. Errors are the same as for [OpenCorpus] and use name as the file name. The caller must call Close.
// When ctx ends, ReadCorpus returns after the current read of r.
func ReadCorpus(ctx context.Context, r io.Reader, name string) (*FileCorpus, error) {
	f, err := os.CreateTemp("", "retort-corpus-*.jsonl")
	if err != nil {
		return nil, err
	}
	c := &FileCorpus{path: name, file: f, copied: true, seed: maphash.MakeSeed()}
	// Except on Windows an open file can be removed, so that a killed process leaves no file behind.
	_ = os.Remove(f.Name())
	if err := c.copy(ctx, r); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// isPlainFile reports whether the passages can be read from f itself: a regular, uncompressed file.
func isPlainFile(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	start := make([]byte, 4)
	n, err := f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return textfile.IsPlain(start[:n]), nil
}

func (c *FileCorpus) open(ctx context.Context) error {
	if err := c.stat(); err != nil {
		return err
	}
	if err := c.scan(ctx, io.NewSectionReader(c.file, 0, c.size), io.Discard); err != nil {
		return err
	}
	if err := c.unchanged(); err != nil {
		return err
	}
	return c.buildTable(ctx)
}

// copy does the work of open for a stream: it scans the text of r and writes it to the file.
func (c *FileCorpus) copy(ctx context.Context, r io.Reader) error {
	if err := c.scan(ctx, r, temporary{c.file}); err != nil {
		return err
	}
	if err := c.stat(); err != nil {
		return err
	}
	return c.buildTable(ctx)
}

// temporary adds to a write error what to do when the directory for temporary files is full.
type temporary struct{ file *os.File }

func (t temporary) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	if err != nil {
		err = fmt.Errorf("temporary copy: %w: set TMPDIR to a directory with more free space, "+
			"or decompress the corpus first", err)
	}
	return n, err
}

func (c *FileCorpus) stat() error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	c.size, c.modified = info.Size(), info.ModTime()
	return nil
}

// scan records the offset of each passage and the hash of its id, and copies the decompressed text to w.
func (c *FileCorpus) scan(ctx context.Context, r io.Reader, w io.Writer) error {
	text, err := textfile.NewReader(r)
	if err != nil {
		return fmt.Errorf("%s:1: %w", c.path, err)
	}
	defer text.Close()
	for record, err := range jsonl.ReadRecords(io.TeeReader(text, w), c.path, decodePassage) {
		if err != nil {
			return err
		}
		if len(c.offsets)%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(c.offsets) == math.MaxUint32-1 {
			return fmt.Errorf("%s: more than %d passages", c.path, len(c.offsets))
		}
		c.offsets = append(c.offsets, record.Offset)
		c.hashes = append(c.hashes, c.hash(record.Value.ID))
	}
	if len(c.offsets) == 0 {
		return noRecordsIn(c.path)
	}
	c.offsets, c.hashes = slices.Clone(c.offsets), slices.Clone(c.hashes)
	return nil
}

// buildTable fills the hash table. It compares the ids of passages with equal hashes to find repeated ids.
func (c *FileCorpus) buildTable(ctx context.Context) error {
	c.table = make([]uint32, c.Len()+c.Len()/3+1)
	for i, hash := range c.hashes {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		slot := c.slot(hash)
		for ; c.table[slot] != 0; slot = c.following(slot) {
			other := int(c.table[slot]) - 1
			if c.hashes[other] != hash {
				continue
			}
			if err := c.differ(other, i); err != nil {
				return err
			}
		}
		c.table[slot] = uint32(i + 1)
	}
	return nil
}

// differ returns an error if passages i and j, i < j, have the same id.
func (c *FileCorpus) differ(i, j int) error {
	first, err := c.At(i)
	if err != nil {
		return err
	}
	second, err := c.At(j)
	if err != nil {
		return err
	}
	if first.ID != second.ID {
		return nil
	}
	firstLine, err := c.line(i)
	if err != nil {
		return err
	}
	secondLine, err := c.line(j)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s:%d: id %q is already used by line %d", c.path, secondLine, second.ID, firstLine)
}

// line returns the passage's line number, counted from 1.
func (c *FileCorpus) line(i int) (int, error) {
	lines, buffer := 1, make([]byte, 1<<16)
	for r := io.NewSectionReader(c.file, 0, c.offsets[i]); ; {
		n, err := r.Read(buffer)
		lines += bytes.Count(buffer[:n], []byte("\n"))
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Close closes the file and removes the temporary copy, if any. At returns an error afterwards. A second Close does
// nothing.
func (c *FileCorpus) Close() error {
	err := c.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	if c.copied {
		if gone := os.Remove(c.file.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// Len returns the number of passages.
func (c *FileCorpus) Len() int { return len(c.hashes) }

// At reads the passage with index i. It returns an error if the file has changed since it was opened.
func (c *FileCorpus) At(i int) (Passage, error) {
	if i < 0 || i >= c.Len() {
		return Passage{}, fmt.Errorf("passage index %d is out of range: the corpus has %d passages", i, c.Len())
	}
	p, err := c.read(i)
	// The check comes after the read, so a change during the read is found too.
	if changed := c.unchanged(); changed != nil {
		return Passage{}, changed
	}
	if err != nil {
		return Passage{}, fmt.Errorf("%s: passage %d: %w", c.path, i, err)
	}
	return p, nil
}

// lineBuffers holds *[]byte.
var lineBuffers = sync.Pool{New: func() any { return new([]byte) }}

func (c *FileCorpus) read(i int) (Passage, error) {
	buffer := lineBuffers.Get().(*[]byte)
	defer lineBuffers.Put(buffer)
	// Blank lines may follow the passage; the cut at the first line end drops them.
	end := c.size
	if i+1 < len(c.offsets) {
		end = c.offsets[i+1]
	}
	size := int(min(end-c.offsets[i], jsonl.MaxLine+1))
	*buffer = slices.Grow((*buffer)[:0], size)[:size]
	if n, err := c.file.ReadAt(*buffer, c.offsets[i]); n < size {
		return Passage{}, err
	}
	line, _, _ := bytes.Cut(*buffer, []byte("\n"))
	p, err := decodePassage(line)
	if err == nil && c.hash(p.ID) != c.hashes[i] {
		err = fmt.Errorf("the file has changed since it was opened (the id is now %q); open the corpus again", p.ID)
	}
	return p, err
}

func (c *FileCorpus) unchanged() error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != c.size || !info.ModTime().Equal(c.modified) {
		return fmt.Errorf("%s: the file has changed since it was opened: it had %d bytes, modified at %s; "+
			"now it has %d bytes, modified at %s; open the corpus again",
			c.path, c.size, c.modified.Format(time.RFC3339Nano), info.Size(), info.ModTime().Format(time.RFC3339Nano))
	}
	return nil
}

// Index returns the index of the passage with the given id, and whether there is one. It reads the passage to compare
// the ids. If the read fails, equal 64-bit hashes count as equal ids, and At returns the error.
func (c *FileCorpus) Index(id string) (int, bool) {
	hash := c.hash(id)
	for slot := c.slot(hash); c.table[slot] != 0; slot = c.following(slot) {
		i := int(c.table[slot]) - 1
		if c.hashes[i] != hash {
			continue
		}
		if p, err := c.At(i); err != nil || p.ID == id {
			return i, true
		}
	}
	return 0, false
}

func (c *FileCorpus) hash(id string) uint64 { return maphash.String(c.seed, id) }

// slot returns the slot of the table at which the search for a hash begins. A quarter of the slots are empty, so every
// search ends.
func (c *FileCorpus) slot(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(len(c.table)))
	return int(high)
}

func (c *FileCorpus) following(slot int) int {
	if slot++; slot == len(c.table) {
		return 0
	}
	return slot
}
