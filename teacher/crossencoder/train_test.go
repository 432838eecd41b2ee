//go:build libtorch

package crossencoder

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcard"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/internal/training"
	"github.com/retort-ir/retort/teacher"
)

// goldenStepper is a stepper of the golden BERT, with the groups of the golden loss.
func goldenStepper(t *testing.T, budget int) (*stepper, []group) {
	t.Helper()
	return stepperOf(t, "testdata/bert", budget)
}

// stepperOf is a stepper of a folder, with the groups of the golden loss.
func stepperOf(t *testing.T, dir string, budget int) (*stepper, []group) {
	t.Helper()
	g := readGolden(t)
	f, err := readFolder(dir, 0)
	require.NoError(t, err)
	rt, err := torch.Open(torch.Options{})
	require.NoError(t, err)
	st := &stepper{rt: rt, folder: f, loss: TrainLoss(1), budget: budget}
	st.net, err = loadNetwork(t.Context(), rt, f, torch.Float32, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, rt.Run(context.Background(), func(s *torch.Scope) error {
			st.net.params.Free(s)
			return nil
		}))
		require.NoError(t, rt.Close())
	})
	var groups []group
	for i, work := range g.lists()[:2] {
		row := group{work: work}.row
		row.ID, row.Positive = fmt.Sprint(i), 1
		for j, score := range g.Scores {
			row.List = append(row.List, int32(j))
			row.Teacher = append(row.Teacher, score)
		}
		groups = append(groups, group{work, row})
	}
	return st, groups
}

func gradients(t *testing.T, st *stepper) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	require.NoError(t, st.rt.Run(t.Context(), func(s *torch.Scope) error {
		for i, p := range st.net.params {
			name := p.Name
			if i < len(st.net.body.Params) {
				name = st.folder.config.Family().Prefix + name
			}
			all[name] = s.Floats(s.Grad(p.Value))
		}
		return s.Err()
	}))
	return all
}

// The reference is PyTorch's autograd over transformers' model. The budgets take one window of one micro-batch, windows
// of several, and groups whose graph does not fit, which are computed twice.
func TestGradientsEqualPyTorchWhateverTheMicroBatches(t *testing.T) {
	f, err := safetensors.Open("testdata/gradients.safetensors")
	require.NoError(t, err)
	defer f.Close()
	for _, budget := range []int{10_000, 200, 30} {
		st, groups := goldenStepper(t, budget)
		loss, err := st.gradient(t.Context(), groups)
		require.NoError(t, err)
		require.InDelta(t, readGolden(t).Loss, loss, 1e-5)
		got := gradients(t, st)
		require.Len(t, got, len(f.Names()))
		for name, values := range got {
			_, want, err := f.Tensor(name)
			require.NoError(t, err)
			// A key's bias has no gradient but rounding: softmax does not see it.
			require.InDelta(t, 0, distance(want, values), 1e-4*distance(want, make([]float32, len(want)))+1e-5, "%s, budget %d", name, budget)
		}
	}
}

func distance(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += (float64(a[i]) - float64(b[i])) * (float64(a[i]) - float64(b[i]))
	}
	return math.Sqrt(sum)
}

// boats is a task that a small model learns: the relevant passage names the query's thing.
func boats(t testing.TB, n int) (*retort.MemoryCorpus, []Example) {
	t.Helper()
	things := []string{"retort", "kettle", "boat", "lamp", "tide", "book", "clock", "vessel"}
	var passages []retort.Passage
	for i, thing := range things {
		passages = append(passages, retort.Passage{ID: thing, Text: "the " + thing + " and what every " + things[(i+3)%len(things)] + " reads"})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	examples := make([]Example, n)
	for i := range examples {
		e := &examples[i]
		thing := things[i%len(things)]
		e.List.Query = retort.Query{ID: fmt.Sprint(i), Text: fmt.Sprintf("which %s %d", thing, i)}
		for _, other := range things {
			e.List.IDs = append(e.List.IDs, other)
			score := 0.0
			if other == thing {
				score = 4
			}
			e.List.Scores = append(e.List.Scores, score)
		}
		e.Positives = []string{thing}
	}
	return corpus, examples
}

func trainOptions() TrainOptions {
	o := DefaultTrainOptions()
	o.QueriesPerStep, o.GroupSize, o.Epochs, o.LR, o.Seed = 4, 4, 3, 1e-3, 7
	o.Model.BatchTokens = 128
	return o
}

func withoutScores(examples []Example) []Example {
	for i := range examples {
		examples[i].List.Scores = nil
	}
	return examples
}

func withoutPositives(examples []Example) []Example {
	for i := range examples {
		examples[i].Positives = nil
	}
	return examples
}

func TestTrainingLearnsFromPositivesFromScoresAndFromBoth(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]Example) []Example
		metric string
	}{
		"positives": {withoutScores, "nDCG@10"},
		"scores":    {withoutPositives, "-loss"},
		"both":      {func(e []Example) []Example { return e }, "nDCG@10"},
	} {
		t.Run(name, func(t *testing.T) {
			corpus, examples := boats(t, 40)
			examples = c.change(examples)
			o := trainOptions()
			o.Epochs, o.LR, o.Dev = 12, 3e-3, examples[32:]
			var log bytes.Buffer
			o.Events = retort.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
			steps := 0
			o.Events.Step = func(s retort.Step) { steps = s.Step }
			out := filepath.Join(t.TempDir(), "model")
			result, err := Train(t.Context(), "testdata/bert", out, corpus, examples[:32], o)
			require.NoError(t, err)
			require.Equal(t, c.metric, result.Metric)
			require.Equal(t, 96, result.TotalSteps)
			require.Equal(t, result.Steps, steps)
			first := result.History[0]
			require.Zero(t, first.Step)
			require.Greater(t, result.Best.Score, first.Score+0.2, "%+v", result)
			require.Contains(t, log.String(), "msg=evaluation")

			m := openModel(t, out, Options{})
			dev := examples[32]
			dev.List.Scores, err = m.Score(t.Context(), dev.List.Query, corpusPassages(t, corpus, dev.List.IDs))
			require.NoError(t, err)
			best := 0
			for i, s := range dev.List.Scores {
				if s > dev.List.Scores[best] {
					best = i
				}
			}
			require.Equal(t, "retort", dev.List.IDs[best])
		})
	}
}

func corpusPassages(t testing.TB, corpus retort.Corpus, ids []string) []retort.Passage {
	t.Helper()
	passages := make([]retort.Passage, len(ids))
	for i, id := range ids {
		index, ok := corpus.Index(id)
		require.True(t, ok)
		var err error
		passages[i], err = corpus.At(index)
		require.NoError(t, err)
	}
	return passages
}

func TestABiEncoderGetsAHeadAndTheSeedDecidesIt(t *testing.T) {
	corpus, examples := boats(t, 8)
	weights := func(seed uint64, lr float64) []byte {
		o := trainOptions()
		o.Seed, o.LR, o.Epochs = seed, lr, 1
		out := filepath.Join(t.TempDir(), "model")
		_, err := Train(t.Context(), "../../encoder/transformer/testdata/tiny", out, corpus, examples, o)
		require.NoError(t, err)
		openModel(t, out, Options{})
		raw, err := os.ReadFile(filepath.Join(out, encodernet.WeightsFile))
		require.NoError(t, err)
		return raw
	}
	require.True(t, bytes.Equal(weights(1, 1e-3), weights(1, 1e-3)), "the same seed, the same bytes")
	require.False(t, bytes.Equal(weights(1, 1e-3), weights(2, 1e-3)))
}

func TestTheSavedModelScoresAsTheTrainedOneAndEveryHeadBecomesOneLabel(t *testing.T) {
	g := readGolden(t)
	for _, name := range goldenModels {
		corpus, examples := boats(t, 4)
		o := trainOptions()
		o.Epochs, o.LR, o.Model.MaxTokens = 1, 1e-12, 21 // it learns nothing that can be measured
		out := filepath.Join(t.TempDir(), "model")
		_, err := Train(t.Context(), filepath.Join("testdata", name), out, corpus, examples, o)
		require.NoError(t, err)
		m := openModel(t, out, Options{})
		require.Equal(t, 21, m.MaxTokens(), "the limit is saved")
		require.InDeltaSlice(t, g.Models[name][1].Scores, scoreAll(t, m, g.lists()), 1e-4, name)
		var config map[string]any
		require.NoError(t, jsonfile.Read(filepath.Join(out, "config.json"), &config))
		require.Len(t, config["id2label"], 1)
		require.Equal(t, []any{m.folder.architecture()}, config["architectures"])
	}
}

// A run that is stopped, or killed, after any step comes to the same bytes as one that is not.
func TestAResumedRunComesToTheSameBytes(t *testing.T) {
	corpus, examples := boats(t, 20)
	options := func() TrainOptions {
		o := trainOptions()
		o.Dev = examples[16:]
		o.EvalSteps = 3
		o.CheckpointEvery = 0 // after every step
		return o
	}
	whole := filepath.Join(t.TempDir(), "model")
	want, err := Train(t.Context(), "testdata/bert", whole, corpus, examples[:16], options())
	require.NoError(t, err)
	for _, stop := range []int{3, 7} {
		for _, kill := range []bool{false, true} {
			dir := t.TempDir()
			o := options()
			o.Dir = filepath.Join(dir, "run")
			ctx, cancel := context.WithCancel(t.Context())
			copied := filepath.Join(dir, "copy")
			o.Events.Step = func(s retort.Step) {
				if s.Step != stop {
					return
				}
				// What a kill at this moment would leave: the checkpoint of the step before.
				require.NoError(t, os.CopyFS(copied, os.DirFS(o.Dir)))
				cancel()
			}
			out := filepath.Join(dir, "model")
			_, err := Train(ctx, "testdata/bert", out, corpus, examples[:16], o)
			require.ErrorIs(t, err, context.Canceled)
			require.NoDirExists(t, out)
			o.Events = retort.Events{}
			if kill {
				o.Dir = copied
			}
			got, err := Train(t.Context(), "testdata/bert", out, corpus, examples[:16], o)
			require.NoError(t, err)
			require.Equal(t, want.History, got.History)
			requireSameFile(t, filepath.Join(whole, encodernet.WeightsFile), filepath.Join(out, encodernet.WeightsFile))

			o.LR = 2e-3
			_, err = Train(t.Context(), "testdata/bert", out, corpus, examples[:16], o)
			require.ErrorContains(t, err, "LR is 0.001 in the checkpoint and 0.002 in this run")
		}
	}
}

func requireSameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	require.NoError(t, err)
	y, err := os.ReadFile(b)
	require.NoError(t, err)
	require.True(t, bytes.Equal(x, y), "%s and %s differ", a, b)
}

func TestAnUntouchedModelThatIsBestIsSaved(t *testing.T) {
	corpus, examples := boats(t, 12)
	o := trainOptions()
	o.Dev, o.Patience, o.LR = examples[8:], 1, 1e-12
	out := filepath.Join(t.TempDir(), "model")
	result, err := Train(t.Context(), "testdata/bert", out, corpus, examples[:8], o)
	require.NoError(t, err)
	require.Zero(t, result.Best.Step, "%+v", result)
	require.Equal(t, 2, result.Steps, "patience ends it after an epoch")
}

func TestLossesThatAreNotFiniteNameTheStepAndSaveNothing(t *testing.T) {
	dir := t.TempDir()
	start := filepath.Join(dir, "start")
	require.NoError(t, os.CopyFS(start, os.DirFS("testdata/bert")))
	changeWeights(t, start, func(all []safetensors.Tensor) []safetensors.Tensor {
		for i := range all {
			if all[i].Name == "classifier.weight" {
				all[i].Values = slices.Repeat([]float32{math.MaxFloat32}, len(all[i].Values))
			}
		}
		return all
	})
	corpus, examples := boats(t, 8)
	out := filepath.Join(dir, "model")
	_, err := Train(t.Context(), start, out, corpus, examples, trainOptions())
	require.ErrorContains(t, err, `step 1 of 6: loss of query "`)
	require.NoDirExists(t, out)

	o := trainOptions()
	o.LR = 1e30
	_, err = Train(t.Context(), "testdata/bert", out, corpus, examples, o)
	require.ErrorContains(t, err, "step ")
	require.NoDirExists(t, out)

	st, groups := goldenStepper(t, 1000)
	groups[0].row.Weight = 1e300
	_, _, err = st.step(t.Context(), groups, encoder.Update{LR: 1, Beta1: training.Beta1, Beta2: training.Beta2, Eps: training.Eps})
	require.ErrorIs(t, err, encoder.ErrNonFinite)
	require.ErrorContains(t, err, `queries "0", "1"`)
}

func TestTrainingStopsWithItsContext(t *testing.T) {
	corpus, examples := boats(t, 16)
	o := trainOptions()
	o.Epochs = 100_000
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Train(ctx, "testdata/bert", filepath.Join(t.TempDir(), "model"), corpus, examples, o)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestBFloat16TrainsFloat32Weights(t *testing.T) {
	corpus, examples := boats(t, 8)
	o := trainOptions()
	o.Epochs, o.Model.Precision = 1, "bf16"
	out := filepath.Join(t.TempDir(), "model")
	_, err := Train(t.Context(), "testdata/bert", out, corpus, examples, o)
	require.NoError(t, err)
	f, err := safetensors.Open(filepath.Join(out, encodernet.WeightsFile))
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, "F32", f.DType("classifier.weight"))
}

// The reference is sentence-transformers 6.2 and transformers 5: testdata/check_st.py. From a start whose config.json
// names a type of 16 bits, transformers 5 would round what training has changed.
func TestATrainedModelForSentenceTransformers(t *testing.T) {
	start := os.Getenv("RETORT_MODEL")
	if start == "" {
		start = "../../encoder/transformer/testdata/tiny"
	}
	halves := filepath.Join(t.TempDir(), "halves")
	require.NoError(t, os.CopyFS(halves, os.DirFS(start)))
	var config map[string]any
	require.NoError(t, jsonfile.Read(filepath.Join(halves, encodernet.ConfigFile), &config))
	delete(config, "dtype")
	config["torch_dtype"], config["_name_or_path"], config["transformers_version"] = "bfloat16", "/home/somebody/model",
		"4.0.0"
	require.NoError(t, jsonfile.Write(filepath.Join(halves, encodernet.ConfigFile), config))

	corpus, examples := boats(t, 8)
	o := trainOptions()
	o.Epochs, o.LR, o.Model.MaxTokens = 1, 1e-4, 24
	dir := t.TempDir()
	out := filepath.Join(dir, "model")
	_, err := Train(t.Context(), halves, out, corpus, examples, o)
	require.NoError(t, err)
	config = nil
	require.NoError(t, jsonfile.Read(filepath.Join(out, encodernet.ConfigFile), &config))
	require.Equal(t, "float32", config["dtype"])
	for _, key := range []string{"torch_dtype", "_name_or_path", "transformers_version"} {
		require.NotContains(t, config, key)
	}
	card, err := os.ReadFile(filepath.Join(out, modelcard.File))
	require.NoError(t, err)
	require.Contains(t, string(card), "pipeline_tag: \"text-ranking\"\n")
	require.Contains(t, string(card), "- Base model: halves\n")

	python := os.Getenv("RETORT_PYTHON")
	if python == "" {
		t.Skip("set RETORT_PYTHON to a Python that has sentence-transformers")
	}
	g := readGolden(t)
	lists := g.lists()
	scores := filepath.Join(dir, "scores.json")
	require.NoError(t, jsonfile.Write(scores, map[string]any{
		"pairs": contents(lists), "scores": scoreAll(t, openModel(t, out, Options{}), lists),
	}))
	printed, err := exec.Command(python, "-B", "testdata/check_st.py", out, scores).CombinedOutput()
	require.NoError(t, err, "%s", printed)
}

func contents(lists []teacher.Work) [][2]string {
	var all [][2]string
	for _, l := range lists {
		for _, p := range l.Passages {
			all = append(all, [2]string{l.Query.Text, p.Content()})
		}
	}
	return all
}
