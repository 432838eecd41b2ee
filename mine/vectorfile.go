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
// corpus, for [OpenDense], numpy.load and most other tools. It holds the vectors of 1,024 passages in memory at a time.
// It creates the file atomically.
//
// If the work is interrupted by an error, the end of ctx or the end of the process, the finished vectors stay in
// path.partial and path.partial.jsonl. The next call with the same path resumes after the last complete block of 1,024
// passages, with the same bits. This requires that the encoder implements [encoder.Fingerprinter] and that fingerprint,
// passages and stored vectors are unchanged; from the first difference on WriteVectors encodes again. Concurrent calls
// for one path are an error.
//
// WriteVectors calls progress, which may be nil, with the number of finished passages: once at the start of a resumed
// call, then after every 128 passages. An empty corpus is an error.
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

// vectorFile is a matrix that is written block by block, with a journal of the blocks. The journal has hashes of the
// blocks, so that nothing needs to be synced before the end.
type vectorFile struct {
	path    string
	encoder encoder.Encoder
	corpus  retort.Corpus
	vectors *os.File
	journal *os.File
}

// journalHeader is the first line of the journal. A partial file is usable only if the header is the same.
type journalHeader struct {
	Encoder  string `json:"encoder"` // its fingerprint
	Passages int    `json:"passages"`
	Dim      int    `json:"dim"`
}

// journalBlock is one of the lines after the header.
type journalBlock struct {
	Texts   string `json:"texts"`   // SHA-256 of the encoded texts
	Vectors string `json:"vectors"` // SHA-256 of the rows in the file
}

func openVectorFile(path string, enc encoder.Encoder, corpus retort.Corpus) (_ *vectorFile, err error) {
	w := &vectorFile{path: path, encoder: enc, corpus: corpus}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	// The lock of the journal protects both files: it is taken before the matrix is opened.
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

// writeBlock encodes and writes the passages from start and records them in the journal.
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

// resume returns the number of finished passages and moves both files to their ends. It discards unusable blocks.
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

// writeHeader writes the header of the matrix again, because the journal has no hash of it.
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

// holds reports whether the block from start in the file matches the journal and the passages are unchanged.
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

// truncate truncates the file and moves to its end.
func truncate(f *os.File, size int64) error {
	_, err := f.Seek(size, io.SeekStart)
	return errors.Join(f.Truncate(size), err)
}
