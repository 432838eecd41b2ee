package encodernet

import (
	"slices"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// familyKeys are the keys of a family's config.json beside those of every model in transformers.
type familyKeys struct {
	read, harmless []string
	refused        []modelfolder.Refusal // one for a key of every model replaces the general one
}

// schema is the schema of config.json of a kind of model, such as "a BERT". Models of transformers 5 ignore keys that
// are not listed.
func schema(kind string, k familyKeys) modelfolder.Schema {
	s := modelfolder.Schema{
		Read: slices.Concat(k.read, []string{
			"model_type", "is_decoder", "dtype", "torch_dtype", "tokenizer_class",
		}),
		Harmless: slices.Concat(k.harmless, []string{
			"_name_or_path", "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "architectures",
			"attention_probs_dropout_prob", "attn_implementation", "bos_token_id", "chunk_size_feed_forward", "cls_token_id",
			"eos_token_id", "finetuning_task", "gradient_checkpointing", "hidden_dropout_prob", "id2label",
			"initializer_range", "label2id", "mask_token_id", "max_length", "model_max_length", "name_or_path", "num_labels",
			"output_attentions", "output_hidden_states", "output_past", "pad_token_id", "problem_type", "return_dict",
			"sep_token_id",
			"tie_last_hidden_states", "tie_word_embeddings", "torchscript", "transformers_version", "use_bfloat16",
			"use_cache", "use_return_dict", "unk_token_id",
		}),
		Refused: k.refused,
		Open:    true,
	}
	known := func(key string) bool {
		return slices.Contains(s.Harmless, key) ||
			slices.ContainsFunc(s.Refused, func(r modelfolder.Refusal) bool { return r.Key == key })
	}
	for _, r := range []modelfolder.Refusal{
		{Key: "add_cross_attention", OK: []string{"false"}, Remedy: "only encoders are"},
		{Key: "is_encoder_decoder", OK: []string{"false"}, Remedy: "only encoders are"},
		{Key: "is_causal", OK: []string{"false"}, Remedy: "only attention to both sides is"},
		{Key: "use_bidirectional_attention", OK: []string{"true"}, Remedy: "only attention to both sides is"},
		{Key: "per_layer_config", OK: []string{"{}"}, Remedy: "all layers have the same shape"},
		{
			Key: "pruned_heads", OK: []string{"{}"},
			Remedy: "load and save the model with transformers 4, which cuts the heads off",
		},
		{Key: "quantization_config", Remedy: "save the model with weights of float32, float16 or bfloat16"},
		{Key: "processor_class", Remedy: "the model reads more than text"},
		{
			Key: "auto_map", OK: []string{"{}"},
			Remedy: "no code of a folder is run; remove the key if the model is " + kind + " without it",
		},
	} {
		if !known(r.Key) {
			s.Refused = append(s.Refused, r)
		}
	}
	return s
}
