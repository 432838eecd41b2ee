package encodernet

import (
	"slices"

	"github.com/retort-ir/retort/internal/modelfolder"
)

var bert = Family{
	ModelType: "bert", Known: "MiniLM, bge-*-en-v1.5, e5, arctic-embed 1, gte 1",
	Architecture: "BertModel", Tokenizer: "BertTokenizer",
	Prefix: "bert.", Schema: schema("a BERT", bertKeys), read: readBERT, names: bertNames,
}

var bertNames = names{
	words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings",
	types: "embeddings.token_type_embeddings", norm: "embeddings.LayerNorm", layer: "encoder.layer.%d.",
	query: "attention.self.query", key: "attention.self.key", value: "attention.self.value",
	out: "attention.output.dense", attentionNorm: "attention.output.LayerNorm",
	up: "intermediate.dense", down: "output.dense", feedForwardNorm: "output.LayerNorm",
}

// bertKeys are the keys of BERT's configuration, which RoBERTa shares.
var bertKeys = familyKeys{
	read: append(slices.Clone(sizeKeys), "type_vocab_size", "layer_norm_eps", "hidden_act", "position_embedding_type"),
	harmless: []string{
		"classifier_dropout", "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
		"pooler_size_per_head", "pooler_type",
	},
}

func readBERT(r *configReader) Config {
	c := r.common()
	c.Pad = r.pad(0)
	c.TypeVocabSize = r.count("type_vocab_size", 2, 1)
	c.LayerNormEps = r.epsilon("layer_norm_eps", 1e-12)
	c.Activation = r.activation("hidden_act", "gelu")
	r.position("absolute")
	return c
}

// readRoBERTa reads BERT's keys; positions begin after the padding token's id.
func readRoBERTa(r *configReader) Config {
	c := readBERT(r)
	c.Pad = r.pad(1)
	c.FirstPosition = c.Pad + 1
	return c
}

var robertaSchema = schema("a RoBERTa", familyKeys{
	read: append(slices.Clone(bertKeys.read), "pad_token_id"), harmless: bertKeys.harmless,
})

var roberta = Family{
	ModelType: "roberta", Known: "all-distilroberta-v1, all-roberta-large-v1",
	Architecture: "RobertaModel", Tokenizer: "RobertaTokenizer",
	Prefix: "roberta.", Schema: robertaSchema, read: readRoBERTa, names: bertNames,
}

var xlmRoberta = Family{
	ModelType: "xlm-roberta", Known: "bge-m3, multilingual-e5, arctic-embed-l-v2.0",
	Architecture: "XLMRobertaModel", Tokenizer: "XLMRobertaTokenizer",
	Prefix: "roberta.", Schema: robertaSchema, read: readRoBERTa, names: bertNames,
}

var camembert = Family{
	ModelType: "camembert", Known: "sentence-camembert",
	Architecture: "CamembertModel", Tokenizer: "CamembertTokenizer",
	Prefix: "roberta.", Schema: robertaSchema, read: readRoBERTa, names: bertNames,
}

var mpnet = Family{
	ModelType: "mpnet", Known: "all-mpnet-base-v2, multi-qa-mpnet",
	Architecture: "MPNetModel", Tokenizer: "MPNetTokenizer",
	Prefix: "mpnet.",
	Schema: schema("an MPNet", familyKeys{
		read: append(slices.Clone(sizeKeys), "layer_norm_eps", "hidden_act", "relative_attention_num_buckets"),
	}),
	read: func(r *configReader) Config {
		c := r.common()
		// Whatever pad_token_id says: MPNet's code has the number 1.
		c.Pad, c.FirstPosition = r.pad(1), 2
		c.LayerNormEps = r.epsilon("layer_norm_eps", 1e-12)
		c.Activation = r.activation("hidden_act", "gelu")
		c.RelativeBuckets = r.count("relative_attention_num_buckets", buckets, 1)
		if c.RelativeBuckets != buckets {
			r.fail("relative_attention_num_buckets", "is %d; only %d is supported", c.RelativeBuckets, buckets)
		}
		return c
	},
	names: names{
		words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings", norm: "embeddings.LayerNorm",
		relative: "encoder.relative_attention_bias", layer: "encoder.layer.%d.",
		query: "attention.attn.q", key: "attention.attn.k", value: "attention.attn.v", out: "attention.attn.o",
		attentionNorm: "attention.LayerNorm", up: "intermediate.dense", down: "output.dense",
		feedForwardNorm: "output.LayerNorm",
	},
}

var distilBERT = Family{
	ModelType: "distilbert", Known: "msmarco-distilbert, multi-qa-distilbert",
	Architecture: "DistilBertModel", Tokenizer: "BertTokenizer",
	Prefix: "distilbert.",
	Schema: schema("a DistilBERT", familyKeys{
		read: []string{"dim", "n_layers", "n_heads", "hidden_dim", "vocab_size", "max_position_embeddings", "activation"},
		harmless: []string{
			"attention_dropout", "dropout", "qa_dropout", "seq_classif_dropout",
			"sinusoidal_pos_embds", // how the positions began; their values are among the weights
		},
		refused: []modelfolder.Refusal{
			{Key: "hidden_size", Remedy: "DistilBERT's key is dim"},
			{Key: "num_hidden_layers", Remedy: "DistilBERT's key is n_layers"},
			{Key: "num_attention_heads", Remedy: "DistilBERT's key is n_heads"},
		},
	}),
	read: func(r *configReader) Config {
		c := Config{LayerNormEps: 1e-12, Activation: r.activation("activation", "gelu"), Pad: r.pad(0)}
		r.counts([]string{"dim", "n_layers", "n_heads", "hidden_dim", "vocab_size", "max_position_embeddings"},
			&c.HiddenSize, &c.Layers, &c.Heads, &c.IntermediateSize, &c.VocabSize, &c.MaxPositions)
		return c
	},
	names: names{
		words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings", norm: "embeddings.LayerNorm",
		layer: "transformer.layer.%d.",
		query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin", out: "attention.out_lin",
		attentionNorm: "sa_layer_norm", up: "ffn.lin1", down: "ffn.lin2", feedForwardNorm: "output_layer_norm",
	},
}

// gteKeys are those of transformers' gte and of the code on the Hugging Face hub that was there before it.
var gteKeys = familyKeys{
	read: append(slices.Clone(sizeKeys), "type_vocab_size", "layer_norm_eps", "hidden_act", "position_embedding_type",
		"head_dim", "rope_theta", "rope_scaling", "rope_parameters"),
	harmless: []string{
		"auto_map", "classifier_dropout", "unpad_inputs", "use_memory_efficient_attention",
	},
	refused: []modelfolder.Refusal{
		{Key: "layer_norm_type", OK: []string{`"layer_norm"`}, Remedy: "only layer_norm is"},
		{Key: "logn_attention_scale", OK: []string{"false"}, Remedy: "only scores without it are"},
		{Key: "logn_attention_clip1", OK: []string{"false"}, Remedy: "only scores without it are"},
		{Key: "pack_qkv", OK: []string{"true"}, Remedy: "save the model with queries, keys and values in one matrix"},
	},
}

var gteNames = names{
	words: "embeddings.word_embeddings", types: "embeddings.token_type_embeddings", norm: "embeddings.LayerNorm",
	layer: "encoder.layer.%d.", qkv: "attention.qkv_proj", out: "attention.o_proj", attentionNorm: "attn_ln",
	upGate: "mlp.up_gate_proj", down: "mlp.down_proj", feedForwardNorm: "mlp_ln",
}

func readGTE(theta float64) func(*configReader) Config {
	return func(r *configReader) Config {
		c := r.common()
		c.Pad = r.pad(0)
		c.HeadSize = r.count("head_dim", 0, 0)
		c.TypeVocabSize = r.count("type_vocab_size", 1, 0)
		c.LayerNormEps = r.epsilon("layer_norm_eps", 1e-12)
		c.Activation = r.activation("hidden_act", "gelu")
		c.Unbiased = Unbiased{Up: true}
		r.position("rope")
		c.Rotary = r.rotary(theta, c.headWidth())
		return c
	}
}

var gte = Family{
	ModelType: "gte", Known: "arctic-embed-m-v2.0", Architecture: "GteModel", Tokenizer: "XLMRobertaTokenizer",
	Prefix: "gte.",
	Schema: schema("a gte", gteKeys), read: readGTE(160_000), names: gteNames,
}

var newModel = Family{
	ModelType: "new", Known: "gte-base-en-v1.5, gte-multilingual-base", Architecture: "NewModel",
	Tokenizer: "PreTrainedTokenizerFast",
	Prefix:    "new.", Schema: schema("a gte", gteKeys), read: readGTE(10_000), names: gteNames,
}

var modernBERT = Family{
	ModelType: "modernbert", Known: "gte-modernbert-base, modernbert-embed-base",
	Architecture: "ModernBertModel", Tokenizer: "PreTrainedTokenizerFast",
	Prefix: "model.",
	Schema: schema("a ModernBERT", familyKeys{
		read: append(slices.Clone(sizeKeys), "hidden_activation", "norm_eps", "norm_bias", "attention_bias", "mlp_bias",
			"local_attention", "layer_types", "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta",
			"rope_parameters"),
		harmless: []string{
			"attention_dropout", "classifier_activation", "classifier_bias", "classifier_dropout", "classifier_pooling",
			"decoder_bias", "deterministic_flash_attn", "embedding_dropout", "initializer_cutoff_factor", "mlp_dropout",
			"reference_compile", "repad_logits_with_grad", "sparse_pred_ignore_index", "sparse_prediction",
			"layer_norm_eps", "position_embedding_type", // written by its first code, which read neither
		},
		refused: []modelfolder.Refusal{
			{Key: "rope_scaling", Remedy: "only rotary positions without scaling are"},
			{Key: "sliding_window", Remedy: "ModernBERT's key is local_attention"},
		},
	}),
	read: readModernBERT,
	names: names{
		words: "embeddings.tok_embeddings", norm: "embeddings.norm", layer: "layers.%d.",
		qkv: "attn.Wqkv", out: "attn.Wo", attentionNorm: "attn_norm", firstWithout: true,
		gateUp: "mlp.Wi", down: "mlp.Wo", feedForwardNorm: "mlp_norm", final: "final_norm",
	},
}

func readModernBERT(r *configReader) Config {
	c := r.common()
	c.Pad = r.pad(0)
	c.LayerNormEps = r.epsilon("norm_eps", 1e-5)
	c.Activation = r.activation("hidden_activation", "gelu")
	c.Unbiased.Attention = !r.flag("attention_bias", false)
	c.Unbiased.Up = !r.flag("mlp_bias", false)
	c.Unbiased.Down = c.Unbiased.Up
	if !r.flag("norm_bias", false) {
		c.Norm = UnbiasedLayerNorm
	}
	c.Window = r.count("local_attention", 128, 2) / 2
	every := r.count("global_attn_every_n_layers", 3, 1)
	c.Local = r.layerTypes(c.Layers, "sliding_attention", func(i int) bool { return i%every != 0 })
	global, local := 160_000.0, 10_000.0
	r.read("global_rope_theta", &global)
	r.read("local_rope_theta", &local)
	inner, err := r.s.Object("rope_parameters")
	if r.err == nil && err == nil {
		_, err = modelfolder.Schema{Read: []string{"full_attention", "sliding_attention"}}.Check(inner)
	}
	if r.err == nil {
		r.err = err
	}
	o := &configReader{s: inner, err: r.err}
	c.Rotary = o.rotaryOf("full_attention", global, c.headWidth())
	c.LocalRotary = o.rotaryOf("sliding_attention", local, c.headWidth())
	r.err = o.err
	return c
}

var nomicBERT = Family{
	ModelType: "nomic_bert", Known: "nomic-embed-text-v1, nomic-embed-text-v1.5",
	Architecture: "NomicBertModel", Tokenizer: "BertTokenizer",
	Prefix: "nomic_bert.", Schema: nomicSchema, read: readNomic,
	names: names{
		words: "embeddings.word_embeddings", types: "embeddings.token_type_embeddings", norm: "emb_ln",
		layer: "encoder.layers.%d.", qkv: "attn.Wqkv", out: "attn.out_proj", attentionNorm: "norm1",
		up: "mlp.fc11", gate: "mlp.fc12", down: "mlp.fc2", feedForwardNorm: "norm2",
	},
}

var qwen3 = Family{
	ModelType: "qwen3", Known: "Qwen3-Embedding", Architecture: "Qwen3Model", Tokenizer: "Qwen2Tokenizer",
	Prefix: "model.",
	Schema: schema("a Qwen3", familyKeys{
		read: append(slices.Clone(sizeKeys), "num_key_value_heads", "head_dim", "rms_norm_eps", "hidden_act",
			"attention_bias", "layer_types", "rope_theta", "rope_scaling", "rope_parameters"),
		harmless: []string{"attention_dropout", "max_window_layers", "sliding_window"},
		refused: []modelfolder.Refusal{
			{Key: "use_sliding_window", OK: []string{"false"}, Remedy: "only full attention is"},
			{Key: "is_causal", OK: []string{"true"}, Remedy: "only attention to the tokens before is"},
			{Key: "use_bidirectional_attention", OK: []string{"false"}, Remedy: "only attention to the tokens before is"},
		},
	}),
	read: func(r *configReader) Config {
		c := r.common()
		c.Pad = r.pad(0)
		c.KVHeads = r.count("num_key_value_heads", 32, 1)
		c.HeadSize = r.count("head_dim", 128, 1)
		c.LayerNormEps, c.Norm = r.epsilon("rms_norm_eps", 1e-6), RMSNorm
		c.Activation = r.activation("hidden_act", "silu")
		c.Unbiased = Unbiased{Attention: !r.flag("attention_bias", false), Up: true, Down: true}
		c.Causal = true
		r.layerTypes(c.Layers, "", func(int) bool { return false })
		c.Rotary = r.rotary(10_000, c.headWidth())
		return c
	},
	names: names{
		words: "embed_tokens", layer: "layers.%d.",
		query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj", out: "self_attn.o_proj",
		queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm", attentionNorm: "input_layernorm",
		up: "mlp.up_proj", gate: "mlp.gate_proj", down: "mlp.down_proj",
		feedForwardNorm: "post_attention_layernorm", final: "norm",
	},
}

// common reads the sizes by the names that most families have for them.
func (r *configReader) common() Config {
	var c Config
	r.counts(sizeKeys, &c.HiddenSize, &c.Layers, &c.Heads, &c.IntermediateSize, &c.VocabSize, &c.MaxPositions)
	return c
}

var sizeKeys = []string{
	"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
	"max_position_embeddings",
}

func (r *configReader) pad(otherwise int) int {
	r.read("pad_token_id", &otherwise)
	return otherwise
}

// position refuses another position_embedding_type.
func (r *configReader) position(kind string) {
	is := kind
	if r.read("position_embedding_type", &is); is != kind {
		r.fail("position_embedding_type", "is %q; only %s is supported", is, kind)
	}
}

// layerTypes reads which layers are local, the ones of type local; otherwise is for a folder that does not list them.
func (r *configReader) layerTypes(layers int, local string, otherwise func(int) bool) []bool {
	var types []string
	isSet := r.read("layer_types", &types)
	if r.err != nil {
		return nil
	}
	if isSet && len(types) != layers {
		r.fail("layer_types", "lists %d layers of %d (num_hidden_layers)", len(types), layers)
		return nil
	}
	var all []bool
	for i := range min(layers, mostLayers) {
		is := otherwise(i)
		if isSet {
			if is = types[i] == local; !is && types[i] != "full_attention" {
				r.fail("layer_types", "has %q, which is not supported", types[i])
			}
		}
		all = append(all, is)
	}
	return all
}

// mostLayers bounds the list of a folder whose num_hidden_layers is far too large. Its weights do not match in any
// case.
const mostLayers = 1 << 16

// headWidth is headSize of sizes that may be wrong.
func (c Config) headWidth() int {
	if c.Heads == 0 {
		return 0
	}
	return c.headSize()
}
