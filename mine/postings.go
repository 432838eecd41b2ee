package mine

import (
	"encoding/binary"
	"math"
	"sort"
)

// The postings of a term are a byte sequence. For each passage that contains the term, by ascending index, there is a
// uvarint
//
//	2 (index - index before - 1) + (1 if tf = 1, else 0)
//
// where the index before the first is -1, followed by the uvarint tf - 2 where tf > 1. Where there are more than
// skipInterval postings, a table precedes them with 12 bytes for each skipInterval of them but the first: the index
// before them, uint32, and the place of their bytes behind the table, uint64, little-endian.
const (
	skipInterval = 128
	skipBytes    = 12
)

// postings is a term of a query with a cursor over the passages that contain it.
type postings struct {
	weight float64 // frequency of the term in the query
	idf    float64
	df     int

	table []byte // of skips
	data  []byte // all postings
	rest  []byte // remaining postings
	left  int    // number of remaining postings

	passage uint32
	tf      uint32
	ended   bool
}

// newPostings returns a cursor before the first of df postings.
func newPostings(df int, data []byte) postings {
	table := skipBytes * ((df - 1) / skipInterval)
	return postings{
		df: df, table: data[:table], data: data[table:], rest: data[table:], left: df,
		passage: math.MaxUint32, // adding 1 gives 0
	}
}

// advance moves to the next passage.
func (p *postings) advance() {
	if p.left == 0 {
		p.ended = true
		return
	}
	p.left--
	rest := p.rest
	var code uint64
	if rest[0] < 0x80 {
		code, rest = uint64(rest[0]), rest[1:]
	} else {
		code, rest = uvarint(rest)
	}
	p.passage += uint32(code>>1) + 1
	p.tf = 1
	if code&1 == 0 {
		code, rest = uvarint(rest)
		p.tf = uint32(code) + 2
	}
	p.rest = rest
}

// frequency returns the frequency of the term in the passage. It moves the cursor.
func (p *postings) frequency(passage uint32) uint32 {
	skips := len(p.table) / skipBytes
	block := sort.Search(skips, func(i int) bool { return p.skip(i).before >= passage })
	p.rest, p.left, p.passage, p.ended = p.data, p.df-block*skipInterval, math.MaxUint32, false
	if block > 0 {
		s := p.skip(block - 1)
		p.rest, p.passage = p.data[s.offset:], s.before
	}
	for range skipInterval {
		if p.advance(); p.ended || p.passage > passage {
			return 0
		}
		if p.passage == passage {
			return p.tf
		}
	}
	return 0
}

// skip is an entry point into the postings.
type skip struct {
	before uint32 // the index of the passage before
	offset uint64 // behind the table
}

func (p *postings) skip(i int) skip {
	b := p.table[i*skipBytes:]
	return skip{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:])}
}

// postingsWriter encodes the postings of one term after another and reuses its buffers.
type postingsWriter struct {
	table, data []byte
	df          int
	last        uint32 // passage
}

func (w *postingsWriter) reset() {
	*w = postingsWriter{table: w.table[:0], data: w.data[:0], last: math.MaxUint32}
}

func (w *postingsWriter) add(passage, tf uint32) {
	if w.df > 0 && w.df%skipInterval == 0 {
		w.table = binary.LittleEndian.AppendUint32(w.table, w.last)
		w.table = binary.LittleEndian.AppendUint64(w.table, uint64(len(w.data)))
	}
	w.data = appendPosting(w.data, w.last, passage, tf)
	w.last = passage
	w.df++
}

// appendPosting appends a posting; before is the passage of the previous posting, math.MaxUint32 for the first.
func appendPosting(data []byte, before, passage, tf uint32) []byte {
	code := uint64(passage-before-1) << 1
	if tf == 1 {
		return binary.AppendUvarint(data, code|1)
	}
	return binary.AppendUvarint(binary.AppendUvarint(data, code), uint64(tf-2))
}

func uvarint(b []byte) (uint64, []byte) {
	v, n := binary.Uvarint(b)
	return v, b[n:]
}
