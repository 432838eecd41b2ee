package mine_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// What the soak asks for: all of it in so much anonymous memory.
const (
	soakMemory = 2 << 30
	soakBudget = 32 << 20 // of BM25: an index of 100,000 passages goes to the disk
	soakDim    = 64
)

// A corpus in its file, vectors by memory map and BM25 on disk: the way from 10,000 queries to scored, filtered lists
// takes little memory, and costs the same per query and passage, whether the corpus has ten thousand passages or a
// million. "make soak" runs it; so does, for other sizes,
//
//	RETORT_SOAK=1 RETORT_SOAK_PASSAGES=10000,100000 RETORT_SOAK_QUERIES=1000 go test ./mine -run SoakOfMining -v
func TestSoakOfMiningAMillionPassages(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "passages\tqueries\tBM25\tdense\tfusion\tindex\tencode\tlists\tanonymous\t\n")
	fmt.Fprint(w, "\t\tns a pair\tns a pair\tns a pair\tµs a passage\tµs a passage\tms a query\tMiB\t\n")
	var fusion []float64
	for _, n := range soakSizes(t, "RETORT_SOAK_PASSAGES", "10000,100000,1000000") {
		s := newSoak(t, n)
		s.mine()
		fmt.Fprintf(w, "%d\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.2f\t%d\t\n",
			n, len(s.queries), s.bm25, s.dense, s.fusion, s.index, s.encode, s.lists, s.peak()>>20)
		require.Less(t, s.peak(), int64(soakMemory), "anonymous memory at %d passages", n)
		fusion = append(fusion, s.fusion)
	}
	require.NoError(t, w.Flush())
	t.Logf("processor time, of all cores together\n%s", table.String())
	require.Less(t, fusion[len(fusion)-1], 2*fusion[0], "the cost per query and passage is not flat")
}

// soakSizes returns the numbers in an environment variable, or usual ones; it skips the test where nobody asked for it.
func soakSizes(t *testing.T, variable, usual string) []int {
	t.Helper()
	if os.Getenv("RETORT_SOAK") == "" {
		t.Skip("set RETORT_SOAK=1 to run this: it takes minutes, and 1.5 GB of disk")
	}
	if v := os.Getenv(variable); v != "" {
		usual = v
	}
	var sizes []int
	for _, size := range strings.Split(usual, ",") {
		n, err := strconv.Atoi(size)
		require.NoError(t, err, variable)
		sizes = append(sizes, n)
	}
	return sizes
}

// soak is one size of the corpus. Costs are processor time, so that other work on the machine counts little.
type soak struct {
	t       *testing.T
	ctx     context.Context
	n       int
	dir     string
	memory  *memoryWatch
	queries []retort.Query

	bm25, dense, fusion float64 // ns a query and passage
	index, encode       float64 // µs a passage
	lists               float64 // ms a query
}

func newSoak(t *testing.T, n int) *soak {
	debug.FreeOSMemory()
	s := &soak{t: t, ctx: context.Background(), n: n, dir: t.TempDir()}
	s.queries = writeZipfCorpus(t, s.path("corpus.jsonl"), n, soakSizes(t, "RETORT_SOAK_QUERIES", "10000")[0])
	s.memory = watchMemory(t)
	return s
}

func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }

func (s *soak) peak() int64 { return s.memory.stop() }

// timed runs a stage and returns its processor time.
func (s *soak) timed(stage string, do func()) time.Duration {
	wall, cpu := time.Now(), processorTime(s.t)
	do()
	cpu = processorTime(s.t) - cpu
	s.t.Logf("%9d passages  %-34s %8.1f s of processor time, %8.1f s, peak so far %5d MiB",
		s.n, stage, cpu.Seconds(), time.Since(wall).Seconds(), s.memory.peak.Load()>>20)
	return cpu
}

func (s *soak) open() *retort.FileCorpus {
	var corpus *retort.FileCorpus
	s.timed("open the corpus", func() {
		var err error
		corpus, err = retort.OpenCorpus(s.ctx, s.path("corpus.jsonl"))
		require.NoError(s.t, err)
	})
	s.t.Cleanup(func() { corpus.Close() })
	return corpus
}

func (s *soak) mine() {
	t, n, queries := s.t, float64(s.n), float64(len(s.queries))
	corpus := s.open()
	var bm25 *mine.BM25
	s.index = perUnit(s.timed("index for BM25", func() {
		var err error
		bm25, err = mine.NewBM25(s.ctx, corpus, mine.BM25Options{MemoryBudget: soakBudget, Dir: s.dir})
		require.NoError(t, err)
		require.Equal(t, s.n >= 100_000, bm25.OnDisk())
	}), time.Microsecond, n)
	defer bm25.Close()

	enc, err := encodertest.New(encodertest.Options{Dim: soakDim, Buckets: 1 << 15})
	require.NoError(t, err)
	s.encode = perUnit(s.timed("encode to a file", func() {
		require.NoError(t, mine.WriteVectors(s.ctx, enc, corpus, s.path("vectors.npy"), nil))
	}), time.Microsecond, n)
	dense, err := mine.OpenDense(enc, s.path("vectors.npy"))
	require.NoError(t, err)
	defer dense.Close()

	few := s.queries[:len(s.queries)/10]
	s.bm25 = s.search("BM25, a tenth of the queries", bm25, few)
	s.dense = s.search("dense, a tenth of the queries", dense, few)
	fusion, err := mine.NewZScoreFusion(100, bm25, dense)
	require.NoError(t, err)
	var rankings [][]mine.Hit
	s.fusion = perUnit(s.timed("z-score fusion of both", func() {
		rankings, err = fusion.Search(s.ctx, s.queries, 100)
		require.NoError(t, err)
	}), time.Nanosecond, n*queries)
	s.lists = perUnit(s.timed("filters, lists, ensemble, filters", func() { s.makeLists(corpus, bm25, dense, rankings) }),
		time.Millisecond, queries)
}

// search returns the cost of a query and passage.
func (s *soak) search(name string, r mine.Retriever, queries []retort.Query) float64 {
	cost := s.timed(name, func() {
		rankings, err := r.Search(s.ctx, queries, 100)
		require.NoError(s.t, err)
		require.Equal(s.t, len(queries), len(rankings))
	})
	return perUnit(cost, time.Nanosecond, float64(s.n*len(queries)))
}

// makeLists does with the rankings what a pipeline does until it trains.
func (s *soak) makeLists(corpus retort.Corpus, bm25 *mine.BM25, dense *mine.Dense, rankings [][]mine.Hit) {
	t := s.t
	found, err := mine.RoundTrip(corpus, s.queries, rankings, 20)
	require.NoError(t, err)
	require.Greater(t, len(found.Kept), len(s.queries)/2)
	var kept [][]mine.Hit
	for _, i := range found.Kept {
		kept = append(kept, rankings[i])
	}
	queries := found.Queries(s.queries)
	distinct, err := mine.NearDuplicateQueries(s.ctx, queries, .9)
	require.NoError(t, err)
	require.NotEmpty(t, distinct.Kept)
	long, err := mine.QueryLength(queries, 3, 20)
	require.NoError(t, err)
	require.Equal(t, len(queries), len(long.Kept))
	lists, err := mine.Lists(corpus, queries, kept, mine.ListOptions{Top: 50, Sample: 49, Depth: 99})
	require.NoError(t, err)

	vectors, err := teacher.FromVectors(encoderOf(t), corpus, dense.Vectors())
	require.NoError(t, err)
	ensemble, err := teacher.NewEnsemble(teacher.Member{Teacher: wordsTeacher(corpus, bm25)},
		teacher.Member{Teacher: vectors})
	require.NoError(t, err)
	for i := range lists {
		passages := make([]retort.Passage, len(lists[i].IDs))
		for j, id := range lists[i].IDs {
			at, ok := corpus.Index(id)
			require.True(t, ok)
			passages[j], err = corpus.At(at)
			require.NoError(t, err)
		}
		lists[i].Scores, err = ensemble.Score(s.ctx, lists[i].Query, passages)
		require.NoError(t, err)
	}
	enough, err := mine.ListLength(lists, 20)
	require.NoError(t, err)
	lists = enough.Lists(lists)
	top, err := mine.TopScore(lists, 25)
	require.NoError(t, err)
	require.NotEmpty(t, top.Kept)
	require.NoError(t, retort.SaveLists(s.path("lists.jsonl"), top.Lists(lists)))
}

func encoderOf(t *testing.T) *encodertest.Encoder {
	enc, err := encodertest.New(encodertest.Options{Dim: soakDim, Buckets: 1 << 15})
	require.NoError(t, err)
	return enc
}

// wordsTeacher is BM25 as a teacher.
func wordsTeacher(corpus retort.Corpus, index *mine.BM25) teacher.Teacher {
	return teacher.Func(func(_ context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
		indices := make([]int, len(passages))
		for i, p := range passages {
			at, ok := corpus.Index(p.ID)
			if !ok {
				return nil, fmt.Errorf("passage %q is not in the corpus", p.ID)
			}
			indices[i] = at
		}
		return index.Score(q.Text, indices)
	})
}

// writeZipfCorpus writes n passages of about 60 words, whose frequencies follow Zipf's and Mandelbrot's law, and
// returns queries of 6 to 10 words out of one passage. Each thousandth passage is a copy of the one before.
func writeZipfCorpus(t *testing.T, path string, n, queries int) []retort.Query {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(1, 2026))
	zipf := rand.NewZipf(r, 1.1, 30, 500_000)
	encoder := json.NewEncoder(w)
	var asked []retort.Query
	var words []string
	for i := range n {
		if i%1000 != 999 {
			words = words[:0]
			for range 40 + r.IntN(41) {
				words = append(words, zipfWord(zipf.Uint64()))
			}
		}
		p := retort.Passage{ID: "passage-" + strconv.Itoa(i), Text: strings.Join(words, " ")}
		require.NoError(t, encoder.Encode(p))
		for len(asked) < queries && i >= len(asked)*n/queries {
			at := r.IntN(len(words) - 10)
			asked = append(asked, retort.Query{
				ID: "q" + strconv.Itoa(len(asked)), Text: strings.Join(words[at:at+6+r.IntN(5)], " "),
				Type: "sentence", Source: p.ID, Origin: "extractive",
			})
		}
	}
	require.NoError(t, w.Flush())
	require.Equal(t, queries, len(asked))
	return asked
}

// zipfWord returns a word of syllables that differs for each number.
func zipfWord(n uint64) string {
	const consonants, vowels = "bdfgklmnprstvz", "aiou"
	var b []byte
	for n++; n > 0; n /= uint64(len(consonants) * len(vowels)) {
		syllable := int(n) % (len(consonants) * len(vowels))
		b = append(b, consonants[syllable/len(vowels)], vowels[syllable%len(vowels)])
	}
	return string(b)
}

func perUnit(d, unit time.Duration, n float64) float64 { return float64(d) / float64(unit) / n }

// processorTime returns what the process has used of all cores.
func processorTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryWatch samples the anonymous memory of the process: its own, without files that are mapped or cached.
type memoryWatch struct {
	peak  atomic.Int64
	ended chan struct{}
	done  chan struct{}
}

func watchMemory(t *testing.T) *memoryWatch {
	w := &memoryWatch{ended: make(chan struct{}), done: make(chan struct{})}
	require.Positive(t, rss.Anonymous())
	go func() {
		defer close(w.done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			w.peak.Store(max(w.peak.Load(), rss.Anonymous()))
			select {
			case <-w.ended:
				return
			case <-ticker.C:
			}
		}
	}()
	return w
}

// stop returns the largest sample.
func (w *memoryWatch) stop() int64 {
	select {
	case <-w.ended:
	default:
		close(w.ended)
		<-w.done
	}
	return w.peak.Load()
}
