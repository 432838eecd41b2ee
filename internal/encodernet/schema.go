package encodernet

import "github.com/retort-ir/retort/internal/modelfolder"

// ConfigSchema is the schema of config.json. A BertModel of transformers 5 ignores keys that are not listed.
var ConfigSchema = modelfolder.Schema{
	Read: []string{
		"model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
		"max_position_embeddings", "type_vocab_size", "layer_norm_eps", "hidden_act", "position_embedding_type", "is_decoder",
		"dtype", "torch_dtype", "tokenizer_class",
	},
	Harmless: []string{
		"_name_or_path", "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "architectures",
		"attention_probs_dropout_prob", "attn_implementation", "bos_token_id", "chunk_size_feed_forward",
		"classifier_dropout", "cls_token_id", "directionality", "eos_token_id", "finetuning_task",
		"gradient_checkpointing", "hidden_dropout_prob", "id2label", "initializer_range", "label2id", "mask_token_id",
		"max_length", "model_max_length", "name_or_path", "num_labels", "output_attentions",
		"output_hidden_states", "output_past", "pad_token_id", "pooler_fc_size", "pooler_num_attention_heads",
		"pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "problem_type", "return_dict", "sep_token_id",
		"tie_last_hidden_states", "tie_word_embeddings", "torchscript", "transformers_version", "use_bfloat16", "use_cache",
		"use_return_dict", "unk_token_id",
	},
	Refused: []modelfolder.Refusal{
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
			Remedy: "no code of a folder is run; remove the key if the model is a BERT without it",
		},
	},
	Open: true,
}
