package generate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/goroutines"
)

type generatorFunc func(ctx context.Context, p retort.Passage) ([]retort.Query, error)

func (f generatorFunc) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	return f(ctx, p)
}

func numbered(t testing.TB, n int) *retort.MemoryCorpus {
	passages := make([]retort.Passage, n)
	for i := range passages {
		passages[i] = retort.Passage{ID: fmt.Sprint(i)}
	}
	return corpusOf(t, passages)
}

func query(p retort.Passage) retort.Query {
	return retort.Query{ID: p.ID + "#x#0", Text: "about " + p.ID, Source: p.ID}
}

// The first passages are the slowest.
func slowFirst(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	if len(p.ID) == 1 {
		time.Sleep(5 * time.Millisecond)
	}
	return []retort.Query{query(p)}, ctx.Err()
}

func TestAllKeepsTheOrderOfTheCorpus(t *testing.T) {
	for _, workers := range []int{0, 1, 3, 50} {
		i := 0
		for q, err := range All(t.Context(), generatorFunc(slowFirst), numbered(t, 100), workers) {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(i), q.Source)
			i++
		}
		require.Equal(t, 100, i)
	}
}

func TestAllRunsAsManyAsItMay(t *testing.T) {
	var running, most atomic.Int64
	g := generatorFunc(func(_ context.Context, p retort.Passage) ([]retort.Query, error) {
		now := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		return nil, nil
	})
	for range All(t.Context(), g, numbered(t, 60), 4) {
	}
	require.EqualValues(t, 4, most.Load())
}

func TestAllGoesOnAfterAPassageThatFails(t *testing.T) {
	failed := errors.New("the service is down")
	for _, c := range []struct {
		name string
		of3  func(p retort.Passage) ([]retort.Query, error)
		want string
	}{
		{"error", func(retort.Passage) ([]retort.Query, error) { return nil, failed }, `make queries of passage "3": the service is down`},
		{"no id", func(p retort.Passage) ([]retort.Query, error) { return []retort.Query{{Text: "x", Source: p.ID}}, nil }, `passage "3": query 0: the generator gave no ID`},
		{"no text", func(p retort.Passage) ([]retort.Query, error) { return []retort.Query{{ID: "x", Source: p.ID}}, nil }, `passage "3": query 0: the generator gave no Text`},
		{"other source", func(p retort.Passage) ([]retort.Query, error) {
			return []retort.Query{query(p), {ID: "x", Text: "x", Source: "y"}}, nil
		}, `passage "3": query 1: the generator gave the Source "y"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := generatorFunc(func(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
				if p.ID == "3" {
					return c.of3(p)
				}
				return []retort.Query{query(p)}, nil
			})
			i := 0
			for q, err := range All(t.Context(), g, numbered(t, 6), 2) {
				require.Equal(t, fmt.Sprint(i), q.Source)
				if i == 3 {
					require.ErrorContains(t, err, c.want)
				} else {
					require.NoError(t, err)
				}
				i++
			}
			require.Equal(t, 6, i)
		})
	}
}

func TestAllLeavesNothingBehindWhenTheLoopEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	var working atomic.Int64
	g := generatorFunc(func(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
		working.Add(1)
		defer working.Add(-1)
		if p.ID != "0" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []retort.Query{query(p)}, nil
	})
	for range All(t.Context(), g, numbered(t, 100), 8) {
		break
	}
	require.Zero(t, working.Load())
	goroutines.RequireNoMore(t, before, time.Second)
}

func TestAllStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := generatorFunc(func(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
		if p.ID == "5" {
			cancel()
		}
		if p.ID >= "5" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []retort.Query{query(p)}, nil
	})
	var last error
	n := 0
	for _, err := range All(ctx, g, numbered(t, 1000), 2) {
		last = err
		n++
	}
	require.ErrorIs(t, last, context.Canceled)
	require.LessOrEqual(t, n, 6)
}

func TestAllAgreesWithGenerateOneByOne(t *testing.T) {
	e := extractive(t, abstracts, Options{PerPassage: 10})
	var want, got []retort.Query
	for _, p := range abstracts {
		want = append(want, queriesOf(t, e, p)...)
	}
	for q, err := range All(t.Context(), e, corpusOf(t, abstracts), 3) {
		require.NoError(t, err)
		got = append(got, q)
	}
	require.Equal(t, want, got)
}

func TestDedupKeepsTheFirstOfWhatSaysTheSame(t *testing.T) {
	queries := []retort.Query{
		{ID: "1", Text: "Reset my password", Type: "title"},
		{ID: "2", Text: "reset my password?", Type: "sentence"},
		{ID: "3", Text: "reset the password", Type: "sentence"},
		{ID: "4", Text: "RESET  MY  PASSWORD", Type: "sentence"},
		{ID: "5", Text: "Reset the password!", Type: "howto"},
	}
	kept, dropped := Dedup(queries)
	require.Equal(t, []retort.Query{queries[0], queries[2]}, kept)
	require.Equal(t, map[string]int{"sentence": 2, "howto": 1}, dropped)
	require.Equal(t, "2", queries[1].ID, "the argument is not changed")

	kept, dropped = Dedup(nil)
	require.Empty(t, kept)
	require.Empty(t, dropped)
}
