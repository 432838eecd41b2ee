package mine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort"
	"gonum.org/v1/gonum/blas/blas32"
)

// BM25Options are the settings of a BM25 index. The zero value is ready to use.
type BM25Options struct {
	// K1 >= 0 says how soon more occurrences of a term stop counting, B in [0,1] how much a passage's length counts. Where
	// both are 0 they are .9 and .4, the values that Anserini uses; Lucene's own are 1.2 and .75.
	K1, B float64
	// Analyzer makes the terms of passages and queries; nil means English().
	Analyzer Analyzer
}

// Validate names the first field that is wrong.
func (o BM25Options) Validate() error {
	if !(o.K1 >= 0) || math.IsInf(o.K1, 0) {
		return fmt.Errorf("BM25Options.K1 is %v: must be a finite number >= 0", o.K1)
	}
	if !(o.B >= 0 && o.B <= 1) {
		return fmt.Errorf("BM25Options.B is %v: must be in [0,1]", o.B)
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
	return o
}

// BM25 is an index of a corpus in memory that scores passages by BM25 in Lucene's form (BM25Similarity since Lucene 8;
// Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond"):
//
//	score(q, p) = sum over the terms t of q of qf(t) idf(t) tf(t,p) / (tf(t,p) + k1 (1 - b + b |p| / avg))
//	idf(t)      = ln(1 + (N - df(t) + .5) / (df(t) + .5))
//
// qf and tf are the term's frequencies in query and passage, df the number of passages that hold it, |p| the number of
// terms of the passage, N the number of passages that have any term, and avg their mean length. |p| is exact, where
// Lucene keeps one byte of it. An index takes 8 bytes a posting (a term in a passage). It is safe for concurrent use.
type BM25 struct {
	analyzer Analyzer
	passages int
	terms    map[string]uint32
	// The postings of term t are first[t] <= i < first[t+1], by ascending passage.
	first  []int
	docs   []uint32
	impact []float32 // of one occurrence of the term in a query
}

// NewBM25 indexes the Content of every passage. An empty corpus is an error.
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
		return nil, fmt.Errorf("bm25: %d passages: at most %d fit", n, uint32(math.MaxUint32))
	}
	build := postings{ids: map[string]uint32{}, lengths: make([]int, n)}
	analyzed := make([][]string, min(n, 1024))
	for start := 0; start < n; start += len(analyzed) {
		block := analyzed[:min(len(analyzed), n-start)]
		err := parallel(ctx, len(block), func(_, i int) error {
			p, err := corpus.At(start + i)
			block[i] = options.Analyzer.Terms(p.Content())
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("bm25: index passages %d to %d: %w", start, start+len(block)-1, err)
		}
		for i, terms := range block {
			build.add(start+i, terms)
		}
	}
	return build.index(options), nil
}

// Len returns the number of passages.
func (x *BM25) Len() int { return x.passages }

// Search returns for each query its k best passages among those that share a term with it: none for a query without
// terms. k < 1 is an error.
func (x *BM25) Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error) {
	if err := checkK(k); err != nil {
		return nil, fmt.Errorf("bm25: %w", err)
	}
	rankings := make([][]Hit, len(queries))
	sums := make([]accumulator, workers(len(queries)))
	err := parallel(ctx, len(queries), func(worker, i int) error {
		rankings[i] = x.search(queries[i].Text, min(k, x.passages), &sums[worker])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bm25: search: %w", err)
	}
	return rankings, nil
}

// Score returns the score of the query for each of the passages with those indices, the very numbers that Search gives;
// 0 where a passage has none of its terms.
func (x *BM25) Score(query string, indices []int) ([]float64, error) {
	for _, i := range indices {
		if i < 0 || i >= x.passages {
			return nil, fmt.Errorf("bm25: score passage %d of a corpus of %d", i, x.passages)
		}
	}
	sums := make([]float64, len(indices))
	for _, t := range x.parse(query) {
		docs, impact := x.postings(t.id)
		for j, i := range indices {
			if at, ok := slices.BinarySearch(docs, uint32(i)); ok {
				sums[j] += t.weight * float64(impact[at])
			}
		}
	}
	for j, s := range sums {
		sums[j] = float64(float32(s))
	}
	return sums, nil
}

// ScoreAll implements [Scorer].
func (x *BM25) ScoreAll(ctx context.Context, queries []retort.Query) (blas32.General, error) {
	scores := newMatrix(len(queries), x.passages)
	sums := make([]accumulator, workers(len(queries)))
	err := parallel(ctx, len(queries), func(worker, q int) error {
		row, sum := rowOf(scores, q), &sums[worker]
		x.accumulate(queries[q].Text, sum)
		for _, d := range sum.touched {
			row[d] = float32(sum.score[d])
		}
		sum.reset()
		return nil
	})
	if err != nil {
		return blas32.General{}, fmt.Errorf("bm25: score: %w", err)
	}
	return scores, nil
}

func (x *BM25) search(query string, k int, sum *accumulator) []Hit {
	x.accumulate(query, sum)
	defer sum.reset()
	top := best{k: k}
	for _, d := range sum.touched {
		top.offer(Hit{Index: int(d), Score: float32(sum.score[d])})
	}
	return top.ranked()
}

// accumulate adds up the scores of every passage that shares a term with the query.
func (x *BM25) accumulate(query string, sum *accumulator) {
	if sum.score == nil {
		sum.score = make([]float64, x.passages)
	}
	for _, t := range x.parse(query) {
		docs, impact := x.postings(t.id)
		for i, d := range docs {
			if sum.score[d] == 0 {
				sum.touched = append(sum.touched, d)
			}
			sum.score[d] += t.weight * float64(impact[i])
		}
	}
}

// accumulator holds the score of every passage and which of them are not 0: every impact is above 0.
type accumulator struct {
	score   []float64
	touched []uint32
}

func (a *accumulator) reset() {
	for _, d := range a.touched {
		a.score[d] = 0
	}
	a.touched = a.touched[:0]
}

// queryTerm is a distinct term of a query and how often it occurs there.
type queryTerm struct {
	id     uint32
	weight float64
}

// parse returns the query's terms that the index has, in the order of their first occurrence.
func (x *BM25) parse(query string) []queryTerm {
	var terms []queryTerm
	for _, term := range x.analyzer.Terms(query) {
		id, ok := x.terms[term]
		if !ok {
			continue
		}
		if at := slices.IndexFunc(terms, func(t queryTerm) bool { return t.id == id }); at >= 0 {
			terms[at].weight++
			continue
		}
		terms = append(terms, queryTerm{id, 1})
	}
	return terms
}

func (x *BM25) postings(term uint32) ([]uint32, []float32) {
	from, to := x.first[term], x.first[term+1]
	return x.docs[from:to], x.impact[from:to]
}

// postings is an index in the making: what its terms' impacts are is known only when all passages are.
type postings struct {
	ids     map[string]uint32
	lists   [][]posting // of each term
	total   int
	lengths []int // of the passages, in terms
}

type posting struct{ doc, tf uint32 }

func (b *postings) add(doc int, terms []string) {
	b.lengths[doc] = len(terms)
	for _, term := range terms {
		id, ok := b.ids[term]
		if !ok {
			id = uint32(len(b.lists))
			b.ids[term] = id
			b.lists = append(b.lists, nil)
		}
		list := b.lists[id]
		if last := len(list) - 1; last >= 0 && list[last].doc == uint32(doc) {
			list[last].tf++
			continue
		}
		b.lists[id] = append(list, posting{uint32(doc), 1})
		b.total++
	}
}

func (b *postings) index(options BM25Options) *BM25 {
	x := &BM25{
		analyzer: options.Analyzer,
		passages: len(b.lengths),
		terms:    b.ids,
		first:    make([]int, 1, len(b.lists)+1),
		docs:     make([]uint32, 0, b.total),
		impact:   make([]float32, 0, b.total),
	}
	withTerms, mean := b.statistics()
	for id, list := range b.lists {
		df := float64(len(list))
		idf := math.Log1p((withTerms - df + .5) / (df + .5))
		for _, p := range list {
			tf, length := float64(p.tf), float64(b.lengths[p.doc])
			norm := options.K1 * (1 - options.B + options.B*length/mean)
			x.docs = append(x.docs, p.doc)
			x.impact = append(x.impact, float32(idf*tf/(tf+norm)))
		}
		x.first = append(x.first, len(x.docs))
		b.lists[id] = nil
	}
	return x
}

// statistics returns the number of passages that have any term, and their mean length.
func (b *postings) statistics() (n, mean float64) {
	total := 0
	for _, length := range b.lengths {
		total += length
		if length > 0 {
			n++
		}
	}
	return n, float64(total) / max(n, 1)
}
