package mine_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// endingCorpus ends a context when its passage at is read, and counts the reads after that.
type endingCorpus struct {
	retort.Corpus
	at    int
	end   context.CancelFunc
	ended atomic.Bool
	after atomic.Int32
}

func (c *endingCorpus) At(i int) (retort.Passage, error) {
	if c.ended.Load() {
		c.after.Add(1)
	}
	if i == c.at {
		c.end()
		c.ended.Store(true)
	}
	return c.Corpus.At(i)
}

func TestWorkInHandStopsWhenTheContextEnds(t *testing.T) {
	corpus := corpusOf(t, randomTexts(1, 3000, 5)...)
	for _, c := range []struct {
		name  string
		block int // that many more passages may be read
		run   func(context.Context, retort.Corpus) error
	}{
		{"NewBM25", 64, func(ctx context.Context, c retort.Corpus) error {
			_, err := mine.NewBM25(ctx, c, mine.BM25Options{})
			return err
		}},
		{"NewDense", 1024, func(ctx context.Context, c retort.Corpus) error {
			_, err := mine.NewDense(ctx, wordHash{4}, c, nil)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ending := &endingCorpus{Corpus: corpus, at: 100, end: cancel}
			require.ErrorIs(t, c.run(ctx, ending), context.Canceled)
			require.LessOrEqual(t, int(ending.after.Load()), c.block)
		})
	}
}

func TestTopKStopsWithinASecond(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	queries, passages := randomMatrix(1, 6000, 256), randomMatrix(2, 20000, 256)
	start := time.Now()
	_, err := mine.TopK(ctx, queries, passages, 10)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), time.Second)
}

func TestRetrieversAreSafeForConcurrentUse(t *testing.T) {
	texts := randomTexts(1, 200, 10)
	bm25 := newBM25(t, mine.BM25Options{Analyzer: mine.Code()}, texts...)
	dense, err := mine.NewDense(context.Background(), wordHash{16}, corpusOf(t, texts...), nil)
	require.NoError(t, err)
	fusion, err := mine.NewZScoreFusion(100, bm25, dense)
	require.NoError(t, err)
	queries := queriesOf(randomTexts(2, 70, 4)...)
	for _, r := range []mine.Retriever{bm25, dense, fusion} {
		want, err := r.Search(context.Background(), queries, 20)
		require.NoError(t, err)
		var wg sync.WaitGroup
		got := make([][][]mine.Hit, 4)
		errs := make([]error, len(got))
		for i := range got {
			wg.Add(1)
			go func() {
				defer wg.Done()
				got[i], errs[i] = r.Search(context.Background(), queries, 20)
			}()
		}
		wg.Wait()
		for i := range got {
			require.NoError(t, errs[i])
			require.Equal(t, want, got[i])
		}
	}
}
