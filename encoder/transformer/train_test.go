//go:build libtorch

package transformer

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/internal/rss/rsstest"
	"github.com/retort-ir/retort/loss"
)

// lessons are lists of 4 of the golden file's passages that overlap from query to query.
func lessons(t *testing.T, n int) (*retort.MemoryCorpus, []retort.List) {
	t.Helper()
	g := readModelGolden(t, "tiny")
	var passages []retort.Passage
	for i, text := range g.Passage.Texts {
		passages = append(passages, retort.Passage{ID: fmt.Sprint("p", i), Text: text})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	var lists []retort.List
	for i := range n {
		l := retort.List{Query: retort.Query{
			ID:   fmt.Sprint("q", i),
			Text: fmt.Sprint("query ", g.Query.Texts[i%len(g.Query.Texts)]),
		}}
		for j := range 4 {
			l.IDs = append(l.IDs, fmt.Sprint("p", (i+j*j)%len(passages)))
			l.Scores = append(l.Scores, 1-float64(j)/5)
		}
		lists = append(lists, l)
	}
	return corpus, lists
}

// The cached gradient is that of one batch through LibTorch's autograd, for every parameter: passages that lists share,
// masked false negatives, counts, either tower, all sizes of micro-batches, graphs kept and not. In float64 the two are
// equal to 1e-13. In float32 each is off by its own rounding: by testdata/gradient_rounding.py up to 3e-6 over all
// parameters, and up to 1.4e-5 in the last LayerNorm.bias, whose gradient all but cancels out, whichever instructions
// the CPU has. The bounds are twice that, and some room.
func TestTheCachedGradientIsThatOfOneBatch(t *testing.T) {
	corpus, lists := lessons(t, 6)
	for _, towers := range []distill.Towers{distill.Both, distill.QueryOnly} {
		m := openModel(t, "testdata/tiny", Options{})
		for _, tokens := range []int{1, 40, 100, 300, 1000, math.MaxInt} {
			for _, graphs := range []int64{-1, 2 << 20, math.MaxInt64} {
				opts := distill.DefaultOptions()
				opts.Towers = distill.Both
				opts.Towers, opts.Memory.MicroBatchTokens, opts.Memory.GraphBudget = towers, tokens, graphs
				opts.CountDuplicates = graphs < 0
				opts.Loss = loss.Sum{
					{Weight: 1, Loss: loss.ListwiseKL{}},
					{Weight: .1, Loss: loss.InfoNCE{Temperature: .05, MaskRatio: .7}},
				}
				c, err := distill.CheckGradient(t.Context(), m, corpus, lists, opts)
				require.NoError(t, err)
				at := fmt.Sprintf("%s, %d tokens, %d bytes: %s", towers, tokens, graphs, c.Worst)
				require.Less(t, c.Plain, 1e-5, at)
				limit := 3e-5
				if strings.HasSuffix(c.Worst, "key.bias") {
					limit = 1e-4 // nothing but rounding: the softmax takes out what is added to every score
				}
				require.Less(t, c.Parameter, limit, at)
				require.Less(t, c.Central, .05, at)
			}
		}
	}
}

// The estimate holds for what LibTorch really keeps: not less, and, with the holes that the allocator leaves, not twice
// as much.
func TestGraphBytesIsWhatAGraphTakes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc")
	}
	dirs := []string{"testdata/tiny"}
	if dir := os.Getenv("RETORT_MODEL"); dir != "" {
		dirs = append(dirs, dir)
	}
	exact := rsstest.WithoutHoles(t)
	for _, dir := range dirs {
		for _, precision := range []retort.Precision{retort.FP32, retort.BF16} {
			t.Run(filepath.Base(dir)+"/"+string(precision), func(t *testing.T) {
				graphBytes(t, exact, openModel(t, dir, Options{Precision: precision}))
			})
		}
	}
}

func graphBytes(t *testing.T, exact bool, m *Model) {
	texts := make([]string, 1024) // of which a tiny model takes all: a few MiB more or less say nothing then
	for i := range texts {
		texts[i] = strings.Repeat("read a file line by line ", 20)
	}
	in, err := m.Prepare(t.Context(), 1, texts)
	require.NoError(t, err)
	// About 100 MB of a big model, whatever there is of a tiny one.
	rows := span(0, min(len(texts), 1+int((100<<20)/m.GraphBytes(in, span(0, 1)))))
	estimate := float64(m.GraphBytes(in, rows)) / (1 << 20)
	warm, err := m.Forward(t.Context(), in, rows, true)
	require.NoError(t, err)
	took := rsstest.Growth(t, 5, func() {
		pass, err := m.Forward(t.Context(), in, rows, true)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, pass.Close()) })
	})
	t.Logf("a graph of %d tokens takes %.1f MiB, estimated %.1f MiB", len(rows)*in.Tokens(0), took, estimate)
	require.NoError(t, warm.Close())
	if exact {
		require.Greater(t, estimate, .8*took)
	} else {
		require.Less(t, estimate, 1.3*took)
	}
}

// Neither tensors nor resident memory grow: 200 steps in every test run, 10,000 in the soak run.
func TestTrainingLeavesMemoryFlat(t *testing.T) {
	steps := 200
	if os.Getenv("RETORT_SOAK") != "" {
		steps = 10_000
	}
	corpus, lists := lessons(t, 20)
	for _, graphs := range []int64{-1, math.MaxInt64} {
		m := openModel(t, "testdata/tiny", Options{})
		opts := distill.DefaultOptions()
		opts.Towers = distill.Both
		opts.Schedule.Epochs, opts.Schedule.QueriesPerStep, opts.Selection.DevFraction, opts.Memory.MicroBatchTokens, opts.Memory.GraphBudget = steps/5, 4, 0, 200, graphs
		var tensors int64
		var before, last float64
		opts.Events.Step = func(s retort.Step) {
			switch {
			case s.Step == 1:
				tensors = m.rt.Live()
			case s.Step == s.Steps/4:
				before = rsstest.MB(t)
			case s.Step == s.Steps:
				last = rsstest.MB(t)
			}
			require.Equal(t, tensors, m.rt.Live(), "tensors after step %d", s.Step)
		}
		result, err := distill.Train(context.Background(), m, corpus, lists, opts)
		require.NoError(t, err)
		require.Equal(t, steps, result.Steps)
		require.InDelta(t, before, last, 24, "resident memory in MB over %d steps", steps*3/4)
	}
}

// The same run gives the same bits, whichever graphs are kept: the kernels and the order of sums are the same.
func TestTrainingIsBitReproducibleWhicheverGraphsAreKept(t *testing.T) {
	corpus, lists := lessons(t, 20)
	var first []byte
	for _, graphs := range []int64{-1, -1, 2 << 20, math.MaxInt64} {
		m := openModel(t, "testdata/tiny", Options{})
		opts := distill.DefaultOptions()
		opts.Towers = distill.Both
		opts.Schedule.Epochs, opts.Schedule.QueriesPerStep, opts.Selection.DevFraction, opts.Memory.MicroBatchTokens, opts.Memory.GraphBudget = 2, 6, 0, 200, graphs
		_, err := distill.Train(t.Context(), m, corpus, lists, opts)
		require.NoError(t, err)
		var state strings.Builder
		require.NoError(t, m.SaveState(&state))
		if first == nil {
			first = []byte(state.String())
		}
		require.True(t, string(first) == state.String(), "graphs of %d bytes", graphs)
	}
}
