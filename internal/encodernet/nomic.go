package encodernet

import (
	"slices"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// nomicNames pairs the keys of transformers' nomic_bert with those of the code on the Hugging Face hub that was there
// before it. A folder may have either, or both with the same value.
var nomicNames = map[string]string{
	"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head",
	"intermediate_size": "n_inner", "max_position_embeddings": "n_positions", "layer_norm_eps": "layer_norm_epsilon",
}

var nomicSchema = schema("a nomic_bert", familyKeys{
	read: slices.Concat(sizeKeys, []string{
		"type_vocab_size", "layer_norm_eps", "hidden_act", "head_dim", "rope_theta", "rope_scaling", "rope_parameters",
		"n_embd", "n_layer", "n_head", "n_inner", "n_positions", "layer_norm_epsilon", "activation_function",
		"rotary_emb_base", "rotary_emb_fraction", "rotary_scaling_factor", "max_trained_positions", "qkv_proj_bias",
		"mlp_fc1_bias", "mlp_fc2_bias",
	}),
	harmless: []string{
		"attn_pdrop", "auto_map", "classifier_dropout", "dense_seq_output", "embd_pdrop", "expert_choice_router", "ffn_div",
		"fused_bias_fc", "fused_dropout_add_ln", "last_layer_subset", "megablocks", "moe_impl",
		"moe_normalize_expert_weights", "moe_resid_pdrop", "moe_top_k", "pad_vocab_size_multiple", "reorder_and_upcast_attn",
		"resid_pdrop", "router_aux_loss_coef", "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "summary_activation",
		"summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj", "use_flash_attn",
		"use_xentropy",
	},
	refused: []modelfolder.Refusal{
		{Key: "prenorm", OK: []string{"false"}, Remedy: "only normalisations after the layers are"},
		{Key: "use_rms_norm", OK: []string{"false"}, Remedy: "only LayerNorm is"},
		{Key: "rotary_emb_interleaved", OK: []string{"false"}, Remedy: "only halves of a head turn together"},
		{Key: "rotary_emb_scale_base", Remedy: "only rotary positions without it are"},
		{Key: "rotary_head_dim", OK: []string{"false"}, Remedy: "only rotary positions by token are"},
		{Key: "causal", OK: []string{"false"}, Remedy: "only attention to both sides is"},
		{Key: "parallel_block", OK: []string{"false"}, Remedy: "attention and feed-forward follow each other"},
		{Key: "parallel_block_tied_norm", OK: []string{"false"}, Remedy: "attention and feed-forward follow each other"},
		{Key: "num_heads_kv", Remedy: "only as many heads of keys as of queries are"},
		{Key: "moe_every_n_layers", OK: []string{"0", "-1"}, Remedy: "mixtures of experts are not"},
		{Key: "num_experts", OK: []string{"0", "1"}, Remedy: "mixtures of experts are not"},
		{Key: "num_shared_experts", OK: []string{"0"}, Remedy: "mixtures of experts are not"},
	},
})

func readNomic(r *configReader) Config {
	hub := r.s.IsSet("n_embd")
	r.aliased(nomicNames)
	c := r.common()
	c.Pad = r.pad(0)
	c.HeadSize = r.count("head_dim", 0, 0)
	c.TypeVocabSize = r.count("type_vocab_size", 2, 1)
	c.LayerNormEps = r.epsilon("layer_norm_eps", 1e-12)
	c.Activation = r.activation("hidden_act", r.nomicActivation())
	c.Unbiased = Unbiased{
		Attention: !r.flag("qkv_proj_bias", false), Up: !r.flag("mlp_fc1_bias", false), Down: !r.flag("mlp_fc2_bias", false),
	}
	theta, fraction, factor := 1000.0, 1.0, 0.0
	if r.read("rotary_emb_base", &theta); hub && !r.s.IsSet("rotary_emb_fraction") {
		r.fail("rotary_emb_fraction", "is missing; only 1 is supported")
	}
	if r.read("rotary_emb_fraction", &fraction); fraction != 1 {
		r.fail("rotary_emb_fraction", "is %v; only 1 is supported", fraction)
	}
	c.Rotary = r.rotary(theta, c.headWidth())
	if r.read("rotary_scaling_factor", &factor); factor != 0 {
		c.Dynamic = true
	}
	c.MaxPositions = r.count("max_trained_positions", c.MaxPositions, 1)
	return c
}

// nomicActivation is the activation of the gate by the hub's name of the whole layer.
func (r *configReader) nomicActivation() string {
	name := "swiglu"
	r.read("activation_function", &name)
	switch name {
	case "swiglu":
		return "silu"
	case "geglu":
		return "gelu"
	}
	r.fail("activation_function", "is %q; swiglu and geglu are supported", name)
	return ""
}

// aliased gives keys a second name. Both must have the same value.
func (r *configReader) aliased(second map[string]string) {
	for key, other := range second {
		var a, b float64
		if r.read(key, &a) && r.read(other, &b) && a != b {
			r.fail(other, "is %v, but %s is %v", b, key, a)
		}
	}
	r.aliases = second
}
