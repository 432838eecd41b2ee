package mine

import (
	"bufio"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// indexBuilder builds an invertedIndex from passages in ascending order of index. When the postings exceed the memory
// budget, it writes them to a file as a run sorted by term and starts again; at the end it merges the runs into an
// index on disk (Witten, Moffat and Bell 1999, "Managing Gigabytes", section 5.3).
type indexBuilder struct {
	budget int64
	create func() (*tempFile, error)

	ids   map[string]int32 // of the terms, places in lists
	lists []growingList
	used  int64 // bytes, about

	runs runFile
}

// growingList holds the postings of a term. The last posting is not in data until the passage is complete, because the
// passage may contain the term again.
type growingList struct {
	data    []byte
	df      int
	before  uint32 // the passage of the last posting in data
	passage uint32
	tf      uint32
}

// termBytes is the memory of a term besides its text and postings: in the map, in lists, and in the sorted list of
// terms.
const termBytes = 160

func newIndexBuilder(dir string, budget int64) *indexBuilder {
	return &indexBuilder{
		budget: budget,
		create: func() (*tempFile, error) { return createTemp(dir) },
		ids:    map[string]int32{},
	}
}

// add adds the terms of a passage.
func (b *indexBuilder) add(ctx context.Context, passage uint32, terms []string) error {
	for _, term := range terms {
		id, ok := b.ids[term]
		if !ok {
			id = int32(len(b.lists))
			b.ids[strings.Clone(term)] = id // a substring would keep the whole text in memory
			b.lists = append(b.lists, growingList{before: math.MaxUint32, passage: passage, tf: 1})
			b.used += termBytes + int64(len(term))
			continue
		}
		list := &b.lists[id]
		if list.passage == passage {
			list.tf++
			continue
		}
		had := cap(list.data)
		list.flush()
		list.passage, list.tf = passage, 1
		b.used += int64(cap(list.data) - had)
	}
	if b.used <= b.budget {
		return nil
	}
	return b.spill(ctx)
}

// flush moves the last posting to data.
func (l *growingList) flush() {
	l.data = appendPosting(l.data, l.before, l.passage, l.tf)
	l.before = l.passage
	l.df++
}

// finish returns the index of all added passages.
func (b *indexBuilder) finish(ctx context.Context) (*invertedIndex, error) {
	if b.runs.file == nil {
		return b.inMemory(ctx)
	}
	if err := b.spill(ctx); err != nil {
		return nil, err
	}
	return b.merge(ctx)
}

// discard removes the runs.
func (b *indexBuilder) discard() {
	if b.runs.file != nil {
		b.runs.file.close()
	}
}

func (b *indexBuilder) inMemory(ctx context.Context) (*invertedIndex, error) {
	var w indexWriter
	var size int
	for i := range b.lists {
		b.lists[i].flush()
		size += len(b.lists[i].data) + skipBytes*((b.lists[i].df-1)/skipInterval)
	}
	w.postings.memory = make([]byte, 0, size)
	var p postingsWriter
	for _, term := range slices.Sorted(maps.Keys(b.ids)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list := &b.lists[b.ids[term]]
		p.reset()
		p.addAll(list.data, list.df)
		if err := w.add([]byte(term), &p); err != nil {
			return nil, err
		}
		list.data = nil
	}
	return w.finish(false)
}

// addAll adds df postings whose bytes begin a list.
func (w *postingsWriter) addAll(data []byte, df int) {
	from := postings{rest: data, left: df, passage: math.MaxUint32}
	for range df {
		from.advance()
		w.add(from.passage, from.tf)
	}
}

// spill writes all postings as a run and clears them.
func (b *indexBuilder) spill(ctx context.Context) error {
	if b.runs.file == nil {
		file, err := b.create()
		if err != nil {
			return err
		}
		b.runs = runFile{file: file, buffer: bufio.NewWriterSize(file, 1<<18)}
	}
	for _, term := range slices.Sorted(maps.Keys(b.ids)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		list := &b.lists[b.ids[term]]
		list.flush()
		if err := b.runs.write(term, list); err != nil {
			return err
		}
		list.data = nil
	}
	b.ids, b.lists, b.used = map[string]int32{}, b.lists[:0], 0
	return b.runs.endRun()
}

func (b *indexBuilder) merge(ctx context.Context) (_ *invertedIndex, err error) {
	b.ids, b.lists = nil, nil
	var files [2]*tempFile
	defer func() {
		for _, f := range files {
			if err != nil && f != nil {
				f.close()
			}
		}
	}()
	for i := range files {
		if files[i], err = b.create(); err != nil {
			return nil, err
		}
	}
	w := indexWriter{postings: newFileBlob(files[0]), dictionary: newFileBlob(files[1])}
	if err := b.runs.merge(ctx, b.budget, w.add); err != nil {
		return nil, err
	}
	return w.finish(true)
}

// runFile is a file of runs. A run has for each of its terms, in ascending order,
//
//	uvarint length of the term, the term, uvarint number of postings, uvarint bytes of the postings, the postings
type runFile struct {
	file    *tempFile
	buffer  *bufio.Writer
	scratch []byte
	ends    []int64 // of the runs
	written int64
}

func (f *runFile) write(term string, list *growingList) error {
	b := binary.AppendUvarint(f.scratch[:0], uint64(len(term)))
	b = append(b, term...)
	b = binary.AppendUvarint(b, uint64(list.df))
	b = binary.AppendUvarint(b, uint64(len(list.data)))
	f.scratch = b
	f.written += int64(len(b) + len(list.data))
	if _, err := f.buffer.Write(b); err != nil {
		return err
	}
	_, err := f.buffer.Write(list.data)
	return err
}

func (f *runFile) endRun() error {
	f.ends = append(f.ends, f.written)
	return f.buffer.Flush()
}

// merge calls yield with every term in ascending order and its postings of all runs.
func (f *runFile) merge(ctx context.Context, budget int64, yield func(term []byte, p *postingsWriter) error) error {
	const least, most = 4 << 10, 1 << 18 // of a run's buffer
	buffer := int(min(max(budget/int64(len(f.ends))/4, least), most))
	var runs runHeap
	start := int64(0)
	for i, end := range f.ends {
		r := &run{order: i, r: bufio.NewReaderSize(io.NewSectionReader(f.file, start, end-start), buffer)}
		start = end
		if err := runs.pushNext(r); err != nil {
			return err
		}
	}
	var term []byte
	var p postingsWriter
	for len(runs) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		term = append(term[:0], runs[0].term...)
		p.reset()
		for len(runs) > 0 && string(runs[0].term) == string(term) {
			r := heap.Pop(&runs).(*run)
			if err := r.postings(&p); err != nil {
				return err
			}
			if err := runs.pushNext(r); err != nil {
				return err
			}
		}
		if err := yield(term, &p); err != nil {
			return err
		}
	}
	return nil
}

// run reads a run term by term.
type run struct {
	r     *bufio.Reader
	order int // runs of higher order have higher passages

	term []byte
	df   int
	size int
	data []byte
}

// next reads the next term; io.EOF where there is none.
func (r *run) next() error {
	length, err := binary.ReadUvarint(r.r)
	if err != nil {
		return err
	}
	r.term = slices.Grow(r.term[:0], int(length))[:length]
	if _, err := io.ReadFull(r.r, r.term); err != nil {
		return noEOF(err)
	}
	df, err := binary.ReadUvarint(r.r)
	if err != nil {
		return noEOF(err)
	}
	size, err := binary.ReadUvarint(r.r)
	r.df, r.size = int(df), int(size)
	return noEOF(err)
}

// postings adds the postings of the term.
func (r *run) postings(p *postingsWriter) error {
	r.data = slices.Grow(r.data[:0], r.size)[:r.size]
	if _, err := io.ReadFull(r.r, r.data); err != nil {
		return noEOF(err)
	}
	p.addAll(r.data, r.df)
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// runHeap has the run with the lowest term on top; among equal terms, the run with the lowest passages.
type runHeap []*run

func (h runHeap) Len() int { return len(h) }

func (h runHeap) Less(i, j int) bool {
	if c := strings.Compare(string(h[i].term), string(h[j].term)); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}

func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *runHeap) Push(x any) { *h = append(*h, x.(*run)) }

func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

// pushNext adds the run at its next term, unless it has none.
func (h *runHeap) pushNext(r *run) error {
	err := r.next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		heap.Push(h, r)
	}
	return err
}
