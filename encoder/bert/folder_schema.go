package bert

import "github.com/retort-ir/retort/internal/modelfolder"

// The schemas list the keys of a folder's files that sentence-transformers 6.2 and transformers 5.24 read, or once did.
// docs/model-folders.md says what becomes of each; its rows are those of testdata/keys/rows.json.

var moduleSchema = modelfolder.Schema{
	Read:     []string{"path", "type", "name"},
	Harmless: []string{"idx"},
	Refused:  []modelfolder.Refusal{{Key: "kwargs", OK: []string{"[]"}, Remedy: "no module that is supported takes any"}},
}

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
		"pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken",
	},
	Harmless: []string{"embedding_dimension", "word_embedding_dimension"},
	Refused: []modelfolder.Refusal{
		{Key: "include_prompt", OK: []string{"true"}, NotNull: true, Remedy: "the pooling takes in the prompt's tokens"},
	},
}

var normalizeSchema = modelfolder.Schema{
	Refused: []modelfolder.Refusal{
		{Key: "module_input_name", OK: []string{`"sentence_embedding"`}, Remedy: "only sentence_embedding is normalised"},
		{Key: "module_output_name", OK: []string{`"sentence_embedding"`}, Remedy: "only sentence_embedding is normalised"},
	},
}

var denseSchema = modelfolder.Schema{
	Read:     []string{"activation_function"},
	Harmless: []string{"in_features", "out_features", "bias"}, // the weights say it
	Refused: []modelfolder.Refusal{
		{Key: "module_input_name", OK: []string{`"sentence_embedding"`}, Remedy: "only a Dense that changes nothing is"},
		{Key: "module_output_name", OK: []string{`"sentence_embedding"`}, Remedy: "only a Dense that changes nothing is"},
		{Key: "use_residual", OK: []string{"false"}, Remedy: "only a Dense that changes nothing is"},
	},
}

var dropoutSchema = modelfolder.Schema{Harmless: []string{"dropout"}}

var sentenceTransformersSchema = modelfolder.Schema{
	Read:     []string{"prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim"},
	Harmless: []string{"__version__", "requirements"},
	Refused: []modelfolder.Refusal{
		{
			Key: "model_type", OK: []string{`"SentenceTransformer"`}, NotNull: true,
			Remedy: "only dense models, SentenceTransformer, are",
		},
	},
}

var sentenceBERTSchema = modelfolder.Schema{
	Read: []string{
		"max_seq_length", "do_lower_case", "query_length", "document_length", "processing_kwargs", "modality_config",
		"processor_kwargs", "tokenizer_args", "model_kwargs", "model_args", "config_kwargs", "config_args",
	},
	Harmless: []string{"unpad_inputs", "backend", "cache_dir"},
	Refused: []modelfolder.Refusal{
		{Key: "transformer_task", OK: []string{`"feature-extraction"`}, Remedy: "only feature-extraction is"},
		{Key: "module_output_name", OK: []string{`"token_embeddings"`}, Remedy: "only token_embeddings is"},
		{Key: "query_expansion", Remedy: "it is for models of many vectors a text"},
		{Key: "tokenizer_name_or_path", Remedy: "put the tokenizer's files into the folder and remove the key"},
	},
}

// hubKeys say where files come from, and by which rights; sentence-transformers overwrites or drops them.
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
	Unknown: "set it in " + tokenizerConfig,
}

const leftPadding = `with padding on the left a BERT's vectors would depend on the texts beside a text; set "right"`

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
			Remedy: "texts are cut to the length limit; raise it in place of that",
		},
		{Key: "padding_side", OK: []string{`"right"`}, Remedy: leftPadding},
		{Key: "return_tensors", OK: []string{`"pt"`}, Remedy: "only pt is"},
		{Key: "return_attention_mask", OK: []string{"true"}, Remedy: "padding would count as text"},
		{Key: "add_special_tokens", OK: []string{"true"}, Remedy: "a text always stands between [CLS] and [SEP]"},
		{Key: "is_split_into_words", OK: []string{"false"}, Remedy: "a text is not a list of words"},
		{Key: "split_special_tokens", OK: []string{"false"}, Remedy: splitSpecials},
	},
}

const splitSpecials = "special tokens are recognised in texts"

var modalitySchema = modelfolder.Schema{
	Refused: []modelfolder.Refusal{
		{Key: "method", OK: []string{`"forward"`}, Remedy: "only forward is"},
		{
			Key: "method_output_name", OK: []string{`"last_hidden_state"`, `["last_hidden_state"]`},
			Remedy: "only last_hidden_state is",
		},
	},
}

// tokenizerSchema is for tokenizer_config.json. Keys that end in _token name special tokens; what is not listed is kept
// by transformers 5 and not used.
var tokenizerSchema = modelfolder.Schema{
	Read: []string{
		"tokenizer_class", "do_lower_case", "strip_accents", "tokenize_chinese_chars", "model_max_length", "max_len",
		"truncation_side",
		"added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens",
		"model_input_names",
	},
	Harmless: []string{
		"_commit_hash", "add_prefix_space", "backend", "chat_template", "clean_up_tokenization_spaces",
		"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", "do_basic_tokenize", "files_loaded",
		"is_local",
		"legacy", "local_files_only", "max_length", "name_or_path", "never_split", "pad_to_multiple_of", "pad_token_type_id",
		"padding", "response_schema", "response_template", "special_tokens_map_file", "stride", "tokenizer_file",
		"truncation",
		"truncation_strategy", "use_fast", "verbose", "vocab_file", "word_tokenizer_type", "wordpieces_prefix",
	},
	Refused: []modelfolder.Refusal{
		{Key: "padding_side", OK: []string{`"right"`}, Remedy: leftPadding},
		{Key: "split_special_tokens", OK: []string{"false"}, Remedy: splitSpecials},
		{Key: "add_bos_token", OK: []string{"false"}, Remedy: "a BERT's text stands between [CLS] and [SEP]"},
		{Key: "add_eos_token", OK: []string{"false"}, Remedy: "a BERT's text stands between [CLS] and [SEP]"},
		{Key: "auto_map", OK: []string{"{}"}, Remedy: "no code of a folder is run; remove the key if the tokenizer is a BertTokenizer without it"},
		{Key: "fast_tokenizer_files", OK: []string{"[]", `["tokenizer.json"]`}, Remedy: "only tokenizer.json is read"},
		{Key: "gguf_file", Remedy: "only tokenizer.json and vocab.txt are read"},
		{Key: "init_inputs", OK: []string{"[]"}, Remedy: "remove the key"},
		{Key: "post_processor", Remedy: "it belongs into tokenizer.json"},
		{Key: "processor_class", Remedy: "the model reads more than text"},
		{Key: "tokenizer_object", Remedy: "remove the key"},
		{Key: "tokenizer_padding", Remedy: "it belongs into tokenizer.json, as padding"},
		{Key: "tokenizer_truncation", Remedy: "it belongs into tokenizer.json, as truncation"},
		{Key: "vocab", Remedy: "only the vocabulary of tokenizer.json or vocab.txt is read"},
	},
	Open: true,
}
