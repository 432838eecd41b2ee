package mine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// onDisk is the smallest budget: an index of many words does not fit.
func onDisk(dir string) mine.BM25Options {
	return mine.BM25Options{MemoryBudget: 1 << 20, Dir: dir}
}

func TestBM25OnDiskGivesTheScoresOfTheIndexInMemoryBitForBit(t *testing.T) {
	ctx := context.Background()
	const n = 9000 // more than two windows
	texts := randomTexts(11, n, 40)
	for i := range texts {
		texts[i] += "everywhere and also here" // terms of all passages
	}
	corpus := corpusOf(t, texts...)
	memory, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	require.NoError(t, err)
	require.False(t, memory.OnDisk())
	dir := t.TempDir()
	disk, err := mine.NewBM25(ctx, corpus, onDisk(dir))
	require.NoError(t, err)
	require.True(t, disk.OnDisk())
	require.Equal(t, memory.Fingerprint(), disk.Fingerprint())

	queries := queriesOf(append(randomTexts(12, 20, 6), "everywhere here also", "everywhere w1 w2 w1 here",
		"w9999 nothing")...)
	for _, k := range []int{10, 2 * n} {
		want, err := memory.Search(ctx, queries, k)
		require.NoError(t, err)
		got, err := disk.Search(ctx, queries, k)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	want, err := memory.ScoreAll(ctx, queries)
	require.NoError(t, err)
	got, err := disk.ScoreAll(ctx, queries)
	require.NoError(t, err)
	require.Equal(t, want, got)
	everything := make([]int, n)
	for i := range everything {
		everything[i] = (i * 7) % n
	}
	for q, query := range queries {
		scores, err := disk.Score(query.Text, everything)
		require.NoError(t, err)
		for j, i := range everything {
			require.Equal(t, float64(want.Data[q*want.Stride+i]), scores[j])
		}
	}
	require.NoError(t, disk.Close())
	require.NoError(t, memory.Close())
	requireEmpty(t, dir)
}

func TestBM25OnDiskIsSearchedFromManyGoroutinesAndClosedOnce(t *testing.T) {
	ctx := context.Background()
	texts := randomTexts(13, 6000, 40)
	x, err := mine.NewBM25(ctx, corpusOf(t, texts...), onDisk(t.TempDir()))
	require.NoError(t, err)
	require.True(t, x.OnDisk())
	queries := queriesOf(randomTexts(14, 30, 6)...)
	want, err := x.Search(ctx, queries, 20)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				got, err := x.Search(ctx, queries, 20)
				if err != nil {
					if !strings.Contains(err.Error(), "the index is closed") {
						t.Errorf("search: %v", err)
					}
					return
				}
				if got[3][0] != want[3][0] {
					t.Errorf("another hit: %v", got[3][0])
				}
			}
		}()
	}
	require.NoError(t, x.Close())
	wg.Wait()
	require.NoError(t, x.Close(), "twice")
	_, err = x.Search(ctx, queries, 1)
	require.EqualError(t, err, "bm25: the index is closed")
	_, err = x.ScoreAll(ctx, queries)
	require.EqualError(t, err, "bm25: the index is closed")
	_, err = x.Score("cat", []int{0})
	require.EqualError(t, err, "bm25: the index is closed")
	require.Empty(t, x.Fingerprint())
}

func TestBM25LeavesNoFileBehindWhenBuildingFails(t *testing.T) {
	corpus := corpusOf(t, randomTexts(15, 6000, 40)...)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir := t.TempDir()
	_, err := mine.NewBM25(ctx, &endingCorpus{Corpus: corpus, at: 5500, end: cancel}, onDisk(dir))
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, dir)
}

func TestBM25NamesTheFolderItCannotWriteTo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	var corpus retort.Corpus = corpusOf(t, randomTexts(16, 6000, 40)...)
	_, err := mine.NewBM25(context.Background(), corpus, onDisk(missing))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, missing)
	x, err := mine.NewBM25(context.Background(), corpusOf(t, "cat"), onDisk(missing))
	require.NoError(t, err, "no file is needed")
	require.False(t, x.OnDisk())
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}
