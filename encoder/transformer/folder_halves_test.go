package transformer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/safetensors"
)

// inHalves returns a copy of a folder of testdata whose weights are rounded to a type of 16 bits and stored as such.
func inHalves(t *testing.T, name, dtype string, change func(dir string)) string {
	return changedFolder(t, name, func(dir string) {
		f, err := ReadFolder(dir, Options{})
		require.NoError(t, err)
		for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
			toHalves(t, f.Side(role).Tower.Dir, dtype)
		}
		if change != nil {
			change(dir)
		}
	})
}

// toHalves rewrites a tower's weights, and what config.json says of them.
func toHalves(t *testing.T, dir, dtype string) {
	path := filepath.Join(dir, weightsFile)
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	header, data := map[string]any{}, []byte{}
	for _, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		require.NoError(t, err)
		begin := len(data)
		for _, v := range values {
			data = binary.LittleEndian.AppendUint16(data, map[string]func(float32) uint16{
				"bfloat16": toBFloat16,
				"float16":  toFloat16,
			}[dtype](v))
		}
		header[name] = map[string]any{
			"dtype": map[string]string{"bfloat16": "BF16", "float16": "F16"}[dtype], "shape": shape,
			"data_offsets": []int{begin, len(data)},
		}
	}
	require.NoError(t, f.Close())
	raw, err := json.Marshal(header)
	require.NoError(t, err)
	file := slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw, data)
	require.NoError(t, os.WriteFile(path, file, 0o644))
	changeJSON(t, dir, configJSON, func(j map[string]any) {
		delete(j, "dtype")
		j["torch_dtype"] = dtype // as transformers 4 wrote it
	})
}

func toBFloat16(v float32) uint16 { return uint16((math.Float32bits(v) + 0x8000) >> 16) }

// toFloat16 takes numbers within the range of normal halves; smaller ones become 0.
func toFloat16(v float32) uint16 {
	bits := math.Float32bits(v) + 0x1000
	sign, exponent := uint16(bits>>16)&0x8000, int(bits>>23&0xff)-127+15
	if exponent <= 0 {
		return sign
	}
	return sign | uint16(exponent)<<10 | uint16(bits>>13)&0x3ff
}

// storedAs returns the type that config.json names and the types of the file.
func storedAs(t *testing.T, dir string) (said string, types []string) {
	t.Helper()
	var j map[string]any
	readGolden(t, filepath.Join(dir, configJSON), &j)
	require.NotContains(t, j, "torch_dtype")
	said, _ = j["dtype"].(string)
	f, err := safetensors.Open(filepath.Join(dir, weightsFile))
	require.NoError(t, err)
	defer f.Close()
	in := map[string]bool{}
	for _, name := range f.Names() {
		in[f.DType(name)] = true
	}
	return said, slices.Sorted(maps.Keys(in))
}

// transformers 5 loads weights in the type that config.json names: rounding halves what training has changed.
func TestWeightsAndConfigAgreeInASavedFolder(t *testing.T) {
	for _, dtype := range []string{"bfloat16", "float16"} {
		half := map[string]string{"bfloat16": "BF16", "float16": "F16"}[dtype]
		for name, c := range map[string]struct {
			trained        bool
			query, passage []string // dtype of config.json, then of the file
		}{
			"changed":   {true, []string{"float32", "F32"}, []string{"float32", "F32"}},
			"as it was": {false, []string{dtype, half}, []string{dtype, half}},
		} {
			for _, layout := range []string{"tiny", "tiny-router"} {
				t.Run(dtype+" "+layout+" "+name, func(t *testing.T) {
					f, err := ReadFolder(inHalves(t, layout, dtype, nil), Options{})
					require.NoError(t, err)
					trained := map[*Tower][]safetensors.Tensor{}
					if c.trained {
						weights := towerWeights(t, f.Query.Tower)
						weights[0].Values[0] += 1e-6
						trained[f.Query.Tower] = weights
					}
					dir := filepath.Join(t.TempDir(), "model")
					require.NoError(t, saveFolder(dir, f, trained, nil))
					got, err := ReadFolder(dir, Options{})
					require.NoError(t, err)
					for role, want := range map[encoder.Role][]string{encoder.Query: c.query, encoder.Passage: c.passage} {
						said, types := storedAs(t, got.Side(role).Tower.Dir)
						require.Equal(t, want, append([]string{said}, types...), role)
					}
					if c.trained {
						require.Equal(t, trained[f.Query.Tower], towerWeights(t, got.Query.Tower))
					}
					require.Equal(t, towerWeights(t, f.Passage.Tower)[1:], towerWeights(t, got.Passage.Tower)[1:])
				})
			}
		}
	}
}

// A config.json that names another type than the file holds is one that transformers rounds by.
func TestACopySaysOfWhatTypeItsWeightsAre(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		changeJSON(t, dir, configJSON, func(j map[string]any) { j["dtype"] = "float16" })
	})
	f, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "model")
	require.NoError(t, saveFolder(out, f, nil, nil))
	said, types := storedAs(t, out)
	require.Equal(t, "float32", said)
	require.Equal(t, []string{"F32"}, types)
}

func TestASavedFolderSaysWhatItHolds(t *testing.T) {
	source := changedFolder(t, "tiny", func(dir string) {
		changeJSON(t, dir, configJSON, func(j map[string]any) {
			j["architectures"] = []string{"BertForMaskedLM"}
			j["_name_or_path"] = "/home/somebody/model"
			j["transformers_version"] = "4.0.0"
			j["auto_map"] = map[string]string{}
			j["quantization_config"] = nil
			j["torch_dtype"] = "float16"
		})
		changeJSON(t, dir, tokenizerConfig, func(j map[string]any) { j["model_max_length"] = 512 })
		changeJSON(t, dir, tokenizerJSON, func(j map[string]any) {
			j["truncation"] = map[string]any{"max_length": 64, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
		})
		write(t, dir, sentenceTransformersJSON, `{"__version__": {"sentence_transformers": "99.0.0"}, "similarity_fn_name": null,
			"prompts": {"query": "q: ", "passage": "p: ", "cluster": "c: "}, "default_prompt_name": "cluster"}`)
	})
	prompt := "other: "
	f, err := ReadFolder(source, Options{QueryTokens: 32, PassageTokens: 40, PassagePrompt: &prompt})
	require.NoError(t, err)
	trained := towerWeights(t, f.Query.Tower)
	trained[0].Values[0]++
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, saveFolder(dir, f, map[*Tower][]safetensors.Tensor{f.Query.Tower: trained}, nil))

	var config, tokenizer, tokenizerConfigs, sbert, st map[string]any
	for name, to := range map[string]*map[string]any{
		configJSON: &config, tokenizerJSON: &tokenizer, tokenizerConfig: &tokenizerConfigs, sentenceBERTJSON: &sbert,
		sentenceTransformersJSON: &st,
	} {
		readGolden(t, filepath.Join(dir, name), to)
	}
	require.Equal(t, []any{"BertModel"}, config["architectures"])
	require.Equal(t, "float32", config["dtype"])
	for _, key := range []string{
		"_name_or_path", "transformers_version", "auto_map", "quantization_config",
		"torch_dtype",
	} {
		require.NotContains(t, config, key)
	}
	require.Equal(t, 40., sbert["max_seq_length"])
	require.Equal(t, 40., tokenizerConfigs["model_max_length"])
	require.Equal(t, 40., tokenizer["truncation"].(map[string]any)["max_length"])
	require.NotContains(t, st, "__version__")
	require.Equal(t, "cosine", st["similarity_fn_name"])
	require.Equal(t, map[string]any{"query": "q: ", "document": "other: ", "passage": "other: ", "cluster": "c: "},
		st["prompts"])
	require.Equal(t, "cluster", st["default_prompt_name"])

	again, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		require.Equal(t, f.Side(role).Prompt, again.Side(role).Prompt)
		require.Equal(t, f.Side(role).Tokens, again.Side(role).Tokens)
		require.Equal(t, f.Side(role).Tower.tokenizer.Fingerprint(), again.Side(role).Tower.tokenizer.Fingerprint())
	}
}

func TestAModelOfLinksIsReadAndSavedAsFiles(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-router"} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			real, err := filepath.Abs(filepath.Join("testdata", name))
			require.NoError(t, err)
			linked := filepath.Join(root, "linked")
			require.NoError(t, os.Mkdir(linked, 0o755))
			entries, err := os.ReadDir(real)
			require.NoError(t, err)
			for _, e := range entries { // files and subfolders
				require.NoError(t, os.Symlink(filepath.Join(real, e.Name()), filepath.Join(linked, e.Name())))
			}
			link := filepath.Join(root, "LINK")
			require.NoError(t, os.Symlink("linked", link))
			f, err := ReadFolder(link, Options{})
			require.NoError(t, err)
			out := filepath.Join(root, "model")
			require.NoError(t, saveFolder(out, f, nil, nil))
			require.NoError(t, filepath.WalkDir(out, func(path string, e os.DirEntry, err error) error {
				require.NoError(t, err)
				require.True(t, e.IsDir() || e.Type().IsRegular(), "%s is no file", path)
				return nil
			}))
			want, err := os.ReadFile(filepath.Join(f.Query.Tower.Dir, weightsFile))
			require.NoError(t, err)
			got, err := ReadFolder(out, Options{})
			require.NoError(t, err)
			saved, err := os.ReadFile(filepath.Join(got.Query.Tower.Dir, weightsFile))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, saved))
			require.Error(t, saveFolder(link, f, nil, nil), "the folder that it was read from, by its link")
		})
	}
}
