package transformer

import (
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// The schemas list the keys of a folder's files that sentence-transformers 6.2 and transformers 5.24 read, or that
// earlier versions read. docs/model-folders.md documents each key; its rows come from testdata/keys/rows.json.

var routerSchema = modelfolder.Schema{Read: []string{"types", "structure", "parameters"}}

var routerParametersSchema = modelfolder.Schema{
	Read:     []string{"default_route"},
	Harmless: []string{"allow_empty_key"},
	Refused: []modelfolder.Refusal{{
		Key: "route_mappings", OK: []string{"{}"},
		Remedy: "name the routes query and document",
	}},
}

var poolingSchema = modelfolder.Schema{
	Read: []string{
		"pooling_mode", "pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens",
		"pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken", "include_prompt",
	},
	Harmless: []string{"embedding_dimension", "word_embedding_dimension"},
}

var normalizeSchema = modelfolder.Schema{
	Refused: []modelfolder.Refusal{
		{Key: "module_input_name", OK: []string{`"sentence_embedding"`}, Remedy: "only sentence_embedding is normalised"},
		{Key: "module_output_name", OK: []string{`"sentence_embedding"`}, Remedy: "only sentence_embedding is normalised"},
	},
}

var denseSchema = modelfolder.Schema{
	Read: []string{"activation_function", "in_features", "out_features", "bias"},
	Refused: []modelfolder.Refusal{
		{Key: "module_input_name", OK: []string{`"sentence_embedding"`}, Remedy: "only a Dense of sentence_embedding is"},
		{Key: "module_output_name", OK: []string{`"sentence_embedding"`}, Remedy: "only a Dense of sentence_embedding is"},
		{Key: "use_residual", OK: []string{"false"}, Remedy: "only a Dense without it is"},
	},
}

var layerNormSchema = modelfolder.Schema{Read: []string{"dimension"}}

var dropoutSchema = modelfolder.Schema{Harmless: []string{"dropout"}}

var sentenceBERTSchema = modelfolder.Schema{
	Read: []string{
		"max_seq_length", "do_lower_case", "query_length", "document_length", "processing_kwargs", "modality_config",
		"processor_kwargs", "tokenizer_args", "model_kwargs", "model_args", "config_kwargs", "config_args",
	},
	Harmless: []string{"unpad_inputs", "backend", "cache_dir"},
	Refused: []modelfolder.Refusal{
		{Key: "transformer_task", OK: []string{`"feature-extraction"`}, Remedy: "only feature-extraction is"},
		{Key: "module_output_name", OK: []string{`"token_embeddings"`}, Remedy: "only token_embeddings is"},
		{Key: "query_expansion", Remedy: "it is for models with many vectors per text"},
		{Key: "tokenizer_name_or_path", Remedy: "put the tokenizer's files into the folder and remove the key"},
	},
}

// hubKeys are the arguments of downloads (source, token); sentence-transformers overwrites or drops them.
var hubKeys = []string{
	"cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token",
	"trust_remote_code", "use_auth_token",
}

var processorKwargsSchema = modelfolder.Schema{
	Read:     []string{"model_max_length"},
	Harmless: append([]string{"use_fast", "clean_up_tokenization_spaces", "verbose"}, hubKeys...),
	Refused: []modelfolder.Refusal{
		{Key: "padding_side", OK: []string{`"right"`}, Remedy: leftPadding},
	},
	Unknown: "set it in " + tokenizer.ConfigFile,
}

const leftPadding = `with padding on the left a text's vector would depend on the texts beside it; set "right"`

var modelKwargsSchema = modelfolder.Schema{
	Read: []string{"dtype", "torch_dtype"},
	Harmless: append([]string{
		"attn_implementation", "device_map", "low_cpu_mem_usage", "max_memory", "offload_folder", "output_loading_info",
		"use_safetensors", "weights_only", "add_pooling_layer",
	}, hubKeys...),
}

var configKwargsSchema = modelfolder.Schema{
	Harmless: append([]string{"attn_implementation", "output_attentions", "output_hidden_states", "use_cache"},
		hubKeys...),
	Unknown: "set it in " + configJSON,
}

var processingKwargsSchema = modelfolder.Schema{
	Read:     []string{"text", "common"},
	Harmless: []string{"audio", "image", "video", "chat_template"}, // a BERT reads plain text only
}

// callSchema is for the arguments of one call of a tokenizer.
var callSchema = modelfolder.Schema{
	Read: []string{"max_length"},
	Harmless: []string{
		"pad_to_multiple_of", "stride", "verbose", "logits_to_keep", "return_length", "return_offsets_mapping",
		"return_special_tokens_mask", "return_token_type_ids",
	},
	Refused: []modelfolder.Refusal{
		{Key: "padding", OK: []string{"true", `"longest"`, `"max_length"`}, Remedy: "texts are padded to the longest"},
		{
			Key: "truncation", OK: []string{"true", `"longest_first"`, `"only_first"`},
			Remedy: "texts are always cut to the length limit; raise the limit instead",
		},
		{Key: "padding_side", OK: []string{`"right"`}, Remedy: leftPadding},
		{Key: "return_tensors", OK: []string{`"pt"`}, Remedy: "only pt is"},
		{Key: "return_attention_mask", OK: []string{"true"}, Remedy: "padding would count as text"},
		{Key: "add_special_tokens", OK: []string{"true"}, Remedy: "a text is always between [CLS] and [SEP]"},
		{Key: "is_split_into_words", OK: []string{"false"}, Remedy: "a text is not a list of words"},
		{Key: "split_special_tokens", OK: []string{"false"}, Remedy: "special tokens are recognised in texts"},
	},
}

var modalitySchema = modelfolder.Schema{
	Refused: []modelfolder.Refusal{
		{Key: "method", OK: []string{`"forward"`}, Remedy: "only forward is"},
		{
			Key: "method_output_name", OK: []string{`"last_hidden_state"`, `["last_hidden_state"]`},
			Remedy: "only last_hidden_state is",
		},
	},
}
