package encodernet

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// published are config.json of models as they were published, but for keys that every family has, and as transformers
// 5.24 writes them.
var published = map[string]struct {
	json string
	want Config
}{
	"all-mpnet-base-v2": {
		`{"model_type": "mpnet", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
		"intermediate_size": 3072, "vocab_size": 30527, "max_position_embeddings": 514, "layer_norm_eps": 1e-05,
		"hidden_act": "gelu", "relative_attention_num_buckets": 32, "pad_token_id": 1}`,
		Config{
			ModelType: "mpnet", HiddenSize: 768, Layers: 12, Heads: 12, IntermediateSize: 3072, VocabSize: 30527,
			MaxPositions: 514, FirstPosition: 2, Pad: 1, RelativeBuckets: 32, LayerNormEps: 1e-5, Activation: "gelu",
		},
	},
	"multilingual-e5-small": {
		`{"model_type": "xlm-roberta", "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12,
		"intermediate_size": 1536, "vocab_size": 250037, "max_position_embeddings": 514, "layer_norm_eps": 1e-05,
		"hidden_act": "gelu", "type_vocab_size": 1, "pad_token_id": 1, "position_embedding_type": "absolute"}`,
		Config{
			ModelType: "xlm-roberta", HiddenSize: 384, Layers: 12, Heads: 12, IntermediateSize: 1536, VocabSize: 250037,
			TypeVocabSize: 1, MaxPositions: 514, FirstPosition: 2, Pad: 1, LayerNormEps: 1e-5, Activation: "gelu",
		},
	},
	"msmarco-distilbert-base-v4": {
		`{"model_type": "distilbert", "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "vocab_size": 30522,
		"max_position_embeddings": 512, "activation": "gelu", "sinusoidal_pos_embds": false, "pad_token_id": 0}`,
		Config{
			ModelType: "distilbert", HiddenSize: 768, Layers: 6, Heads: 12, IntermediateSize: 3072, VocabSize: 30522,
			MaxPositions: 512, LayerNormEps: 1e-12, Activation: "gelu",
		},
	},
	"gte-base-en-v1.5": {
		`{"model_type": "new", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
		"intermediate_size": 3072, "vocab_size": 30528, "max_position_embeddings": 8192, "layer_norm_eps": 1e-12,
		"layer_norm_type": "layer_norm", "hidden_act": "gelu", "type_vocab_size": 0, "pad_token_id": 0,
		"position_embedding_type": "rope", "rope_theta": 500000, "rope_scaling": {"factor": 2.0, "type": "ntk"},
		"logn_attention_clip1": false, "logn_attention_scale": false, "pack_qkv": true, "unpad_inputs": false,
		"use_memory_efficient_attention": false,
		"auto_map": {"AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"}}`,
		Config{
			ModelType: "new", HiddenSize: 768, Layers: 12, Heads: 12, IntermediateSize: 3072, VocabSize: 30528,
			MaxPositions: 8192, LayerNormEps: 1e-12, Activation: "gelu", Unbiased: Unbiased{Up: true},
			Rotary: Rotary{Theta: 1e6, Divisor: 1.0218971486541166}, // 2^(2/64)
		},
	},
	"gte of transformers": {
		`{"model_type": "gte", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
		"intermediate_size": 48, "vocab_size": 100, "max_position_embeddings": 8192,
		"rope_parameters": {"rope_theta": 160000.0, "rope_type": "linear", "factor": 4}}`,
		Config{
			ModelType: "gte", HiddenSize: 32, Layers: 2, Heads: 4, IntermediateSize: 48, VocabSize: 100, TypeVocabSize: 1,
			MaxPositions: 8192, LayerNormEps: 1e-12, Activation: "gelu", Unbiased: Unbiased{Up: true},
			Rotary: Rotary{Theta: 160_000, Divisor: 4},
		},
	},
	"gte-modernbert-base": {
		`{"model_type": "modernbert", "hidden_size": 768, "num_hidden_layers": 4, "num_attention_heads": 12,
		"intermediate_size": 1152, "vocab_size": 50368, "max_position_embeddings": 8192, "norm_eps": 1e-05,
		"layer_norm_eps": 1e-05, "norm_bias": false, "attention_bias": false, "mlp_bias": false, "pad_token_id": 50283,
		"hidden_activation": "gelu", "global_attn_every_n_layers": 3, "local_attention": 128,
		"global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "position_embedding_type": "absolute"}`,
		Config{
			ModelType: "modernbert", HiddenSize: 768, Layers: 4, Heads: 12, IntermediateSize: 1152, VocabSize: 50368,
			Pad: 50283, MaxPositions: 8192, LayerNormEps: 1e-5, Norm: UnbiasedLayerNorm, Activation: "gelu",
			Unbiased: Unbiased{Attention: true, Up: true, Down: true}, Window: 64,
			Local: []bool{false, true, true, false}, Rotary: Rotary{160_000, 1}, LocalRotary: Rotary{10_000, 1},
		},
	},
	"modernbert of transformers": {
		`{"model_type": "modernbert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
		"intermediate_size": 48, "vocab_size": 100, "max_position_embeddings": 8192, "norm_bias": true, "pad_token_id": 0,
		"attention_bias": true, "mlp_bias": true, "layer_types": ["sliding_attention", "full_attention"],
		"local_attention": 10, "rope_parameters": {"full_attention": {"rope_theta": 5e4, "rope_type": "default"},
		"sliding_attention": {"rope_theta": 2e4, "rope_type": "default"}}}`,
		Config{
			ModelType: "modernbert", HiddenSize: 32, Layers: 2, Heads: 4, IntermediateSize: 48, VocabSize: 100,
			MaxPositions: 8192, LayerNormEps: 1e-5, Activation: "gelu", Window: 5, Local: []bool{true, false},
			Rotary: Rotary{50_000, 1}, LocalRotary: Rotary{20_000, 1},
		},
	},
	"nomic-embed-text-v1.5": {
		`{"model_type": "nomic_bert", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": 3072, "n_positions": 8192,
		"vocab_size": 30528, "type_vocab_size": 2, "layer_norm_epsilon": 1e-12, "activation_function": "swiglu",
		"rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": false,
		"rotary_emb_scale_base": null, "rotary_scaling_factor": null, "max_trained_positions": 2048, "prenorm": false,
		"qkv_proj_bias": false, "mlp_fc1_bias": false, "mlp_fc2_bias": false, "causal": false, "use_rms_norm": false,
		"parallel_block": false, "pad_vocab_size_multiple": 64,
		"auto_map": {"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"}}`,
		Config{
			ModelType: "nomic_bert", HiddenSize: 768, Layers: 12, Heads: 12, IntermediateSize: 3072, VocabSize: 30528,
			TypeVocabSize: 2, MaxPositions: 2048, LayerNormEps: 1e-12, Activation: "silu",
			Unbiased: Unbiased{Attention: true, Up: true, Down: true}, Rotary: Rotary{1000, 1},
		},
	},
	"nomic_bert of transformers": {
		`{"model_type": "nomic_bert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8,
		"intermediate_size": 48, "vocab_size": 100, "max_position_embeddings": 2048, "hidden_act": "silu",
		"rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"}}`,
		Config{
			ModelType: "nomic_bert", HiddenSize: 32, Layers: 2, Heads: 4, HeadSize: 8, IntermediateSize: 48, VocabSize: 100,
			TypeVocabSize: 2, MaxPositions: 2048, LayerNormEps: 1e-12, Activation: "silu",
			Unbiased: Unbiased{Attention: true, Up: true, Down: true}, Rotary: Rotary{1000, 1},
		},
	},
	"Qwen3-Embedding-0.6B": {
		`{"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16,
		"num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151669,
		"max_position_embeddings": 32768, "rms_norm_eps": 1e-06, "hidden_act": "silu", "attention_bias": false,
		"rope_theta": 1000000, "rope_scaling": null, "use_sliding_window": false, "sliding_window": null,
		"max_window_layers": 28, "tie_word_embeddings": true}`,
		Config{
			ModelType: "qwen3", HiddenSize: 1024, Layers: 28, Heads: 16, KVHeads: 8, HeadSize: 128, IntermediateSize: 3072,
			VocabSize: 151669, MaxPositions: 32768, LayerNormEps: 1e-6, Norm: RMSNorm, Activation: "silu", Causal: true,
			Unbiased: Unbiased{Attention: true, Up: true, Down: true}, Rotary: Rotary{1e6, 1},
		},
	},
}

func TestPublishedConfigurationsBecomeSwitches(t *testing.T) {
	for name, c := range published {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), ConfigFile)
			require.NoError(t, os.WriteFile(path, []byte(c.json), 0o644))
			got, err := ReadConfig(path)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestWhatAFamilyDoesNotComputeIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ base, change, want string }{
		{
			"all-mpnet-base-v2", `{"model_type": "deberta-v2"}`,
			`model_type is "deberta-v2"; supported are bert (MiniLM, `,
		},
		{"all-mpnet-base-v2", `{"model_type": null}`, `model_type is ""; supported are bert (`},
		{"all-mpnet-base-v2", `{"model_type": 3}`, "model_type: a number where a string is wanted"},
		{
			"all-mpnet-base-v2", `{"relative_attention_num_buckets": 64}`,
			"relative_attention_num_buckets is 64; only 32 is",
		},
		{"all-mpnet-base-v2", `{"max_position_embeddings": 2}`, "of max_position_embeddings 2, none is left"},
		{
			"all-mpnet-base-v2", `{"auto_map": {"AutoModel": "x.Y"}}`,
			"no code of a folder is run; remove the key if the model is an MPNet",
		},
		{
			"multilingual-e5-small", `{"pad_token_id": 250037}`,
			"pad_token_id is 250037, outside the vocabulary of 250037",
		},
		{"multilingual-e5-small", `{"pad_token_id": -1}`, "pad_token_id is -1"},
		{"multilingual-e5-small", `{"is_decoder": true}`, "is_decoder is true; only encoders are supported"},
		{
			"msmarco-distilbert-base-v4", `{"hidden_size": 384}`,
			"hidden_size is 384, which is not supported; DistilBERT's key is dim",
		},
		{"msmarco-distilbert-base-v4", `{"dim": null}`, "no dim"},
		{"msmarco-distilbert-base-v4", `{"activation": "tanh"}`, `activation is "tanh"; gelu, `},
		{
			"gte-base-en-v1.5", `{"position_embedding_type": "absolute"}`,
			`position_embedding_type is "absolute"; only rope is`,
		},
		{
			"gte-base-en-v1.5", `{"logn_attention_scale": true}`,
			"logn_attention_scale is true, which is not supported",
		},
		{
			"gte-base-en-v1.5", `{"layer_norm_type": "rms_norm"}`,
			`layer_norm_type is "rms_norm", which is not supported`,
		},
		{"gte-base-en-v1.5", `{"pack_qkv": false}`, "pack_qkv is false, which is not supported"},
		{
			"gte-base-en-v1.5", `{"rope_scaling": {"factor": 2.0, "type": "dynamic"}}`,
			`rope_scaling: rope_type is "dynamic"; default, linear and ntk are supported`,
		},
		{
			"gte-base-en-v1.5", `{"rope_scaling": {"factor": 2.0, "type": "ntk", "mixed_b": 0.6}}`,
			"rope_scaling: mixed_b is 0.6, which is not supported",
		},
		{
			"gte-base-en-v1.5", `{"rope_scaling": {"factor": 2.0, "type": "ntk", "beta_fast": 32}}`,
			"rope_scaling: beta_fast is not supported here",
		},
		{"gte-base-en-v1.5", `{"rope_scaling": {"factor": 0.5, "type": "ntk"}}`, "rope_scaling: factor is 0.5"},
		{"gte-base-en-v1.5", `{"rope_theta": 0}`, "rope_theta is 0"},
		{"gte-base-en-v1.5", `{"hidden_size": 756}`, "heads of width 63 cannot be turned in pairs"},
		{
			"gte-modernbert-base", `{"layer_types": ["full_attention"]}`,
			"layer_types lists 1 layers of 4 (num_hidden_layers)",
		},
		{
			"gte-modernbert-base", `{"layer_types": ["full_attention", "x", "full_attention", "full_attention"]}`,
			`layer_types has "x", which is not supported`,
		},
		{
			"gte-modernbert-base", `{"rope_parameters": {"rope_theta": 1}}`,
			"rope_parameters: rope_theta is not supported here",
		},
		{"gte-modernbert-base", `{"rope_scaling": {"type": "linear", "factor": 2}}`, "rope_scaling is {"},
		{
			"gte-modernbert-base", `{"sliding_window": 32}`,
			"sliding_window is 32, which is not supported; ModernBERT's key is local_attention",
		},
		{"gte-modernbert-base", `{"global_attn_every_n_layers": 0}`, "global_attn_every_n_layers is 0"},
		{"nomic-embed-text-v1.5", `{"hidden_size": 384}`, "n_embd is 768, but hidden_size is 384"},
		{
			"nomic-embed-text-v1.5", `{"activation_function": "gelu"}`,
			`activation_function is "gelu"; swiglu and geglu are supported`,
		},
		{
			"nomic-embed-text-v1.5", `{"rotary_emb_fraction": 0.5}`,
			"rotary_emb_fraction is 0.5; only 1 is supported",
		},
		{
			"nomic-embed-text-v1.5", `{"rotary_emb_fraction": null}`,
			"rotary_emb_fraction is missing; only 1 is supported",
		},
		{
			"nomic-embed-text-v1.5", `{"rotary_emb_interleaved": true}`,
			"rotary_emb_interleaved is true, which is not supported",
		},
		{"nomic-embed-text-v1.5", `{"prenorm": true}`, "prenorm is true, which is not supported"},
		{
			"nomic-embed-text-v1.5", `{"moe_every_n_layers": 2}`,
			"moe_every_n_layers is 2, which is not supported; mixtures of experts are not",
		},
		{"nomic-embed-text-v1.5", `{"n_embd": null}`, "no hidden_size"},
		{
			"Qwen3-Embedding-0.6B", `{"use_sliding_window": true}`,
			"use_sliding_window is true, which is not supported",
		},
		{
			"Qwen3-Embedding-0.6B", `{"is_causal": false}`,
			"is_causal is false, which is not supported; only attention to the tokens before is",
		},
		{
			"Qwen3-Embedding-0.6B", `{"num_key_value_heads": 3}`,
			"num_attention_heads 16 is not a multiple of num_key_value_heads 3",
		},
		{
			"Qwen3-Embedding-0.6B", `{"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}`,
			`rope_type is "yarn"; default, linear and ntk are supported`,
		},
		{
			"Qwen3-Embedding-0.6B", `{"quantization_config": {"bits": 4}}`,
			"quantization_config is {\"bits\":4}, which is not supported",
		},
	} {
		t.Run(c.base+" "+c.change, func(t *testing.T) {
			var config, change map[string]any
			require.NoError(t, json.Unmarshal([]byte(published[c.base].json), &config))
			require.NoError(t, json.Unmarshal([]byte(c.change), &change))
			maps.Copy(config, change)
			raw, err := json.Marshal(config)
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), ConfigFile)
			require.NoError(t, os.WriteFile(path, raw, 0o644))
			_, err = ReadConfig(path)
			require.ErrorContains(t, err, path+": ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A dynamic scaling changes with the longest text of a batch, beyond the positions that were trained.
func TestPositionsThatDependOnOtherTextsEndWhereTheyBegin(t *testing.T) {
	path := filepath.Join(t.TempDir(), ConfigFile)
	for factor, extends := range map[string]bool{"null": true, "2": false} {
		text := strings.Replace(published["nomic-embed-text-v1.5"].json, `"rotary_scaling_factor": null`,
			`"rotary_scaling_factor": `+factor, 1)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		c, err := ReadConfig(path)
		require.NoError(t, err)
		require.Equal(t, extends, c.Extends())
		require.Equal(t, 2048, c.MaxTokens())
	}
}

func TestEveryFamilyHasNamesOfItsOwn(t *testing.T) {
	for _, f := range Families() {
		require.NotEmpty(t, f.ModelType)
		require.NotEmpty(t, f.Known, f.ModelType)
		require.Same(t, f, Config{ModelType: f.ModelType}.Family())
		require.NotEmpty(t, f.Architecture)
		require.True(t, strings.HasSuffix(f.Prefix, "."))
	}
	require.Same(t, &bert, Config{}.Family())
}

func TestSegmentsBeginWhereTheSecondTextDoes(t *testing.T) {
	b := NewBatch([][]int32{{2, 7, 3, 8, 3}, {2, 3, 3}}, 0).WithSegments([]int{3, 2})
	require.Equal(t, []int64{2, 7, 3, 8, 3, 2, 3, 3, 0, 0}, b.ids)
	require.Equal(t, []int64{0, 0, 0, 1, 1, 0, 0, 1, 0, 0}, b.segments, "padding counts as the first")
	require.True(t, b.padded())
}

// relative_position_bucket of transformers 5.24's MPNet gives these buckets from these distances on.
func TestDistancesHaveTheBucketsOfTransformers(t *testing.T) {
	steps := []struct{ from, bucket int }{
		{-600, 15},
		{-90, 14},
		{-63, 13},
		{-45, 12},
		{-31, 11},
		{-22, 10},
		{-15, 9},
		{-11, 8},
		{-7, 7},
		{-6, 6},
		{-5, 5},
		{-4, 4},
		{-3, 3},
		{-2, 2},
		{-1, 1},
		{0, 0},
		{1, 17},
		{2, 18},
		{3, 19},
		{4, 20},
		{5, 21},
		{6, 22},
		{7, 23},
		{8, 24},
		{12, 25},
		{16, 26},
		{23, 27},
		{32, 28},
		{46, 29},
		{64, 30},
		{91, 31},
		{601, 0},
	}
	for i, step := range steps[:len(steps)-1] {
		for d := step.from; d < steps[i+1].from; d++ {
			require.Equal(t, step.bucket, bucket(d), "distance %d", d)
		}
	}
}

// Calls of Encode that run at the same time share the tables of rotary positions.
func TestPassesAtTheSameTimeShareRotaryTables(t *testing.T) {
	const d, passes = 8, 64
	var tables rotaryTables
	global, local := Rotary{Theta: 160_000, Divisor: 1}, Rotary{Theta: 10_000, Divisor: 1}
	want := map[Rotary]*rotaryTable{global: newRotaryTable(global, d, passes), local: newRotaryTable(local, d, passes)}
	var wg sync.WaitGroup
	for width := 1; width <= passes; width++ {
		wg.Go(func() {
			for r, whole := range want {
				got := tables.get(r, d, width)
				if !slices.Equal(whole.cos[:width*d], got.cos[:width*d]) || !slices.Equal(whole.sin[:width*d], got.sin[:width*d]) {
					t.Errorf("theta %v, %d positions: other angles", r.Theta, width)
				}
			}
		})
	}
	wg.Wait()
}

// A configuration that is accepted has shapes, whatever it says.
func FuzzReadConfig(f *testing.F) {
	for _, c := range published {
		f.Add([]byte(c.json))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), ConfigFile)
		require.NoError(t, os.WriteFile(path, raw, 0o644))
		c, err := ReadConfig(path)
		if err != nil {
			return
		}
		require.Positive(t, c.MaxTokens())
		c.Layers = min(c.Layers, 3)
		for _, p := range Shapes(c) {
			for _, d := range p.Dims {
				require.Positive(t, d, p.Name)
			}
		}
	})
}
