package mine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

// WriteVectors encodes the Content of every passage into a .npy file of float32 [n x d], row-major, in the order of the
// corpus, for [OpenDense], numpy.load and most other tools. It holds the vectors of 1,024 passages at a time. The file
// appears whole or not at all.
//
// What was done stays in path.partial and path.partial.jsonl when the work is cut off: by an error, the end of ctx, or
// the end of the process. The next call with that path goes on after the last 1,024 passages that were done, with the
// same bits. It does so only where the encoder implements [encoder.Fingerprinter] and fingerprint, passages and stored
// vectors are all what they were; from the first difference on it encodes again. Two calls at a time for one path are
// an error.
//
// progress, which may be nil, gets the number of passages that are done: once for what need not be done again, then
// after every 128 of them. An empty corpus is an error.
func WriteVectors(
	ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, path string, progress func(done, total int),
) error {
	ctx = encoder.Alone(ctx)
	if corpus.Len() == 0 {
		return errors.New("write vectors: the corpus is empty")
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	w, err := openVectorFile(path, enc, corpus)
	if err != nil {
		return fmt.Errorf("write vectors: %w", err)
	}
	defer w.close()
	if err := w.run(ctx, progress); err != nil {
		return fmt.Errorf("write vectors to %s: %w", path, err)
	}
	return nil
}

// vectorFile is a matrix that is written block by block, and a journal of the blocks beside it. Both are hashed, so
// that nothing needs to be synced before the end.
type vectorFile struct {
	path    string
	encoder encoder.Encoder
	corpus  retort.Corpus
	vectors *os.File
	journal *os.File
}

// journalHeader is the first line of the journal: what must be the same for a partial file to be of use.
type journalHeader struct {
	Encoder  string `json:"encoder"` // its fingerprint
	Passages int    `json:"passages"`
	Dim      int    `json:"dim"`
}

// journalBlock is one of the lines after it.
type journalBlock struct {
	Texts   string `json:"texts"`   // SHA-256 of what was encoded
	Vectors string `json:"vectors"` // and of its rows in the file
}

func openVectorFile(path string, enc encoder.Encoder, corpus retort.Corpus) (_ *vectorFile, err error) {
	w := &vectorFile{path: path, encoder: enc, corpus: corpus}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	// Whoever has the journal has both: it is locked before the other is opened.
	if w.journal, err = regular.OpenFile(path+".partial.jsonl", os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	if err := filelock.Lock(w.journal); err != nil {
		return nil, fmt.Errorf("%s: %w", w.journal.Name(), err)
	}
	w.vectors, err = regular.OpenFile(path+".partial", os.O_RDWR|os.O_CREATE, 0o644)
	return w, err
}

func (w *vectorFile) close() {
	for _, f := range []*os.File{w.vectors, w.journal} {
		if f != nil {
			f.Close()
		}
	}
}

func (w *vectorFile) run(ctx context.Context, progress func(done, total int)) error {
	n, dim := w.corpus.Len(), w.encoder.Dim()
	done, err := w.resume(ctx)
	if err != nil {
		return err
	}
	var rows *npy.Writer
	if done == 0 {
		rows, err = npy.NewWriter(w.vectors, n, dim)
	} else {
		rows, err = npy.Continue(w.vectors, n, dim, done)
		progress(done, n)
	}
	if err != nil {
		return err
	}
	for ; done < n; done = min(done+encodeBlock, n) {
		err := w.writeBlock(ctx, rows, done, func(more int) { progress(done+more, n) })
		if err != nil {
			return fmt.Errorf("passages %d to %d: %w", done, min(done+encodeBlock, n)-1, err)
		}
	}
	if err := errors.Join(rows.Close(), atomicfile.Commit(w.vectors, w.path)); err != nil {
		return err
	}
	err = errors.Join(w.journal.Close(), os.Remove(w.journal.Name()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeBlock encodes and writes the passages from start, and notes them in the journal.
func (w *vectorFile) writeBlock(ctx context.Context, rows *npy.Writer, start int, progress func(done int)) error {
	texts, err := contents(w.corpus, start, min(start+encodeBlock, w.corpus.Len()))
	if err != nil {
		return err
	}
	vectors := matrix.New(len(texts), w.encoder.Dim())
	if err := encodeInto(ctx, w.encoder, encoder.Passage, texts, vectors, progress); err != nil {
		return err
	}
	if err := errors.Join(rows.Append(vectors), rows.Flush()); err != nil {
		return err
	}
	h := sha256.New()
	for i := range vectors.Rows {
		writeFloats(h, matrix.Row(vectors, i))
	}
	return w.note(journalBlock{Texts: hashTexts(texts), Vectors: hex.EncodeToString(h.Sum(nil))})
}

// note appends a line to the journal.
func (w *vectorFile) note(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.journal.Write(append(line, '\n'))
	return err
}

// resume returns how many passages are done, and leaves both files at their end. It forgets what cannot be used.
func (w *vectorFile) resume(ctx context.Context) (done int, err error) {
	fingerprint := fingerprintOf(w.encoder)
	header := journalHeader{fingerprint, w.corpus.Len(), w.encoder.Dim()}
	lines, err := io.ReadAll(w.journal)
	if err != nil {
		return 0, err
	}
	var was journalHeader
	line, rest, whole := bytes.Cut(lines, []byte("\n"))
	if !whole || strictjson.Unmarshal(line, &was) != nil || was != header || fingerprint == "" {
		if err := truncate(w.journal, 0); err != nil {
			return 0, err
		}
		return 0, errors.Join(truncate(w.vectors, 0), w.note(header))
	}
	kept := len(lines) - len(rest)
	for done < w.corpus.Len() {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		var block journalBlock
		if !whole || strictjson.Unmarshal(line, &block) != nil {
			break // the line was cut off
		}
		same, err := w.holds(ctx, block, done)
		if err != nil {
			return 0, err
		}
		if !same {
			break
		}
		kept += len(line) + 1
		rest = after
		done = min(done+encodeBlock, w.corpus.Len())
	}
	end := int64(0)
	if done > 0 {
		end = npy.Offset(w.corpus.Len(), w.encoder.Dim(), done)
		if err := w.writeHeader(); err != nil {
			return 0, err
		}
	}
	return done, errors.Join(truncate(w.journal, int64(kept)), truncate(w.vectors, end))
}

// writeHeader writes what precedes the vectors, of which the journal has no hash.
func (w *vectorFile) writeHeader() error {
	var header bytes.Buffer
	rows, err := npy.NewWriter(&header, w.corpus.Len(), w.encoder.Dim())
	if err != nil {
		return err
	}
	if err := rows.Flush(); err != nil {
		return err
	}
	_, err = w.vectors.WriteAt(header.Bytes(), 0)
	return err
}

// holds says whether the block of passages from start is in the file as the journal says, and the passages are what
// they were.
func (w *vectorFile) holds(ctx context.Context, block journalBlock, start int) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	n, dim := w.corpus.Len(), w.encoder.Dim()
	end := min(start+encodeBlock, n)
	from := npy.Offset(n, dim, start)
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(w.vectors, from, npy.Offset(n, dim, end)-from)); err != nil {
		return false, err
	}
	if hex.EncodeToString(h.Sum(nil)) != block.Vectors {
		return false, nil
	}
	texts, err := contents(w.corpus, start, end)
	return err == nil && hashTexts(texts) == block.Texts, err
}

func hashTexts(texts []string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d %s\n", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// truncate cuts the file and goes to its end.
func truncate(f *os.File, size int64) error {
	_, err := f.Seek(size, io.SeekStart)
	return errors.Join(f.Truncate(size), err)
}
