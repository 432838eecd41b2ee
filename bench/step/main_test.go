package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/tokenizer"
)

func baseRow() row {
	return row{
		Shape: "2x64", Queries: 6, List: 4, Tokens: 8, Distinct: 1, Steps: 3, Precision: "fp32", Loss: "go",
		GraphBudget: allGraphs, MicroBatchTokens: 64,
	}
}

func TestWorkHasTheDistinctShareAndTheLengthsOfItsRow(t *testing.T) {
	for _, test := range []struct {
		share float64
		want  int
	}{{1, 24}, {0.5, 12}, {0.25, 6}, {0.01, 4}} {
		r := baseRow()
		r.Distinct = test.share
		w, err := newWork(r, []string{"a", "b"})
		require.NoError(t, err)
		require.Equal(t, test.want, w.corpus.Len())
		seen := map[string]bool{}
		for _, l := range w.lists {
			own := map[string]bool{}
			for _, id := range l.IDs {
				own[id], seen[id] = true, true
			}
			require.Len(t, own, r.List, "a passage stands in a list once")
			require.Equal(t, 1.0, l.Scores[0])
		}
		require.Len(t, seen, test.want)
		require.Len(t, w.lengths, test.want+r.Queries)
		p, err := w.corpus.At(0)
		require.NoError(t, err)
		require.Len(t, strings.Fields(p.Text), r.Tokens-2)
	}
	r := baseRow()
	r.Tokens, r.Mixed = 64, true
	w, err := newWork(r, []string{"a"})
	require.NoError(t, err)
	lengths := map[int]bool{}
	for _, n := range w.lengths[:w.corpus.Len()] {
		require.GreaterOrEqual(t, n, 8)
		require.LessOrEqual(t, n, 64)
		lengths[n] = true
	}
	require.Greater(t, len(lengths), 5)
}

// 6 P + 12 n h a token and layer, and 6 q p h.
func TestFlopsByHand(t *testing.T) {
	c := encodernet.Config{HiddenSize: 2, IntermediateSize: 3, Layers: 5}
	const weights = 4*2*2 + 2*2*3
	require.InDelta(t, 5*10*(6*weights+12*10*2), flops(c, []int{10}, 0, 0), 1e-9)
	require.InDelta(t, 2*5*10*(6*weights+12*10*2)+6*7*11*2, flops(c, []int{10, 10}, 7, 11), 1e-9)
}

// The folder is one that bert opens, and every word of it is a token.
func TestWrittenModelsTokeniseTheirWordsToOneTokenEach(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeModel(dir, shapes["2x64"]))
	folder, err := transformer.ReadFolder(dir, transformer.Options{})
	require.NoError(t, err)
	require.Equal(t, 64, folder.Dim())
	all, err := vocabulary(dir)
	require.NoError(t, err)
	require.Len(t, all, shapes["2x64"].VocabSize-5)
	words, err := tokenizer.Load(dir, tokenizer.Options{Class: "BertTokenizer"})
	require.NoError(t, err)
	distinct := map[int32]bool{}
	for _, word := range all {
		ids, _, err := words.EncodeText(word, 8)
		require.NoError(t, err)
		require.Len(t, ids, 3, word)
		distinct[ids[1]] = true
	}
	require.Len(t, distinct, len(all))
}

func TestVocabularyTakesWordsOnly(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(text), 0o666))
	}
	write("[PAD]\n!\na\n##ing\nword\ncafé\nof\n1999\n")
	got, err := vocabulary(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"word", "of"}, got)
	write("[PAD]\n")
	_, err = vocabulary(dir)
	require.ErrorContains(t, err, "no words")
}

func TestMeasureTakesTheMedianStepAfterTheWarmUp(t *testing.T) {
	r := baseRow()
	r.Distinct = 0.5
	w, err := newWork(r, []string{"one", "two", "three"})
	require.NoError(t, err)
	student, err := encodertest.New(encodertest.Options{Dim: 8})
	require.NoError(t, err)
	inputs, err := student.Prepare(t.Context(), 0, []string{"one"})
	require.NoError(t, err)
	for i := range w.lengths { // the in-memory encoder has its own idea of special tokens
		w.lengths[i] += inputs.Tokens(0) - 3
	}
	m, err := r.measure(t.Context(), student, w)
	require.NoError(t, err)
	require.Equal(t, 3, m.Steps)
	require.Equal(t, 24, m.Listed)
	require.Equal(t, 12, m.Passages)
	require.Positive(t, m.Seconds)
	require.GreaterOrEqual(t, m.Padded, m.Tokens)

	w.lengths[0]++
	_, err = r.measure(t.Context(), student, w)
	require.ErrorContains(t, err, "not one token")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTooLong)
	m, err = r.measure(ctx, student, w)
	require.NoError(t, err)
	require.Zero(t, m.Steps)
}

func TestMedianOfSteps(t *testing.T) {
	steps := []retort.Step{
		{Encode: 9 * time.Second}, {Encode: time.Second, Backward: time.Second}, {Update: 3 * time.Second},
	}
	m := median(steps)
	require.Equal(t, 3.0, m.Seconds)
	require.Equal(t, 3.0, m.Update)
	require.Equal(t, 3, m.Steps)
}

func TestTablesVaryWhatTheySay(t *testing.T) {
	for _, table := range tables {
		labels := map[string]bool{}
		for _, r := range table.rows(baseRow()) {
			require.NotEmpty(t, r.label, table.name)
			labels[r.label] = true
			require.Contains(t, shapes, r.Shape)
			require.LessOrEqual(t, r.Tokens, 512, "positions of the written models")
		}
		require.Len(t, labels, len(table.rows(baseRow())), table.name)
	}
	found, err := findTables("graphs,queries")
	require.NoError(t, err)
	require.Equal(t, "graphs", found[0].name)
	_, err = findTables("graphs,speed")
	require.ErrorContains(t, err, `"speed"`)
	require.Len(t, settings{base: baseRow(), most: 128}.rows(tables[1]), 2)
}

func TestLinesSayWhatIsKnown(t *testing.T) {
	r := row{label: "32", Steps: 3}
	m := measured{
		Steps: 3, Seconds: 2, Loss: 0.5, Update: 0.2, Listed: 100, Passages: 25, Tokens: 900, Padded: 1000, Recomputed: 600,
		Anonymous: 64 << 20, Flops: 1e9,
	}
	require.Equal(t, "| 32 | 2 | 450 | 25.0% | 10.0% | 60.0% | 25.0% | 10.0% | 64 | 50.0% | 60.0% |",
		line(r, m, 1e9, time.Minute))
	columns := strings.Count(line(r, m, 1e9, time.Minute), "|")
	m.Steps, m.Anonymous = 2, 0
	require.Contains(t, line(r, m, 1e9, time.Minute), "| 2 (2 of 3 steps) |")
	require.Contains(t, line(r, m, 1e9, time.Minute), "| unknown |")
	none := line(r, measured{}, 1e9, time.Minute)
	require.Contains(t, none, "longer than 1m0s")
	require.Equal(t, columns, strings.Count(none, "|"))
	require.Equal(t, columns, strings.Count(strings.Split(heading(tables[0]), "\n")[3], "|"))
}

func TestSettingsNameTheFlagThatIsWrong(t *testing.T) {
	good := settings{base: baseRow(), gemm: 1}
	require.NoError(t, good.validate())
	for want, change := range map[string]func(*settings){
		"-list":      func(s *settings) { s.base.List = 1 },
		"-steps":     func(s *settings) { s.base.Steps = 0 },
		"-precision": func(s *settings) { s.base.Precision = "fp8" },
		"-loss":      func(s *settings) { s.base.Loss = "gpu" },
	} {
		bad := good
		change(&bad)
		require.ErrorContains(t, bad.validate(), want)
	}
}

func TestAChildRefusesWhatIsNoJob(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, child(t.Context(), "{", &out), "-job")
	require.ErrorContains(t, child(t.Context(), "{}", &out), "neither")
	err := child(t.Context(), `{"peak":{"m":64,"k":64,"n":64,"precision":"fp32"},"limit":60000000000}`, &out)
	if errors.Is(err, retort.ErrNoLibTorch) {
		return
	}
	require.NoError(t, err)
	require.Contains(t, out.String(), `"flops"`)
}
