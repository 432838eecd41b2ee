package mine

import (
	"encoding/binary"
	"errors"
	"iter"
	"sort"
)

// invertedIndex finds the postings of a term. It has two blobs: the postings of all terms, and the dictionary, which
// has for each term, in ascending order,
//
//	uvarint length of the term, the term, uvarint number of postings, uvarint bytes of the postings
//
// The position of every dictionaryStep-th term is in memory.
type invertedIndex struct {
	postings   blob
	dictionary blob
	marks      []dictionaryMark
	onDisk     bool
}

const dictionaryStep = 32

// dictionaryMark is the position of a term in the dictionary and of its postings.
type dictionaryMark struct {
	term                 string
	dictionary, postings int64
}

// dictionaryEntry is one term and its postings.
type dictionaryEntry struct {
	term []byte
	df   int
	data []byte
}

func (x *invertedIndex) find(term string) (postings, bool) {
	after := sort.Search(len(x.marks), func(i int) bool { return x.marks[i].term > term })
	if after == 0 {
		return postings{}, false
	}
	for e := range x.entries(after-1, after) {
		if string(e.term) == term {
			return newPostings(e.df, e.data), true
		}
	}
	return postings{}, false
}

// all yields every term in ascending order.
func (x *invertedIndex) all() iter.Seq[dictionaryEntry] { return x.entries(0, len(x.marks)) }

// entries yields the terms from one mark to before another.
func (x *invertedIndex) entries(from, to int) iter.Seq[dictionaryEntry] {
	return func(yield func(dictionaryEntry) bool) {
		if from >= to {
			return
		}
		rest := x.dictionary.bytes()
		if to < len(x.marks) {
			rest = rest[:x.marks[to].dictionary]
		}
		rest = rest[x.marks[from].dictionary:]
		data := x.postings.bytes()[x.marks[from].postings:]
		for len(rest) > 0 {
			var length, df, size uint64
			length, rest = uvarint(rest)
			term := rest[:length]
			df, rest = uvarint(rest[length:])
			size, rest = uvarint(rest)
			if !yield(dictionaryEntry{term, int(df), data[:size]}) {
				return
			}
			data = data[size:]
		}
	}
}

func (x *invertedIndex) close() error {
	return errors.Join(x.postings.close(), x.dictionary.close())
}

// indexWriter writes an invertedIndex, term by term in ascending order.
type indexWriter struct {
	postings, dictionary blobWriter
	marks                []dictionaryMark
	terms                int
	buffer               []byte
}

func (w *indexWriter) add(term []byte, p *postingsWriter) error {
	if w.terms%dictionaryStep == 0 {
		w.marks = append(w.marks, dictionaryMark{string(term), w.dictionary.size(), w.postings.size()})
	}
	w.terms++
	b := binary.AppendUvarint(w.buffer[:0], uint64(len(term)))
	b = append(b, term...)
	b = binary.AppendUvarint(b, uint64(p.df))
	w.buffer = binary.AppendUvarint(b, uint64(len(p.table)+len(p.data)))
	if err := w.dictionary.write(w.buffer); err != nil {
		return err
	}
	if err := w.postings.write(p.table); err != nil {
		return err
	}
	return w.postings.write(p.data)
}

func (w *indexWriter) finish(onDisk bool) (*invertedIndex, error) {
	postings, err := w.postings.finish()
	if err != nil {
		return nil, err
	}
	dictionary, err := w.dictionary.finish()
	if err != nil {
		return nil, errors.Join(err, postings.close())
	}
	return &invertedIndex{postings: postings, dictionary: dictionary, marks: w.marks, onDisk: onDisk}, nil
}
