package mine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/parallel"
)

// BM25Options are the settings of a BM25 index. The zero value has the defaults.
type BM25Options struct {
	// K1 >= 0 controls the saturation of term frequency, and B in [0,1] the influence of passage length. If both are 0,
	// they are 0.9 and 0.4, the defaults of Anserini; Lucene's are 1.2 and 0.75.
	K1, B float64
	// Analyzer splits passages and queries into terms; nil means English().
	Analyzer Analyzer
	// MemoryBudget is the approximate number of bytes of memory for building the index; 0 means 512 MiB, and other
	// values are at least 1 MiB. An index that needs more is built and searched on disk, with the same scores. The
	// index needs 8 bytes more per passage.
	MemoryBudget int64
	// Dir is the directory for the files of an index on disk; "" means os.TempDir(), which is in memory on some
	// systems. During the build the files take about twice the size of the index. On Unix the files are unlinked at
	// once, so that a killed program leaves no file behind; elsewhere Close removes them.
	Dir string
}

const (
	defaultMemoryBudget = 512 << 20
	leastMemoryBudget   = 1 << 20
)

// Validate returns an error that names the first invalid field.
func (o BM25Options) Validate() error {
	if !(o.K1 >= 0) || math.IsInf(o.K1, 0) {
		return fmt.Errorf("BM25Options.K1 is %v: must be a finite number >= 0", o.K1)
	}
	if !(o.B >= 0 && o.B <= 1) {
		return fmt.Errorf("BM25Options.B is %v: must be in [0,1]", o.B)
	}
	if o.MemoryBudget != 0 && o.MemoryBudget < leastMemoryBudget {
		return fmt.Errorf("BM25Options.MemoryBudget is %d: must be 0 or at least %d bytes", o.MemoryBudget,
			leastMemoryBudget)
	}
	return nil
}

func (o BM25Options) withDefaults() BM25Options {
	if o.K1 == 0 && o.B == 0 {
		o.K1, o.B = .9, .4
	}
	if o.Analyzer == nil {
		o.Analyzer = English()
	}
	if o.MemoryBudget == 0 {
		o.MemoryBudget = defaultMemoryBudget
	}
	return o
}

// BM25 is an index of a corpus that scores passages by BM25 in Lucene's form (BM25Similarity since Lucene 8; Robertson
// and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond"):
//
//	score(q, p) = sum over the terms t of q of qf(t) idf(t) tf(t,p) / (tf(t,p) + k1 (1 - b + b |p| / avg))
//	idf(t)      = ln(1 + (N - df(t) + .5) / (df(t) + .5))
//
// qf and tf are the frequencies of the term in query and passage, df is the number of passages that contain it, |p| the
// number of terms in the passage, N the number of passages that have any term, and avg the mean length of these
// passages. |p| is exact, whereas Lucene stores it in one byte.
//
// The index is in memory, or on disk if it exceeds BM25Options.MemoryBudget. The caller should call Close. It is safe
// for concurrent use.
type BM25 struct {
	analyzer Analyzer
	norms    []float64 // of each passage: k1 (1 - b + b |p| / avg)
	nonEmpty float64   // N
	index    *invertedIndex

	open   sync.RWMutex // held for writing by Close
	closed bool
}

// errClosedIndex is the error of a search after Close.
var errClosedIndex = errors.New("bm25: the index is closed")

// NewBM25 indexes the Content of every passage. An empty corpus is an error. An index that exceeds the memory budget is
// written to options.Dir; write errors name the file.
func NewBM25(ctx context.Context, corpus retort.Corpus, options BM25Options) (*BM25, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	n := corpus.Len()
	if n == 0 {
		return nil, errors.New("bm25: the corpus is empty")
	}
	if uint64(n) > math.MaxUint32 {
		return nil, fmt.Errorf("bm25: the corpus has %d passages, want at most %d", n, uint32(math.MaxUint32))
	}
	b := newIndexBuilder(options.Dir, options.MemoryBudget)
	defer b.discard()
	lengths, err := addPassages(ctx, b, corpus, options.Analyzer)
	if err != nil {
		return nil, err
	}
	index, err := b.finish(ctx)
	if err != nil {
		return nil, fmt.Errorf("bm25: %w", err)
	}
	x := &BM25{analyzer: options.Analyzer, norms: lengths, index: index}
	x.normalise(options)
	return x, nil
}

// addPassages adds every passage to the builder and returns the passages' lengths in terms.
func addPassages(
	ctx context.Context, b *indexBuilder, corpus retort.Corpus, analyzer Analyzer,
) (lengths []float64, err error) {
	n := corpus.Len()
	lengths = make([]float64, n)
	analyzed := make([][]string, min(n, 1024))
	for start := 0; start < n; start += len(analyzed) {
		block := analyzed[:min(len(analyzed), n-start)]
		err := parallel.Each(ctx, len(block), func(_, i int) error {
			p, err := corpus.At(start + i)
			block[i] = analyzer.Terms(p.Content())
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("bm25: index passages %d to %d: %w", start, start+len(block)-1, err)
		}
		for i, terms := range block {
			lengths[start+i] = float64(len(terms))
			if err := b.add(ctx, uint32(start+i), terms); err != nil {
				return nil, fmt.Errorf("bm25: index passage %d: %w", start+i, err)
			}
		}
	}
	return lengths, nil
}

// normalise replaces the lengths in x.norms by the norms of the formula.
func (x *BM25) normalise(options BM25Options) {
	var total float64
	for _, length := range x.norms {
		total += length
		if length > 0 {
			x.nonEmpty++
		}
	}
	mean := total / max(x.nonEmpty, 1)
	for i, length := range x.norms {
		x.norms[i] = 0 // a passage without terms has no postings
		if length > 0 {
			x.norms[i] = options.K1 * (1 - options.B + options.B*length/mean)
		}
	}
}

// Close waits for running searches and removes the files of an index on disk. Later searches return an error. A second
// Close does nothing. An index in memory need not be closed.
func (x *BM25) Close() error {
	x.open.Lock()
	defer x.open.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	return x.index.close()
}

// Len returns the number of passages.
func (x *BM25) Len() int { return len(x.norms) }

// OnDisk reports whether the index is on disk because it exceeded the memory budget.
func (x *BM25) OnDisk() bool { return x.index.onDisk }

// Search returns for each query its k best passages that share a term with it; none for a query without terms. k < 1 is
// an error.
func (x *BM25) Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("bm25: %w", err)
	}
	rankings := make([][]Hit, len(queries))
	err := x.eachQuery(ctx, queries, func(q int, sums *window, terms []postings) error {
		top := best{k: min(k, x.Len())}
		err := x.accumulate(ctx, terms, sums, func(first uint32) {
			floor, full := top.floor()
			for _, at := range sums.touched[:sums.n] {
				score := float32(sums.score[at])
				if full && score < floor {
					continue
				}
				top.offer(Hit{Index: int(first) + int(at), Score: score})
				floor, full = top.floor()
			}
		})
		rankings[q] = top.ranked()
		return err
	})
	if err != nil {
		return nil, err
	}
	return rankings, nil
}

// ScoreAll implements [Scorer].
func (x *BM25) ScoreAll(ctx context.Context, queries []retort.Query) (blas32.General, error) {
	scores := matrix.New(len(queries), x.Len())
	err := x.eachQuery(ctx, queries, func(q int, sums *window, terms []postings) error {
		row := matrix.Row(scores, q)
		return x.accumulate(ctx, terms, sums, func(first uint32) {
			for _, at := range sums.touched[:sums.n] {
				row[int(first)+int(at)] = float32(sums.score[at])
			}
		})
	})
	if err != nil {
		return blas32.General{}, err
	}
	return scores, nil
}

// Score returns the score of the query for each passage in indices, equal to the scores of Search; 0 for a passage that
// shares no term with the query.
func (x *BM25) Score(query string, indices []int) ([]float64, error) {
	for _, i := range indices {
		if i < 0 || i >= x.Len() {
			return nil, fmt.Errorf("bm25: passage index %d is out of range: the corpus has %d passages", i, x.Len())
		}
	}
	x.open.RLock()
	defer x.open.RUnlock()
	if x.closed {
		return nil, errClosedIndex
	}
	sums := make([]float64, len(indices))
	for _, t := range x.parse(query, nil) {
		for j, i := range indices {
			if tf := t.frequency(uint32(i)); tf > 0 {
				sums[j] += float64(t.weight * float64(impact(t.idf, tf, x.norms[i])))
			}
		}
	}
	for j, s := range sums {
		sums[j] = float64(float32(s))
	}
	return sums, nil
}

// eachQuery calls do with the terms of every query, several at a time.
func (x *BM25) eachQuery(
	ctx context.Context, queries []retort.Query, do func(q int, sums *window, terms []postings) error,
) error {
	x.open.RLock()
	defer x.open.RUnlock()
	if x.closed {
		return errClosedIndex
	}
	sums := make([]window, parallel.Workers(len(queries)))
	terms := make([][]postings, len(sums))
	err := parallel.Each(ctx, len(queries), func(worker, q int) error {
		terms[worker] = x.parse(queries[q].Text, terms[worker][:0])
		return do(q, &sums[worker], terms[worker])
	})
	if err != nil {
		return fmt.Errorf("bm25: search: %w", err)
	}
	return nil
}

// parse appends the postings of the query's terms, in the order of their first occurrence. It skips terms that are not
// in the index.
func (x *BM25) parse(query string, terms []postings) []postings {
	seen := map[string]int{} // maps a term to its position in terms, -1 if it is not in the index
	for _, term := range x.analyzer.Terms(query) {
		if at, ok := seen[term]; ok {
			if at >= 0 {
				terms[at].weight++
			}
			continue
		}
		found, ok := x.index.find(term)
		if !ok {
			seen[term] = -1
			continue
		}
		seen[term] = len(terms)
		found.weight, found.idf = 1, x.idf(found.df)
		terms = append(terms, found)
	}
	return terms
}

func (x *BM25) idf(df int) float64 {
	return math.Log1p((x.nonEmpty - float64(df) + .5) / (float64(df) + .5))
}

// impact returns the contribution of one occurrence of a query term to the score, above 0.
func impact(idf float64, tf uint32, norm float64) float32 {
	return float32(idf * float64(tf) / (float64(tf) + norm))
}
