package transformer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/tokenizer"
	"github.com/retort-ir/retort/internal/weights"
)

// The folders of testdata are those of sentence-transformers 6.2 and of its older layout: testdata/make_golden.py.

func TestFolderAsSentenceTransformersSavesIt(t *testing.T) {
	f, err := ReadFolder("testdata/tiny", Options{})
	require.NoError(t, err)
	require.True(t, f.Shared())
	require.Equal(t, encodernet.Config{
		ModelType: "bert", HiddenSize: 32, Layers: 2, Heads: 4, IntermediateSize: 64, VocabSize: 400, MaxPositions: 64, TypeVocabSize: 2,
		LayerNormEps: 1e-12, Activation: "gelu",
	}, f.Query.Tower.config)
	require.Equal(t, Mean, f.Query.Tower.Pooling)
	require.True(t, f.Query.Tower.Normalize)
	require.Equal(t, "query: ", f.Query.Prompt)
	require.Equal(t, "passage: ", f.Passage.Prompt)
	require.Equal(t, 24, f.Query.Tokens)
	require.Equal(t, 24, f.Passage.Tokens)
	require.Same(t, &f.Query, f.Side(encoder.Query))
	require.Same(t, &f.Passage, f.Side(encoder.Passage))
}

func TestFolderOfTheOldLayout(t *testing.T) {
	f, err := ReadFolder("testdata/tiny-cls", Options{})
	require.NoError(t, err)
	require.True(t, f.Shared())
	require.Equal(t, CLS, f.Query.Tower.Pooling)
	require.False(t, f.Query.Tower.Normalize)
	require.Equal(t, "gelu_new", f.Query.Tower.config.Activation)
	require.Empty(t, f.Query.Prompt+f.Passage.Prompt)
	require.Equal(t, 24, f.Passage.Tokens)
	require.Equal(t, 400, f.Query.Tower.tokenizer.Len())
}

func TestFolderWithARouter(t *testing.T) {
	f, err := ReadFolder("testdata/tiny-router", Options{})
	require.NoError(t, err)
	require.False(t, f.Shared())
	require.Equal(t, 1, f.Query.Tower.config.Layers)
	require.Equal(t, 2, f.Passage.Tower.config.Layers)
	require.Equal(t, "relu", f.Passage.Tower.config.Activation)
	require.Equal(t, "find: ", f.Query.Prompt)
	require.Empty(t, f.Passage.Prompt)
	require.Equal(t, filepath.Join("testdata/tiny-router", "query_0_Transformer"), f.Query.Tower.Dir)
}

func TestRoutesThroughTheSameModulesShareATower(t *testing.T) {
	dir := changedFolder(t, "tiny-router", func(dir string) {
		changeJSON(t, dir, "router_config.json", func(j map[string]any) {
			structure := j["structure"].(map[string]any)
			structure["query"] = structure["document"]
		})
	})
	f, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	require.True(t, f.Shared())
	require.Equal(t, "find: ", f.Query.Prompt)
	require.Empty(t, f.Passage.Prompt)
}

// A snapshot of the Hugging Face cache is a folder of links to ../../blobs.
func TestFolderOfLinksIsRead(t *testing.T) {
	root := t.TempDir()
	snapshot := filepath.Join(root, "snapshots", "0123")
	blobs := filepath.Join(root, "blobs")
	require.NoError(t, os.MkdirAll(blobs, 0o755))
	n := 0
	require.NoError(t, filepath.WalkDir("testdata/tiny", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		blob := filepath.Join(blobs, strconv.Itoa(n))
		relative, err := filepath.Rel("testdata/tiny", path)
		if err != nil {
			return err
		}
		link := filepath.Join(snapshot, relative)
		to, err := filepath.Rel(filepath.Dir(link), blob)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(blob, data, 0o644), os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(to, link))
	}))
	f, err := ReadFolder(snapshot, Options{})
	require.NoError(t, err)
	want, err := ReadFolder("testdata/tiny", Options{})
	require.NoError(t, err)
	require.Equal(t, want.Passage.Prompt, f.Passage.Prompt)
	require.Equal(t, towerWeights(t, want.Query.Tower), towerWeights(t, f.Query.Tower))
}

func TestSavedFolderKeepsSimilarityAndDimensions(t *testing.T) {
	for _, normalize := range []bool{true, false} {
		dir := changedFolder(t, "tiny", func(dir string) {
			write(t, dir, sentenceTransformersJSON, `{"similarity_fn_name":"dot","truncate_dim":12}`)
			if !normalize {
				write(t, dir, modulesJSON, `[{"path":"","type":"sentence_transformers.models.Transformer"},
					{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`)
			}
		})
		f, err := ReadFolder(dir, Options{})
		require.NoError(t, err)
		require.False(t, f.Normalized())
		twin := *f.Query.Tower
		for _, query := range []*Tower{f.Query.Tower, &twin} {
			f.Query.Tower = query
			out := filepath.Join(t.TempDir(), "model")
			require.NoError(t, saveFolder(out, f, nil, nil))
			got, err := ReadFolder(out, Options{})
			require.NoError(t, err)
			require.Equal(t, modelfolder.Dot, got.similarity)
			require.Equal(t, 12, got.Dim())
			require.Equal(t, normalize, got.Query.Tower.Normalize)
			require.Equal(t, normalize, got.Passage.Tower.Normalize)
		}
	}
}

func TestOptionsOverrideTheFolder(t *testing.T) {
	query, passage := "", "text: "
	f, err := ReadFolder("testdata/tiny", Options{
		QueryPrompt: &query, PassagePrompt: &passage, QueryTokens: 8, PassageTokens: 64, Pooling: "cls",
	})
	require.NoError(t, err)
	require.Empty(t, f.Query.Prompt)
	require.Equal(t, "text: ", f.Passage.Prompt)
	require.Equal(t, 8, f.Query.Tokens)
	require.Equal(t, 64, f.Passage.Tokens)
	require.Equal(t, CLS, f.Query.Tower.Pooling)
}

func TestVectorsAreCutByTheFolderOrTheOption(t *testing.T) {
	cut := changedFolder(t, "tiny", func(dir string) { write(t, dir, sentenceTransformersJSON, `{"truncate_dim":12}`) })
	for _, c := range []struct {
		dir       string
		option    int
		dim       int
		saved     string
		wantError string
	}{
		{"testdata/tiny", 0, 32, "", ""},
		{"testdata/tiny", 32, 32, "", ""},
		{"testdata/tiny", 8, 8, `"truncate_dim": 8`, ""},
		{"testdata/tiny-router", 8, 8, `"truncate_dim": 8`, ""},
		{cut, 0, 12, `"truncate_dim": 12`, ""},
		{cut, 8, 8, `"truncate_dim": 8`, ""},
		{cut, 16, 16, `"truncate_dim": 16`, ""}, // as SentenceTransformer(dir, truncate_dim=16)
		{cut, 33, 0, "", cut + ": Options.TruncateDim is 33; the model's vectors have 32 values"},
		{cut, -1, 0, "", cut + ": Options.TruncateDim is -1; the model's vectors have 32 values"},
	} {
		f, err := ReadFolder(c.dir, Options{TruncateDim: c.option})
		if c.wantError != "" {
			require.EqualError(t, err, c.wantError)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.dim, f.Dim())
		out := filepath.Join(t.TempDir(), "model")
		require.NoError(t, f.Export(t.Context(), out, encoder.Query))
		raw, err := os.ReadFile(filepath.Join(out, sentenceTransformersJSON))
		require.NoError(t, err)
		if c.saved == "" {
			require.NotContains(t, string(raw), "truncate_dim")
		} else {
			require.Contains(t, string(raw), c.saved)
		}
	}
}

func TestFolderWithoutModulesNeedsAPooling(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) { remove(t, dir, modulesJSON) })
	_, err := ReadFolder(dir, Options{})
	require.ErrorContains(t, err, dir+": the folder has no modules.json, so the pooling is unknown")
	for _, name := range []string{sentenceTransformersJSON, sentenceBERTJSON} {
		_, err = ReadFolder(dir, Options{Pooling: "mean"})
		require.ErrorContains(t, err, name+": sentence-transformers ignores this file without modules.json")
		remove(t, dir, name)
	}
	f, err := ReadFolder(dir, Options{Pooling: "mean"})
	require.NoError(t, err)
	require.Equal(t, Mean, f.Passage.Tower.Pooling)
}

func TestPromptsAreChosenByRole(t *testing.T) {
	for name, c := range map[string]struct{ config, query, passage string }{
		"query and document":         {`{"prompts":{"query":"q","document":"d"}}`, "q", "d"},
		"passage beside an empty":    {`{"prompts":{"query":"q","document":"","passage":"p"}}`, "q", ""},
		"corpus":                     {`{"prompts":{"corpus":"c"}}`, "", ""},
		"null":                       {`{"prompts":{"query":null,"document":"d"},"default_prompt_name":null}`, "", "d"},
		"none":                       {`{}`, "", ""},
		"default of neither":         {`{"prompts":{"retrieval":"r"},"default_prompt_name":"retrieval"}`, "", ""},
		"default that is a role's":   {`{"prompts":{"query":"q"},"default_prompt_name":"query"}`, "q", ""},
		"default that both have":     {`{"default_prompt_name":"document"}`, "", ""},
		"names that no role answers": {`{"prompts":{"sts":"s"}}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := changedFolder(t, "tiny", func(dir string) { write(t, dir, sentenceTransformersJSON, c.config) })
			f, err := ReadFolder(dir, Options{})
			require.NoError(t, err)
			require.Equal(t, c.query, f.Query.Prompt)
			require.Equal(t, c.passage, f.Passage.Prompt)
		})
	}
}

func TestAPromptThatTheUserSetsIsNotMissed(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		write(t, dir, sentenceTransformersJSON, `{"prompts":{"query":"q","passage":"p","sts":"s"}}`)
	})
	passage, query := "p", "s"
	for want, o := range map[string]Options{
		`prompts has "passage", "sts", which`: {},
		`prompts has "sts", which`:            {PassagePrompt: &passage},
	} {
		f, err := ReadFolder(dir, o)
		require.NoError(t, err)
		require.Len(t, f.notes, 1)
		require.Contains(t, f.notes[0], want)
	}
	f, err := ReadFolder(dir, Options{PassagePrompt: &passage, QueryPrompt: &query})
	require.NoError(t, err)
	require.Empty(t, f.notes)
	require.Equal(t, "p", f.Passage.Prompt)
}

func TestLengthLimitComesFromTheFirstFileThatHasOne(t *testing.T) {
	for name, c := range map[string]struct {
		sbert, tokenizer, own string
		query, passage        int
	}{
		"max_seq_length":           {`{"max_seq_length":12}`, `{"model_max_length":24}`, "", 12, 12},
		"processor_kwargs":         {`{"processor_kwargs":{"model_max_length":10},"max_seq_length":12}`, `{}`, "", 10, 10},
		"tokenizer_args":           {`{"tokenizer_args":{"model_max_length":10}}`, `{}`, "", 10, 10},
		"model_max_length":         {`{}`, `{"model_max_length":24}`, "", 24, 24},
		"positions":                {`{}`, `{"model_max_length":512}`, "", 64, 64},
		"no limit of the tokens":   {`{}`, `{"model_max_length":1e30}`, "", 64, 64},
		"one for each role":        {`{"max_seq_length":12}`, `{}`, `{"query_tokens":8,"passage_tokens":16}`, 8, 16},
		"null stands for left out": {`{"max_seq_length":null}`, `{"model_max_length":24}`, "", 24, 24},
	} {
		t.Run(name, func(t *testing.T) {
			dir := changedFolder(t, "tiny", func(dir string) {
				write(t, dir, sentenceBERTJSON, c.sbert)
				write(t, dir, tokenizerConfig, c.tokenizer)
				if c.own != "" {
					write(t, dir, retortJSON, c.own)
				}
			})
			f, err := ReadFolder(dir, Options{})
			require.NoError(t, err)
			require.Equal(t, c.query, f.Query.Tokens)
			require.Equal(t, c.passage, f.Passage.Tokens)
		})
	}
}

func TestSentenceTransformersLowercasesACasedTokenizer(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		write(t, dir, sentenceBERTJSON, `{"do_lower_case":true}`)
		write(t, dir, tokenizerConfig, `{"do_lower_case":false}`)
	})
	f, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	encode := func(text string) []int32 {
		ids, _, err := f.Query.Tokenize(text)
		require.NoError(t, err)
		return ids
	}
	require.Equal(t, encode("reader café"), encode("READER CAFÉ"))
	require.NotEqual(t, encode("cafe"), encode("café"))
	cased, err := tokenizer.Load(dir, tokenizer.Options{})
	require.NoError(t, err)
	require.NotEqual(t, cased.Fingerprint(), f.Query.Tower.tokenizer.Fingerprint())
}

func TestADropoutIsSkipped(t *testing.T) {
	f, err := ReadFolder(changedFolder(t, "tiny", func(dir string) {
		write(t, dir, modulesJSON, `[{"path":"","type":"sentence_transformers.models.Transformer"},
			{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
			{"path":"3","type":"sentence_transformers.models.Dropout"},
			{"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]`)
	}), Options{})
	require.NoError(t, err)
	require.True(t, f.Query.Tower.Normalize)
	require.Empty(t, f.Query.Tower.head)
}

func TestWeightsOfEveryLayoutAreRead(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-cls", "tiny-router"} {
		f, err := ReadFolder("testdata/"+name, Options{})
		require.NoError(t, err)
		for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
			tower := f.Side(role).Tower
			for _, w := range towerWeights(t, tower) {
				require.Len(t, w.Values, (&encodernet.Parameter{Shape: w.Shape}).Size(), "%s: %s", name, w.Name)
			}
		}
	}
}

func TestOldNamesOfLayerNormAreRead(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		changeWeights(t, dir, func(all []safetensors.Tensor) []safetensors.Tensor {
			old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta")
			for i := range all {
				all[i].Name = old.Replace(all[i].Name)
			}
			return all
		})
	})
	f, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	want, err := ReadFolder("testdata/tiny", Options{})
	require.NoError(t, err)
	require.Equal(t, towerWeights(t, want.Query.Tower), towerWeights(t, f.Query.Tower))
}

func TestBadFoldersAreErrorsThatNameFileAndField(t *testing.T) {
	config := func(key string, value any) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			changeJSON(t, dir, configJSON, func(j map[string]any) {
				if j[key] = value; value == nil {
					delete(j, key)
				}
			})
		}
	}
	file := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, dir, name, content) }
	}
	missing := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { remove(t, dir, names...) }
	}
	drop := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			changeWeights(t, dir, func(all []safetensors.Tensor) []safetensors.Tensor {
				return slices.DeleteFunc(all, func(x safetensors.Tensor) bool { return x.Name == name })
			})
		}
	}
	weight := func(change func(*safetensors.Tensor)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			changeWeights(t, dir, func(all []safetensors.Tensor) []safetensors.Tensor {
				change(&all[slices.IndexFunc(all, func(x safetensors.Tensor) bool { return x.Name == "embeddings.LayerNorm.bias" })])
				return all
			})
		}
	}
	inFile := func(name, old, changed string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Contains(t, string(raw), old)
			write(t, dir, name, strings.ReplaceAll(string(raw), old, changed))
		}
	}
	bin := func(content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			remove(t, dir, weightsFile)
			write(t, dir, weights.PyTorchFile, content)
		}
	}
	for name, c := range map[string]struct {
		change func(*testing.T, string)
		want   string
	}{
		"no config.json":        {missing(configJSON), "config.json: no such file"},
		"malformed config.json": {file(configJSON, "{\n\"hidden_size\": 32,\n}"), "config.json: line 2: malformed JSON: "},
		"a number that is text": {
			config("hidden_size", "32"),
			"config.json: hidden_size: a string where an integer is wanted",
		},
		"a number twice": {
			file(configJSON, "{\n\"hidden_size\": 32,\n\"hidden_size\": 64\n}"),
			`config.json: line 3: the name "hidden_size" occurs twice`,
		},
		"another case":  {file(configJSON, `{"model_type":"bert","HIDDEN_SIZE":32}`), "config.json: no hidden_size"},
		"another model": {config("model_type", "t5"), `config.json: model_type is "t5"; supported are bert (`},
		"relative positions": {
			config("position_embedding_type", "relative_key"), `position_embedding_type is "relative_key"`,
		},
		"a decoder":      {config("is_decoder", true), "is_decoder is true"},
		"no hidden_size": {config("hidden_size", nil), "config.json: no hidden_size"},
		"no layers":      {config("num_hidden_layers", 0), "num_hidden_layers is 0"},
		"heads that do not fit": {
			config("num_attention_heads", 5), "hidden_size 32 is not a multiple of num_attention_heads 5",
		},
		"another activation":     {config("hidden_act", "mish"), `hidden_act is "mish"; gelu, `},
		"a negative eps":         {config("layer_norm_eps", -1), "layer_norm_eps is -1"},
		"a vocabulary too small": {config("vocab_size", 300), "vocab_size is 300, the tokenizer has ids up to 399"},
		"a vocabulary too large": {
			config("vocab_size", 500), `"embeddings.word_embeddings.weight" has shape [400 32]; by config.json it is [500 32]`,
		},
		"another width":    {config("intermediate_size", 65), "intermediate.dense.weight\" has shape [64 32]"},
		"more layers":      {config("num_hidden_layers", 3), `no tensor "encoder.layer.2.`},
		"very many layers": {config("num_hidden_layers", 1<<29), "cannot be the 536870912 layers"},
		"fewer layers": {
			config("num_hidden_layers", 1), `"encoder.layer.1.attention.output.LayerNorm.bias" is beyond the 1 layers`,
		},
		"a tensor too few": {
			drop("embeddings.LayerNorm.bias"), `model.safetensors: no tensor "embeddings.LayerNorm.bias"`,
		},
		"a tensor too many": {
			func(t *testing.T, dir string) {
				changeWeights(t, dir, func(all []safetensors.Tensor) []safetensors.Tensor {
					return append(all, safetensors.Tensor{Name: "encoder.layer.0.attention.gate.bias", Shape: []int{1}, Values: []float32{1}})
				})
			},
			`tensor "encoder.layer.0.attention.gate.bias" has no place in a BertModel by config.json`,
		},
		"a tensor that is flat": {
			weight(func(x *safetensors.Tensor) { x.Shape = []int{1, 32} }),
			`model.safetensors: tensor "embeddings.LayerNorm.bias" has shape [1 32]; by config.json it is [32]`,
		},
		"a value that is no number": {
			weight(func(x *safetensors.Tensor) { x.Values[3] = float32(math.NaN()) }),
			`model.safetensors: value 3 of tensor "embeddings.LayerNorm.bias" is NaN: the weights are damaged`,
		},
		"an infinite value": {
			weight(func(x *safetensors.Tensor) { x.Values[0] = float32(math.Inf(-1)) }),
			`model.safetensors: value 0 of tensor "embeddings.LayerNorm.bias" is -Inf: the weights are damaged`,
		},
		"integers as weights": {
			inFile(weightsFile, `"dtype":"F32"`, `"dtype":"I32"`),
			`model.safetensors: tensor "embeddings.word_embeddings.weight": type I32`,
		},
		"8-bit floats as weights": {
			inFile(weightsFile, `"dtype":"F32"`, `"dtype":"F8E"`),
			`model.safetensors: tensor "embeddings.word_embeddings.weight": type F8E`,
		},
		"a .bin file that is none": {bin("weights"), "pytorch_model.bin: "},
		"a .bin file of the LFS":   {bin(lfsPointer), "pytorch_model.bin: the file is a Git LFS pointer"},
		"an empty .bin file":       {bin(""), "pytorch_model.bin: "},
		"config.json cut off":      {file(configJSON, `{"model_type": "bert", "hidden_`), "config.json: line 1: "},
		"config.json of a list":    {file(configJSON, `["bert"]`), "config.json: "},
		"config.json of null":      {file(configJSON, `null`), "config.json: null is not an object"},
		"no model_type":            {config("model_type", nil), `config.json: model_type is ""; supported are bert (`},
		"model_type of a number":   {config("model_type", 3), "config.json: model_type: a number where a string is wanted"},
		"a width of all memory":    {config("hidden_size", 1<<30), "has shape [400 32]; by config.json it is [400 1073741824]"},
		"a width beyond all":       {config("hidden_size", 1<<40), "config.json: hidden_size is 1099511627776"},
		"a width below 0":          {config("hidden_size", -32), "config.json: hidden_size is -32"},
		"a width of a fraction":    {config("hidden_size", 32.5), "config.json: hidden_size: "},
		"positions of all memory":  {config("max_position_embeddings", 1<<30), "by config.json it is [1073741824 32]"},
		"a padding token outside":  {config("pad_token_id", 400), "config.json: pad_token_id is 400, outside the vocabulary of 400"},
		"no [CLS] in the vocabulary": {
			inFile(tokenizerJSON, `"[CLS]"`, `"[XYZ]"`), `vocab_size is 400, the tokenizer has ids up to 400: the id of "[CLS]" (cls_token of `,
		},
		"no [PAD] in the vocabulary": {
			inFile(tokenizerJSON, `"[PAD]"`, `"[XYZ]"`), `vocab_size is 400, the tokenizer has ids up to 400: the id of "[PAD]" (pad_token of `,
		},
		"no [CLS] anywhere": {func(t *testing.T, dir string) {
			inFile(tokenizerJSON, `"[CLS]"`, `"[XYZ]"`)(t, dir)
			write(t, dir, tokenizerConfig, `{"tokenizer_class":"BertTokenizer"}`)
		}, "tokenizer.json: the vocabulary lacks the class token [CLS]"},
		"two ids for a token": {
			inFile(tokenizerJSON, `"id": 4,`, `"id": 4000,`),
			`tokenizer.json: added token "[MASK]" has id 4000, and 4 elsewhere in the file`,
		},
		"no weights": {missing(weightsFile), "no model.safetensors or pytorch_model.bin"},
		"truncated weights": {func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, weightsFile), 50_000))
		}, "model.safetensors: truncated: tensor"},
		"no tokenizer":           {missing(tokenizerJSON), "neither tokenizer.json nor vocab.txt"},
		"malformed tokenizer":    {file(tokenizerJSON, "{"), "tokenizer.json: line 1"},
		"malformed modules.json": {file(modulesJSON, "[{]"), "modules.json: line 1"},
		"no modules":             {file(modulesJSON, "[]"), "modules.json: the first module is not a Transformer"},
		"only a Transformer": {
			file(modulesJSON, `[{"path":"","type":"sentence_transformers.models.Transformer"}]`),
			"set Options.Pooling",
		},
		"another module": {
			file(modulesJSON, `[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},{"path":"2","type":"sentence_transformers.models.LSTM"}]`), "module LSTM",
		},
		"a module out of the dir": {
			file(modulesJSON, `[{"path":"../..","type":"sentence_transformers.models.Transformer"}]`),
			`modules.json: module 0: path "../.." leads out`,
		},
		"a late router": {
			file(modulesJSON, `[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"","type":"sentence_transformers.models.Router"}]`), "a Router must be the first",
		},
		"no router_config": {func(t *testing.T, dir string) {
			write(t, dir, modulesJSON, `[{"path":"r","type":"sentence_transformers.models.Router"}]`)
		}, "r/config.json: no such file"},
		"no pooling folder": {missing("1_Pooling/config.json"), "1_Pooling/config.json: no such file"},
		"a pooling that nobody knows": {
			file("1_Pooling/config.json", `{"pooling_mode":["mean","middle"]}`),
			`1_Pooling/config.json: pooling "middle" is not supported; cls, max, mean, `,
		},
		"no pooling": {
			file("1_Pooling/config.json", `{"pooling_mode":[]}`),
			`1_Pooling/config.json: pooling "" is not supported`,
		},
		"a prompt left out that leaves no text": {func(t *testing.T, dir string) {
			write(t, dir, "1_Pooling/config.json", `{"pooling_mode":"mean","include_prompt":false}`)
			write(t, dir, retortJSON, `{"query_tokens":3}`)
		}, "query: the prompt, which the pooling leaves out, has"},
		"an unknown default": {
			file(sentenceTransformersJSON, `{"prompts":{},"default_prompt_name":"x"}`),
			`config_sentence_transformers.json: default_prompt_name is "x"`,
		},
		"a limit beyond the end": {
			file(sentenceBERTJSON, `{"max_seq_length":65}`),
			"max_seq_length is 65; the model has 64 positions",
		},
		"a limit of nothing":  {file(sentenceBERTJSON, `{"max_seq_length":2}`), "max_seq_length is 2; at least 3"},
		"a limit of the role": {file(retortJSON, `{"query_tokens":-1}`), "retort_config.json: query_tokens is -1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := changedFolder(t, "tiny", func(dir string) { c.change(t, dir) })
			err := readWhole(dir)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, dir)
		})
	}
}

// readWhole reads a folder and the values of its weights, as Open does.
func readWhole(dir string) error {
	f, err := ReadFolder(dir, Options{})
	if err != nil {
		return err
	}
	w, err := f.Query.Tower.openWeights()
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = f.Query.Tower.storedWeights(w)
	return err
}

func TestBadRoutersAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"no document": {
			func(j map[string]any) { delete(j["structure"].(map[string]any), "document") }, `structure has no route "document"`,
		},
		"no type": {
			func(j map[string]any) { delete(j["types"].(map[string]any), "query_1_Pooling") }, `types lacks "query_1_Pooling"`,
		},
		"mappings": {
			func(j map[string]any) {
				j["parameters"].(map[string]any)["route_mappings"] = map[string]any{"('query', None)": "document"}
			}, "parameters: route_mappings is",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := changedFolder(t, "tiny-router", func(dir string) { changeJSON(t, dir, routerJSON, c.change) })
			_, err := ReadFolder(dir, Options{})
			require.ErrorContains(t, err, filepath.Join(dir, routerJSON)+": "+c.want)
		})
	}
}

// shard writes the weights of a model folder as two files with an index.
func shard(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, weightsFile)
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	files, shards := map[string]string{}, map[string][]safetensors.Tensor{}
	for i, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		require.NoError(t, err)
		file := fmt.Sprintf("model-%05d-of-00002.safetensors", i%2+1)
		files[name] = file
		shards[file] = append(shards[file], safetensors.Tensor{Name: name, Shape: shape, Values: values})
	}
	require.NoError(t, errors.Join(f.Close(), os.Remove(path)))
	for file, tensors := range shards {
		w, err := os.Create(filepath.Join(dir, file))
		require.NoError(t, err)
		require.NoError(t, errors.Join(safetensors.Write(w, tensors, nil), w.Close()))
	}
	require.NoError(t, writeJSON(dir, weightsFile+".index.json", map[string]any{"weight_map": files}))
}

func TestShardedWeightsAreReadAndSavedAsOneFile(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) { shard(t, dir) })
	folder, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "saved")
	require.NoError(t, saveFolder(out, folder, nil, nil))
	require.NoFileExists(t, filepath.Join(out, weightsFile+".index.json"))
	want, err := os.ReadFile("testdata/tiny/" + weightsFile)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(out, weightsFile))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestUnknownPrefixOfWeightsIsAnError(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		changeWeights(t, dir, func(all []safetensors.Tensor) []safetensors.Tensor {
			for i := range all {
				all[i].Name = "model." + all[i].Name
			}
			return all
		})
	})
	_, err := ReadFolder(dir, Options{})
	require.ErrorContains(t, err, `has the prefix "model."`)
}

func TestBadOptionsAreErrors(t *testing.T) {
	for want, o := range map[string]Options{
		`pooling "middle" is not supported`:                      {Pooling: "max+middle"},
		"Options.QueryTokens is 65; the model has 64 positions":  {QueryTokens: 65},
		"Options.PassageTokens is 2; at least 3":                 {PassageTokens: 2},
		"Options.PassageTokens is -1; at least 3 are needed":     {PassageTokens: -1},
		"Options.QueryTokens is 1; at least 3 are needed":        {QueryTokens: 1},
		"Options.PassageTokens is 100; the model has 64 positio": {PassageTokens: 100},
	} {
		_, err := ReadFolder("testdata/tiny", o)
		require.ErrorContains(t, err, want)
	}
	_, err := ReadFolder("testdata/nowhere", Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = ReadFolder("testdata/tiny.json", Options{})
	require.ErrorContains(t, err, "tiny.json is a file")
}

func TestSavedFolderReadsTheSame(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-cls", "tiny-router"} {
		t.Run(name, func(t *testing.T) {
			f, err := ReadFolder("testdata/"+name, Options{QueryTokens: 16})
			require.NoError(t, err)
			dir := filepath.Join(t.TempDir(), "new", "model")
			require.NoError(t, saveFolder(dir, f, map[*Tower][]safetensors.Tensor{f.Query.Tower: towerWeights(t, f.Query.Tower)},
				nil))
			got, err := ReadFolder(dir, Options{})
			require.NoError(t, err)
			require.Equal(t, f.Shared(), got.Shared())
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				was, is := f.Side(role), got.Side(role)
				require.Equal(t, was.Prompt, is.Prompt)
				require.Equal(t, was.Tokens, is.Tokens)
				require.Equal(t, was.Tower.config, is.Tower.config)
				require.Equal(t, was.Tower.Pooling, is.Tower.Pooling)
				require.True(t, is.Tower.Normalize)
				require.Equal(t, was.Tower.tokenizer.Fingerprint(), is.Tower.tokenizer.Fingerprint())
				require.Equal(t, towerWeights(t, was.Tower), towerWeights(t, is.Tower))
			}
			left, err := os.ReadDir(filepath.Dir(dir))
			require.NoError(t, err)
			require.Len(t, left, 1, "temporary folders stay behind")
		})
	}
}

func TestSavedTowerKeepsThePoolerAndTheUntrainedFile(t *testing.T) {
	f, err := ReadFolder("testdata/tiny", Options{})
	require.NoError(t, err)
	student := *f.Query.Tower
	f.Query.Tower = &student
	trained := towerWeights(t, &student)
	trained[0].Values[0]++
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, saveFolder(dir, f, map[*Tower][]safetensors.Tensor{&student: trained}, nil))

	want, err := os.ReadFile("testdata/tiny/model.safetensors")
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dir, "document_0_Transformer", weightsFile))
	require.NoError(t, err)
	require.Equal(t, want, got)

	saved, err := safetensors.Open(filepath.Join(dir, "query_0_Transformer", weightsFile))
	require.NoError(t, err)
	defer saved.Close()
	require.Contains(t, saved.Names(), "pooler.dense.weight")
	_, values, err := saved.Tensor("embeddings.word_embeddings.weight")
	require.NoError(t, err)
	require.Equal(t, trained[0].Values, values)
}

func TestSaveReplacesOnlyItsOwn(t *testing.T) {
	f, err := ReadFolder("testdata/tiny", Options{})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, saveFolder(dir, f, nil, nil), "an empty folder")
	write(t, dir, "leftover", "x")
	require.NoError(t, saveFolder(dir, f, nil, nil), "its own folder")
	require.NoFileExists(t, filepath.Join(dir, "leftover"))

	again, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	require.ErrorContains(t, saveFolder(dir, again, nil, nil), "is where the model was opened from")

	remove(t, dir, retortJSON)
	require.ErrorContains(t, saveFolder(dir, f, nil, nil), "was not written by Retort")
	require.FileExists(t, filepath.Join(dir, weightsFile))
}

func TestFailedSaveLeavesNothing(t *testing.T) {
	source := changedFolder(t, "tiny", func(string) {})
	f, err := ReadFolder(source, Options{})
	require.NoError(t, err)
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	require.NoError(t, saveFolder(dir, f, nil, nil))
	before, err := os.ReadFile(filepath.Join(dir, weightsFile))
	require.NoError(t, err)

	remove(t, source, weightsFile)
	require.ErrorContains(t, saveFolder(dir, f, nil, nil), "save model "+dir)
	after, err := os.ReadFile(filepath.Join(dir, weightsFile))
	require.NoError(t, err)
	require.Equal(t, before, after)
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	write(t, parent, "file", "x")
	require.Error(t, saveFolder(filepath.Join(parent, "file"), f, nil, nil))
	require.Error(t, saveFolder(filepath.Join(parent, "file", "model"), f, nil, nil))
}

// TestSentenceTransformersLoadsWhatIsSaved saves each model as it was, so that the embeddings of its golden still hold.
func TestSentenceTransformersLoadsWhatIsSaved(t *testing.T) {
	python := os.Getenv("RETORT_PYTHON")
	if python == "" {
		t.Skip("set RETORT_PYTHON to a Python that has sentence-transformers")
	}
	for _, name := range []string{"tiny", "tiny-cls", "tiny-router"} {
		t.Run(name, func(t *testing.T) {
			f, err := ReadFolder("testdata/"+name, Options{})
			require.NoError(t, err)
			trained := map[*Tower][]safetensors.Tensor{f.Query.Tower: towerWeights(t, f.Query.Tower)}
			if name == "tiny" { // as after SplitTowers
				twin := *f.Query.Tower
				f.Query.Tower = &twin
			}
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, saveFolder(dir, f, trained, nil))
			out, err := exec.Command(python, "-B", "testdata/check_st.py", dir, "testdata/"+name+".json").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.NotContains(t, string(out), "MISSING")
		})
	}
}

// changedFolder returns a copy of a folder of testdata, changed.
func changedFolder(t *testing.T, name string, change func(dir string)) string {
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))))
	change(dir)
	return dir
}

func changeJSON(t *testing.T, dir, name string, change func(map[string]any)) {
	var j map[string]any
	readGolden(t, filepath.Join(dir, name), &j)
	change(j)
	raw, err := json.Marshal(j)
	require.NoError(t, err)
	write(t, dir, name, string(raw))
}

func changeWeights(t *testing.T, dir string, change func([]safetensors.Tensor) []safetensors.Tensor) {
	path := filepath.Join(dir, weightsFile)
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

func towerWeights(t *testing.T, tower *Tower) []safetensors.Tensor {
	w, err := tower.openWeights()
	require.NoError(t, err)
	defer w.Close()
	all, err := tower.storedWeights(w)
	require.NoError(t, err)
	return all
}

func write(t *testing.T, dir, name, content string) {
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func remove(t *testing.T, dir string, names ...string) {
	for _, name := range names {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
}
