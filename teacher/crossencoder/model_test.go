package crossencoder

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/teacher"
)

func openModel(t testing.TB, dir string, o Options) *Model {
	t.Helper()
	m, err := Open(context.Background(), dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// scoreAll returns the scores of lists, end to end.
func scoreAll(t testing.TB, m *Model, lists []teacher.Work) []float64 {
	t.Helper()
	byList := make([][]float64, len(lists))
	for i, scored := range m.ScoreBatch(t.Context(), lists) {
		require.NoError(t, scored.Err)
		require.Nil(t, byList[i], "once each")
		byList[i] = scored.Scores
	}
	var all []float64
	for _, scores := range byList {
		all = append(all, scores...)
	}
	return all
}

// The reference is transformers on PyTorch 2.15.
func TestScoresEqualTransformers(t *testing.T) {
	g := readGolden(t)
	for _, name := range goldenModels {
		for _, c := range g.Models[name] {
			for _, budget := range []int{0, 50} {
				m := openModel(t, filepath.Join("testdata", name), Options{MaxTokens: c.Limit, BatchTokens: budget})
				got := scoreAll(t, m, g.lists())
				require.InDeltaSlice(t, c.Scores, got, 1e-4, "%s, limit %d, budget %d", name, c.Limit, budget)
				require.Greater(t, spread(c.Scores), 0.1, "scores that a wrong model would not give too")
				require.Positive(t, m.Truncated())
			}
		}
	}
}

func spread(x []float64) float64 {
	low, high := x[0], x[0]
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	return high - low
}

func TestScoreEqualsScoreBatch(t *testing.T) {
	g := readGolden(t)
	m := openModel(t, "testdata/bert", Options{})
	lists := append(g.lists(), teacher.Work{Query: retort.Query{ID: "empty", Text: "nothing to score"}})
	want := scoreAll(t, m, lists)
	var got []float64
	for _, l := range lists {
		scores, err := m.Score(t.Context(), l.Query, l.Passages)
		require.NoError(t, err)
		require.Len(t, scores, len(l.Passages))
		got = append(got, scores...)
	}
	require.InDeltaSlice(t, want, got, 1e-5)
	require.GreaterOrEqual(t, m.BatchSize(), 1)
}

func TestWindowsOfManyListsComeBackInOrder(t *testing.T) {
	m := openModel(t, "testdata/bert", Options{})
	passages := make([]retort.Passage, windowPairs/2+1)
	for i := range passages {
		passages[i] = retort.Passage{ID: "p", Text: "boat"}
	}
	var lists []teacher.Work
	for range 3 {
		lists = append(lists, teacher.Work{Query: retort.Query{ID: "q", Text: "x"}, Passages: passages})
	}
	require.Len(t, scoreAll(t, m, lists), 3*len(passages))
}

func TestScoresOfConcurrentCallsAreTheirOwn(t *testing.T) {
	g := readGolden(t)
	m := openModel(t, "testdata/roberta", Options{})
	lists := g.lists()
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i, l := range lists {
				scores, err := m.Score(context.Background(), l.Query, l.Passages)
				if err != nil {
					t.Error(err)
					return
				}
				for j, s := range scores {
					if want := g.Models["roberta"][0].Scores[i*len(l.Passages)+j]; math.Abs(s-want) > 1e-4 {
						t.Errorf("list %d, passage %d: %v, want %v", i, j, s, want)
					}
				}
			}
		}()
	}
	wg.Wait()
}

func TestScoringStopsWithItsContextAndItsConsumer(t *testing.T) {
	m := openModel(t, "testdata/bert", Options{})
	lists := readGolden(t).lists()
	live := func() int { return 0 } // tensors, on LibTorch
	if m.rt != nil {
		live = func() int { return int(m.rt.Live()) }
	}
	before := live()
	for range m.ScoreBatch(t.Context(), lists) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range m.ScoreBatch(ctx, lists) {
		require.Fail(t, "a score after the end")
	}
	_, err := m.Score(ctx, lists[0].Query, lists[0].Passages)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, live(), "no tensor is left")
}

func TestWeightsThatOverflowGiveAnErrorAndNoScore(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/bert")))
	changeWeights(t, dir, func(all []safetensors.Tensor) []safetensors.Tensor {
		for i := range all {
			if all[i].Name == "classifier.weight" {
				all[i].Values = slices.Repeat([]float32{math.MaxFloat32}, len(all[i].Values))
			}
		}
		return all
	})
	m := openModel(t, dir, Options{})
	_, err := m.Score(t.Context(), retort.Query{ID: "q7", Text: "x"}, []retort.Passage{{ID: "p3", Text: "boat"}})
	require.ErrorContains(t, err, `passage "p3" of query "q7"`)
}

func TestFingerprintsTellModelsAndLimitsApart(t *testing.T) {
	seen := map[string]string{}
	for name, o := range map[string]Options{"plain": {}, "limit": {MaxTokens: 20}} {
		m := openModel(t, "testdata/bert", o)
		require.Empty(t, seen[m.Fingerprint()])
		seen[m.Fingerprint()] = name
	}
	require.Empty(t, seen[openModel(t, "testdata/bert2", Options{}).Fingerprint()])
	require.Equal(t, "plain", seen[openModel(t, "testdata/bert", Options{BatchTokens: 64}).Fingerprint()])
}

// Stored scores are of use to both builds.
func TestTheFingerprintIsTheSameOnLibTorchAndInPureGo(t *testing.T) {
	for name, want := range map[string]string{
		"bert":  "70d03436ad663e3ab32437c47ef2e1c7ceaa1008d8b7c97352d18fe204c06ac0",
		"bert2": "2437806954f060eea907e59276b7889634f55db27adb1ebb5fc9fb6359f6823e",
	} {
		require.Equal(t, want, openModel(t, filepath.Join("testdata", name), Options{}).Fingerprint(), name)
	}
}

// The reference is transformers 5.24 on PyTorch 2.15.
func TestScoresOfEveryFamilyEqualTransformers(t *testing.T) {
	lists := readGolden(t).lists()
	for name, g := range readFamilies(t) {
		dir := familyFolder(t, name, g)
		for _, c := range g.Cases {
			for _, budget := range []int{0, 50} {
				m := openModel(t, dir, Options{MaxTokens: c.Limit, BatchTokens: budget})
				got := scoreAll(t, m, lists)
				require.InDeltaSlice(t, c.Scores, got, 2e-5, "%s, limit %d, budget %d", name, c.Limit, budget)
				require.Greater(t, spread(c.Scores), 0.1, "scores that a wrong model would not give too")
			}
		}
	}
}

func TestAClosedModelSaysSo(t *testing.T) {
	m, err := Open(t.Context(), "testdata/bert", Options{})
	require.NoError(t, err)
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	lists := readGolden(t).lists()
	_, err = m.Score(t.Context(), lists[0].Query, lists[0].Passages)
	require.ErrorContains(t, err, "closed")
	require.Empty(t, m.Fingerprint())
}
