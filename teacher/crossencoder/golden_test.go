package crossencoder

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/tokenizer"
	"github.com/retort-ir/retort/teacher"
)

var goldenModels = []string{"bert", "bert2", "roberta", "xlmr"}

// golden is what testdata/make_golden.py wrote.
type golden struct {
	Scores []float64 // of a list's passages by another teacher
	Loss   float64
	Pairs  [][2]string
	Models map[string][]struct {
		Limit  int
		IDs    [][]int32
		Scores []float64
	}
}

func readGolden(t testing.TB) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(raw, &g))
	return g
}

// lists returns the pairs as lists, one a query, in their order.
func (g golden) lists() []teacher.Work {
	var lists []teacher.Work
	for _, pair := range g.Pairs {
		if n := len(lists); n == 0 || lists[n-1].Query.Text != pair[0] {
			lists = append(lists, teacher.Work{Query: retort.Query{ID: "q", Text: pair[0]}})
		}
		last := &lists[len(lists)-1]
		last.Passages = append(last.Passages, retort.Passage{ID: "p", Text: pair[1]})
	}
	return lists
}

// The reference is transformers' fast tokenizers with truncation "longest_first".
func TestPairsEqualTransformers(t *testing.T) {
	g := readGolden(t)
	for _, name := range goldenModels {
		for _, c := range g.Models[name] {
			f, err := readFolder(filepath.Join("testdata", name), c.Limit)
			require.NoError(t, err)
			all, cut, err := f.encode(t.Context(), g.lists())
			require.NoError(t, err)
			require.Len(t, all, len(c.IDs))
			require.Positive(t, cut)
			for i, want := range c.IDs {
				require.Equal(t, want, all[i].ids, "%s, limit %d: %q", name, c.Limit, g.Pairs[i])
			}
		}
	}
}

func TestTheSecondSegmentBeginsWithThePassage(t *testing.T) {
	f, err := readFolder("testdata/bert", 0)
	require.NoError(t, err)
	p, cut, err := f.pair("x", "short", 40)
	require.NoError(t, err)
	require.False(t, cut)
	require.Equal(t, 3, p.second, "[CLS] x [SEP]")
	f, err = readFolder("testdata/roberta", 0)
	require.NoError(t, err)
	p, _, err = f.pair("x", "short", 40)
	require.NoError(t, err)
	require.Zero(t, p.second)
}

func TestBrokenFoldersAreRefusedByFileAndField(t *testing.T) {
	config := func(key string, value any) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			var j map[string]any
			path := filepath.Join(dir, encodernet.ConfigFile)
			require.NoError(t, jsonfile.Read(path, &j))
			j[key] = value
			require.NoError(t, jsonfile.Write(path, j))
		}
	}
	weights := func(change func([]safetensors.Tensor) []safetensors.Tensor) func(*testing.T, string) {
		return func(t *testing.T, dir string) { changeWeights(t, dir, change) }
	}
	file := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
		}
	}
	weight := func(name string, change func(*safetensors.Tensor)) func(*testing.T, string) {
		return weights(func(all []safetensors.Tensor) []safetensors.Tensor {
			change(&all[slices.IndexFunc(all, func(x safetensors.Tensor) bool { return x.Name == name })])
			return all
		})
	}
	bin := func(content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, encodernet.WeightsFile)))
			file("pytorch_model.bin", content)(t, dir)
		}
	}
	const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 136472\n"
	const query = "bert.encoder.layer.0.attention.self.query.bias"
	for name, c := range map[string]struct {
		model     string
		maxTokens int
		change    func(*testing.T, string)
		want      string
	}{
		"another architecture": {"bert", 0, config("model_type", "deberta-v2"), `model_type is "deberta-v2"; supported are bert`},
		"padding outside":      {"roberta", 0, config("pad_token_id", 5000), "pad_token_id is 5000, outside the vocabulary"},
		"no positions left":    {"roberta", 0, config("pad_token_id", 47), "2 are left after pad_token_id 47"},
		"small vocabulary":     {"xlmr", 0, config("vocab_size", 20), "vocab_size is 20, the tokenizer has ids up to"},
		"too many tokens":      {"roberta", 49, nil, "Options.MaxTokens is 49, want 8 to the 48 positions"},
		"too few tokens":       {"bert", 7, nil, "Options.MaxTokens is 7"},
		"three labels": {"bert", 0, weights(func(all []safetensors.Tensor) []safetensors.Tensor {
			for i := range all {
				if all[i].Name == "classifier.weight" {
					all[i].Shape, all[i].Values = []int{3, 32}, make([]float32, 96)
				}
			}
			return all
		}), "classifier.weight has shape [3 32]: heads of one or two labels"},
		"half a head": {"roberta", 0, weights(func(all []safetensors.Tensor) []safetensors.Tensor {
			var kept []safetensors.Tensor
			for _, w := range all {
				if w.Name != "classifier.dense.weight" {
					kept = append(kept, w)
				}
			}
			return kept
		}), `no tensor "classifier.dense.weight"`},
		"no tokenizer":          {"xlmr", 0, func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "tokenizer.json"))) }, "tokenizer.json"},
		"no config.json":        {"bert", 0, func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "config.json"))) }, "it has no config.json"},
		"config.json cut off":   {"bert", 0, file("config.json", `{"model_type": "bert", "hidden_`), "config.json: line 1: "},
		"config.json of a list": {"bert", 0, file("config.json", `["bert"]`), "config.json: "},
		"no model_type":         {"bert", 0, config("model_type", nil), `model_type is ""; supported are bert`},
		"a width that is text":  {"bert", 0, config("hidden_size", "32"), "hidden_size: a string where an integer is wanted"},
		"a width of all memory": {"bert", 0, config("hidden_size", 1<<30), "by config.json it is [260 1073741824]"},
		"layers of all memory":  {"bert", 0, config("num_hidden_layers", 1<<30), "cannot be the 1073741824 layers"},
		"no weights": {"bert", 0, func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, encodernet.WeightsFile)))
		}, "no model.safetensors or pytorch_model.bin"},
		"weights cut off": {"bert", 0, func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, encodernet.WeightsFile), 9000))
		}, "model.safetensors: truncated: "},
		"weights of Git LFS":       {"bert", 0, file(encodernet.WeightsFile, lfs), "model.safetensors: the file is a Git LFS pointer"},
		"a .bin file of Git LFS":   {"bert", 0, bin(lfs), "pytorch_model.bin: the file is a Git LFS pointer"},
		"a .bin file that is none": {"bert", 0, bin("weights"), "pytorch_model.bin: "},
		"a tensor too few":         {"bert", 0, weight(query, func(x *safetensors.Tensor) { x.Name = "other" }), `no tensor "` + query + `"`},
		"a tensor too many":        {"bert", 0, weight("bert.pooler.dense.bias", func(x *safetensors.Tensor) { x.Name = "bert.encoder.layer.0.gate" }), `tensor "bert.encoder.layer.0.gate" has no place in a BertModel`},
		"another shape":            {"bert", 0, weight(query, func(x *safetensors.Tensor) { x.Shape = []int{1, 32} }), `tensor "` + query + `" has shape [1 32]; by config.json it is [32]`},
		"no number in the network": {"bert", 0, weight(query, func(x *safetensors.Tensor) { x.Values[1] = float32(math.NaN()) }), `value 1 of tensor "` + query + `" is NaN: the weights are damaged`},
		"no number in the head":    {"bert", 0, weight("classifier.bias", func(x *safetensors.Tensor) { x.Values[0] = float32(math.Inf(1)) }), `value 0 of tensor "classifier.bias" is +Inf: the weights are damaged`},
		"no limit left": {"bert", 0, func(t *testing.T, dir string) {
			require.NoError(t, jsonfile.Write(filepath.Join(dir, tokenizer.ConfigFile), map[string]any{"model_max_length": 4}))
		}, "model_max_length leaves 4 tokens a pair"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", c.model))))
			if c.change != nil {
				c.change(t, dir)
			}
			err := readWhole(dir, c.maxTokens)
			require.ErrorContains(t, err, c.want)
			if c.maxTokens == 0 {
				require.ErrorContains(t, err, dir)
			}
		})
	}
	_, err := readFolder("testdata/none", 0)
	require.ErrorContains(t, err, "testdata/none")
	_, err = readFolder("golden_test.go", 0)
	require.ErrorContains(t, err, "is a file")
}

// readWhole reads a folder and the values of its network's weights, as Open does.
func readWhole(dir string, maxTokens int) error {
	f, err := readFolder(dir, maxTokens)
	if err != nil {
		return err
	}
	w, err := f.openWeights()
	if err != nil {
		return err
	}
	defer w.Close()
	for _, p := range encodernet.Shapes(f.config) {
		if _, err := w.Read(p.Name, p.Dims); err != nil {
			return err
		}
	}
	return nil
}

func TestOpenNamesTheWrongOption(t *testing.T) {
	for want, o := range map[string]Options{
		"Options.Precision: precision \"fp16\"": {Precision: "fp16"},
		"Options.BatchTokens is -1":             {BatchTokens: -1},
		"Options.MaxTokens is 3":                {MaxTokens: 3},
	} {
		_, err := Open(t.Context(), "testdata/bert", o)
		require.ErrorContains(t, err, want)
	}
	_, err := Open(t.Context(), "../../encoder/transformer/testdata/tiny", Options{})
	require.ErrorContains(t, err, "no classification head")
}

func changeWeights(t *testing.T, dir string, change func([]safetensors.Tensor) []safetensors.Tensor) {
	path := filepath.Join(dir, encodernet.WeightsFile)
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	var all []safetensors.Tensor
	for _, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		require.NoError(t, err)
		all = append(all, safetensors.Tensor{Name: name, Shape: shape, Values: values})
	}
	require.NoError(t, f.Close())
	w, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, safetensors.Write(w, change(all), nil))
	require.NoError(t, w.Close())
}

func FuzzPairsKeepTheirLimit(f *testing.F) {
	folders := map[string]*folder{}
	for _, name := range goldenModels {
		folder, err := readFolder(filepath.Join("testdata", name), 0)
		require.NoError(f, err)
		folders[name] = folder
	}
	f.Add("how does a retort work", "A retort is a vessel.", uint8(12))
	f.Add("", "", uint8(8))
	f.Add("[SEP] </s>", "\xff\u0301 中文 <mask>", uint8(9))
	f.Fuzz(func(t *testing.T, query, passage string, limit uint8) {
		maxTokens := max(leastTokens, int(limit))
		for name, folder := range folders {
			p, cut, err := folder.pair(query, passage, maxTokens)
			require.NoError(t, err)
			require.LessOrEqual(t, len(p.ids), maxTokens, name)
			require.True(t, p.second >= 0 && p.second < len(p.ids), name)
			if cut {
				require.Len(t, p.ids, maxTokens, name)
			}
			for _, id := range p.ids {
				require.Less(t, int(id), folder.config.VocabSize, name)
			}
		}
	})
}
