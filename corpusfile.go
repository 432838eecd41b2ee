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

// FileCorpus is a Corpus that stays in its JSON Lines file: a passage is read when it is asked for. It takes about 22
// bytes of memory a passage, whatever the length of passages and ids. It is safe for concurrent use.
//
// Of a corpus that is packed, or no file but a stream, it keeps an unpacked copy in the folder of temporary files
// ([os.TempDir]), which is gone once the corpus is closed.
//
// The file must not change while it is open: a read after that is an error. Replacing the file by a rename is harmless,
// the corpus then goes on reading the old one.
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

// OpenCorpus opens a corpus that stays in its JSON Lines file. It reads the file once: what [LoadCorpus] refuses is
// refused here, with file and line. Close it.
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

// ReadCorpus reads a corpus from a stream into a temporary file, see [FileCorpus]. A stream that is packed with gzip or
// zstd is unpacked. name names the stream in errors. The errors are as of OpenCorpus. Close the corpus. When ctx
// ends, ReadCorpus returns after the read of r that is under way.
func ReadCorpus(ctx context.Context, r io.Reader, name string) (*FileCorpus, error) {
	f, err := os.CreateTemp("", "retort-corpus-*.jsonl")
	if err != nil {
		return nil, err
	}
	c := &FileCorpus{path: name, file: f, copied: true, seed: maphash.MakeSeed()}
	// Where an open file can be removed, as it can but on Windows, a kill leaves nothing behind.
	_ = os.Remove(f.Name())
	if err := c.copy(ctx, r); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// isPlainFile says whether the passages can be read where they are.
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

// copy is open for the text of r, which it writes to the file.
func (c *FileCorpus) copy(ctx context.Context, r io.Reader) error {
	if err := c.scan(ctx, r, temporary{c.file}); err != nil {
		return err
	}
	if err := c.stat(); err != nil {
		return err
	}
	return c.buildTable(ctx)
}

// temporary says what to do where the folder of temporary files is full.
type temporary struct{ file *os.File }

func (t temporary) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	if err != nil {
		err = fmt.Errorf("unpacked copy: %w: set TMPDIR to a folder with more space, or unpack the corpus yourself",
			err)
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

// scan notes where every passage begins and the hash of its id. It writes the text that it reads.
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

// buildTable enters all passages in the table. Of passages with equal hashes the ids are read.
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

// differ is an error where passages i and j, i < j, have one id.
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
	return fmt.Errorf("%s:%d: id %q is taken by line %d", c.path, secondLine, second.ID, firstLine)
}

// line returns the number of the passage's line, from 1.
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

// Close closes the file; reading a passage after that is an error.
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

// At reads the passage with index i. That the file has changed since it was opened is an error.
func (c *FileCorpus) At(i int) (Passage, error) {
	if i < 0 || i >= c.Len() {
		return Passage{}, fmt.Errorf("passage %d of a corpus of %d", i, c.Len())
	}
	p, err := c.read(i)
	// What was read can be trusted only if the file had not changed by then.
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
	// To the next passage there may be blank lines, too.
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
		err = fmt.Errorf("its id is %q now: the file changed after it was opened: open the corpus again", p.ID)
	}
	return p, err
}

func (c *FileCorpus) unchanged() error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != c.size || !info.ModTime().Equal(c.modified) {
		return fmt.Errorf("%s: the file changed after it was opened: it had %d bytes, last written at %s, and has %d, of %s: open the corpus again",
			c.path, c.size, c.modified.Format(time.RFC3339Nano), info.Size(), info.ModTime().Format(time.RFC3339Nano))
	}
	return nil
}

// Index returns the index of the passage with that id, which it reads to make sure. Where it cannot be read, the 64
// bits of the id's hash decide, and At gives the error.
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

// slot returns where in the table the search for a hash begins. It ends at an empty slot: a quarter of them are.
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
