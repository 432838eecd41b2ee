package transformer

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

// denseFolder is the folder tiny with the modules of testdata/dense after its pooling.
func denseFolder(t *testing.T, change func(dir string)) string {
	return changedFolder(t, "tiny", func(dir string) {
		source := os.DirFS("testdata/dense")
		require.NoError(t, fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				os.Remove(filepath.Join(dir, path))
			}
			return err
		}))
		require.NoError(t, os.CopyFS(dir, source))
		change(dir)
	})
}

func TestModulesAfterThePoolingDecideTheWidth(t *testing.T) {
	f, err := ReadFolder(denseFolder(t, func(string) {}), Options{})
	require.NoError(t, err)
	require.Equal(t, 16, f.Dim())
	require.Equal(t, Pooling("mean+max"), f.Query.Tower.Pooling)
	require.True(t, f.Query.Tower.Normalize)

	f, err = ReadFolder(denseFolder(t, func(dir string) {
		changeJSON(t, dir, sentenceTransformersJSON, func(j map[string]any) { j["truncate_dim"] = 5 })
	}), Options{})
	require.NoError(t, err)
	require.Equal(t, 5, f.Dim())

	f, err = ReadFolder("testdata/tiny", Options{Pooling: "cls+weightedmean+lasttoken"})
	require.NoError(t, err)
	require.Equal(t, 96, f.Dim())
	_, err = ReadFolder("testdata/tiny", Options{Pooling: "cls+"})
	require.ErrorContains(t, err, `pooling "" is not supported; cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken are`)
}

func TestModulesThatDoNotFitAreErrorsThatNameFileAndKey(t *testing.T) {
	file := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, dir, name, text) }
	}
	const module = `{"in_features":64,"out_features":24,"activation_function":"torch.nn.modules.activation.`
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"another input":      {file("2_Dense/config.json", `{"in_features":32,"out_features":24}`), "2_Dense/config.json: in_features is 32; the vectors before this module have 64 values"},
		"another output":     {file("2_Dense/config.json", module+`Tanh"}`+" "), ""},
		"weights of another": {file("4_Dense/config.json", `{"in_features":24,"out_features":25}`), `4_Dense/model.safetensors: tensor "linear.weight" has shape [24 24]; by config.json it is [25 24]`},
		"a bias too many":    {file("2_Dense/config.json", `{"in_features":64,"out_features":24,"bias":false}`), `2_Dense/model.safetensors: tensor "linear.bias" has no place in a Dense by config.json`},
		"no weights":         {func(t *testing.T, dir string) { remove(t, dir, "2_Dense/"+weightsFile) }, "2_Dense: no model.safetensors or pytorch_model.bin"},
		"an activation that is not there": {
			file("2_Dense/config.json", module+`Softplus"}`),
			`2_Dense/config.json: activation_function is "torch.nn.modules.activation.Softplus"; Identity, Tanh, ReLU, GELU, `,
		},
		"a residual": {file("2_Dense/config.json", `{"in_features":64,"out_features":24,"use_residual":true}`), "use_residual is true"},
		"a Dense of tokens": {
			file("2_Dense/config.json", `{"in_features":64,"out_features":24,"module_input_name":"token_embeddings"}`),
			`module_input_name is "token_embeddings"`,
		},
		"a Dense before the pooling": {func(t *testing.T, dir string) {
			write(t, dir, modulesJSON, `[{"path":"","type":"sentence_transformers.models.Transformer"},
				{"path":"2_Dense","type":"sentence_transformers.models.Dense"},
				{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`)
		}, "module Pooling"},
		"a norm of another width": {file("5_LayerNorm/config.json", `{"dimension":25}`), "5_LayerNorm/config.json: dimension is 25; the vectors before this module have 24 values"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := denseFolder(t, func(dir string) { c.change(t, dir) })
			_, err := ReadFolder(dir, Options{})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, dir)
		})
	}
}

func TestModulesAfterThePoolingAreExported(t *testing.T) {
	dir := denseFolder(t, func(string) {})
	f, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, f.Export(t.Context(), out, encoder.Passage))
	again, err := ReadFolder(out, Options{})
	require.NoError(t, err)
	require.Equal(t, 16, again.Dim())
	for i, h := range again.Query.Tower.head {
		want := f.Query.Tower.head[i]
		for _, p := range want.shapes() {
			expected, err := f.Query.Tower.readHeadWeights(p.Name, p.Dims)
			require.NoError(t, err)
			got, err := again.Query.Tower.readHeadWeights(p.Name, p.Dims)
			require.NoError(t, err)
			require.Equal(t, expected, got)
		}
		h.dir, want.dir = "", ""
		require.Equal(t, want, h)
	}
}

// The forms in which sentence-transformers 2 to 6 read the poolings.
func TestPoolingsAreSavedAsTheyWereRead(t *testing.T) {
	for config, want := range map[string]map[string]any{
		`{"pooling_mode":"weightedmean"}`:                                       {"pooling_mode_weightedmean_tokens": true},
		`{"pooling_mode":["cls","max"],"include_prompt":false}`:                 {"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true, "include_prompt": false},
		`{"pooling_mode":["max","cls"]}`:                                        {"pooling_mode": []any{"max", "cls"}},
		`{"pooling_mode_lasttoken":true,"pooling_mode_mean_sqrt_len_tokens":1}`: nil,
		`{"pooling_mode_lasttoken":true,"pooling_mode_mean_tokens":true}`:       {"pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": true},
	} {
		dir := changedFolder(t, "tiny", func(dir string) { write(t, dir, "1_Pooling/config.json", config) })
		f, err := ReadFolder(dir, Options{})
		if want == nil {
			require.ErrorContains(t, err, "pooling_mode_mean_sqrt_len_tokens")
			continue
		}
		require.NoError(t, err)
		out := filepath.Join(t.TempDir(), "out")
		require.NoError(t, saveFolder(out, f, nil, nil))
		var got map[string]any
		readGolden(t, filepath.Join(out, "1_Pooling/config.json"), &got)
		for key, value := range want {
			require.Equal(t, value, got[key], "%s: %s", config, key)
		}
		again, err := ReadFolder(out, Options{})
		require.NoError(t, err)
		require.Equal(t, f.Query.Tower.Pooling, again.Query.Tower.Pooling)
		require.Equal(t, f.Query.promptTokens, again.Query.promptTokens)
		require.Equal(t, f.Query.Tower.withoutPrompt, again.Query.Tower.withoutPrompt)
	}
}

// The reference is sentence-transformers 6.2: testdata/make_dense.py.
func TestModulesAfterThePoolingEqualSentenceTransformers(t *testing.T) {
	g := readModelGolden(t, "dense")
	eachEngine(t, func(t *testing.T, open func(string, Options) *Model) {
		m := open(denseFolder(t, func(string) {}), Options{BatchTokens: 100})
		requireRows(t, g.Query.Embeddings, encode(t, m, encoder.Query, g.Query.Texts))
		requireRows(t, g.Passage.Embeddings, encode(t, m, encoder.Passage, g.Passage.Texts))
	})
}
