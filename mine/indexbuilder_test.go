package mine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// zipfPassages returns the terms of n passages, from words that are common and rare; some passages have none.
func zipfPassages(n int) [][]string {
	r := rand.New(rand.NewPCG(7, 7))
	passages := make([][]string, n)
	for i := range passages {
		for range r.IntN(40) {
			passages[i] = append(passages[i], fmt.Sprint("w", int(math.Exp(r.Float64()*8))))
		}
	}
	return passages
}

func buildIndex(t *testing.T, passages [][]string, budget int64) *invertedIndex {
	t.Helper()
	b := newIndexBuilder(t.TempDir(), budget)
	defer b.discard()
	for i, terms := range passages {
		require.NoError(t, b.add(context.Background(), uint32(i), terms))
	}
	x, err := b.finish(context.Background())
	require.NoError(t, err)
	return x
}

func TestAnIndexOfRunsIsTheIndexInMemory(t *testing.T) {
	passages := zipfPassages(3000)
	want := buildIndex(t, passages, math.MaxInt64)
	require.False(t, want.onDisk)
	for _, budget := range []int64{1, 5_000, 400_000} { // a run for each passage, many runs, few
		x := buildIndex(t, passages, budget)
		require.True(t, x.onDisk, budget)
		require.Equal(t, want.marks, x.marks, budget)
		require.Equal(t, want.dictionary.bytes(), x.dictionary.bytes(), budget)
		require.Equal(t, want.postings.bytes(), x.postings.bytes(), budget)
		require.NoError(t, x.close())
	}
}

func TestAnIndexHoldsEveryTermOfEveryPassage(t *testing.T) {
	passages := zipfPassages(3000)
	want := map[string]map[uint32]uint32{}
	for i, terms := range passages {
		for _, term := range terms {
			if want[term] == nil {
				want[term] = map[uint32]uint32{}
			}
			want[term][uint32(i)]++
		}
	}
	x := buildIndex(t, passages, math.MaxInt64)
	found, before := 0, ""
	for e := range x.all() {
		require.Less(t, before, string(e.term))
		before = string(e.term)
		found++
	}
	require.Equal(t, len(want), found)
	for term, frequencies := range want {
		p, ok := x.find(term)
		require.True(t, ok, term)
		got := map[uint32]uint32{}
		for p.advance(); !p.ended; p.advance() {
			got[p.passage] = p.tf
		}
		require.Equal(t, frequencies, got, term)
	}
	for _, term := range []string{"", "a", "w", "w0", "w1x", "zzz"} {
		_, ok := x.find(term)
		require.False(t, ok, term)
	}
}

func TestFrequencyLooksPassagesUpInAnyOrder(t *testing.T) {
	for _, df := range []int{1, 2, skipInterval, skipInterval + 1, 2 * skipInterval, 2*skipInterval + 1, 1000} {
		for _, step := range []uint32{1, 3, 100, 1 << 20} {
			var w postingsWriter
			w.reset()
			first := step - 1
			for i := range uint32(df) {
				w.add(first+i*step, i%5+1)
			}
			p := newPostings(df, append(w.table, w.data...))
			for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(df) {
				require.Equal(t, uint32(i)%5+1, p.frequency(first+uint32(i)*step), "%d of %d, step %d", i, df, step)
				if step > 1 {
					require.Zero(t, p.frequency(first+uint32(i)*step+1), "%d of %d, step %d", i, df, step)
				}
			}
			require.Zero(t, p.frequency(first+uint32(df)*step))
			if first > 0 {
				require.Zero(t, p.frequency(0))
			}
		}
	}
}

func TestPostingsReachTheLastPassage(t *testing.T) {
	var w postingsWriter
	w.reset()
	w.add(0, math.MaxUint32)
	w.add(math.MaxUint32-1, 1)
	p := newPostings(2, w.data)
	require.Equal(t, uint32(math.MaxUint32), p.frequency(0))
	require.Equal(t, uint32(1), p.frequency(math.MaxUint32-1))
}

// A term of an analyzer may be a part of the passage's text: the index must not keep the text alive.
func TestTermsAreCopied(t *testing.T) {
	b := newIndexBuilder(t.TempDir(), math.MaxInt64)
	text := strings.Repeat("x", 100) + "y"
	term := text[100:]
	require.NoError(t, b.add(context.Background(), 0, []string{term}))
	for kept := range b.ids {
		require.Equal(t, term, kept)
		require.NotSame(t, unsafe.StringData(term), unsafe.StringData(kept))
	}
}

func TestADiskThatIsFullIsAnErrorThatNamesTheFile(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full on this system")
	}
	full.Close()
	passages := zipfPassages(3000)
	for good := range 3 { // the file of runs, the postings, the dictionary
		b := newIndexBuilder(t.TempDir(), 5_000)
		create, made := b.create, 0
		b.create = func() (*tempFile, error) {
			if made++; made > good {
				f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
				return &tempFile{File: f}, err
			}
			return create()
		}
		var err error
		for i := 0; i < len(passages) && err == nil; i++ {
			err = b.add(context.Background(), uint32(i), passages[i])
		}
		if err == nil {
			_, err = b.finish(context.Background())
		}
		require.ErrorContains(t, err, "/dev/full: no space left on device", "after %d files", good)
		b.discard()
	}
}

func TestMergingStopsWhenTheContextEnds(t *testing.T) {
	b := newIndexBuilder(t.TempDir(), 5_000)
	defer b.discard()
	for i, terms := range zipfPassages(300) {
		require.NoError(t, b.add(context.Background(), uint32(i), terms))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := b.finish(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.merge(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
