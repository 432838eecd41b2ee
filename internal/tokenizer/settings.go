package tokenizer

import (
	"math"
	"slices"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// ConfigSchema is the schema of tokenizer_config.json of an encoder. Keys that end in _token name special tokens.
// transformers 5 keeps keys that are not listed, but does not use them.
var ConfigSchema = modelfolder.Schema{
	Read: []string{
		"tokenizer_class", "do_lower_case", "strip_accents", "tokenize_chinese_chars", "model_max_length", "max_len",
		"truncation_side", "added_tokens_decoder", "additional_special_tokens", "extra_special_tokens",
		"model_specific_special_tokens", "model_input_names",
	},
	Harmless: []string{
		"_commit_hash", "add_prefix_space", "backend", "chat_template", "clean_up_tokenization_spaces", "errors", "trim_offsets",
		"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", "do_basic_tokenize", "files_loaded",
		"is_local", "legacy", "local_files_only", "max_length", "name_or_path", "never_split", "pad_to_multiple_of",
		"pad_token_type_id", "padding", "response_schema", "response_template", "special_tokens_map_file", "stride",
		"tokenizer_file", "truncation", "truncation_strategy", "use_fast", "verbose", "vocab_file", "word_tokenizer_type",
		"wordpieces_prefix",
	},
	Refused: []modelfolder.Refusal{
		{Key: "padding_side", OK: []string{`"right"`}, Remedy: leftPadding},
		{Key: "split_special_tokens", OK: []string{"false"}, Remedy: "special tokens are recognised in texts"},
		{Key: "add_bos_token", OK: []string{"false"}, Remedy: postProcessorDecides},
		{Key: "add_eos_token", OK: []string{"false"}, Remedy: postProcessorDecides},
		{
			Key: "auto_map", OK: []string{"{}"},
			Remedy: "no code of a folder is run; remove the key if the tokenizer is a BertTokenizer without it",
		},
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

const (
	leftPadding          = `with padding on the left a text's vector would depend on the texts beside it; set "right"`
	postProcessorDecides = "the post-processor says which special tokens are around a text"
)

// settingsFiles hold the tokenizer's switches.
type settingsFiles struct{ config, specialsMap modelfolder.Settings }

// of returns the file whose value of a key counts: special_tokens_map.json wins, even with null.
func (f settingsFiles) of(key string) modelfolder.Settings {
	if f.specialsMap.Has(key) {
		return f.specialsMap
	}
	return f.config
}

// get reads the value of a key into v.
func (f settingsFiles) get(key string, v any) error {
	_, err := f.of(key).Get(key, v)
	return err
}

// switches are the settings that are neither tokens nor the class.
type switches struct {
	maxLength *int  // model_max_length; nil where no file gives one
	cutLeft   *bool // truncation_side; nil where no file gives one

	lower, accents, chinese *bool // of a BertTokenizer or MPNetTokenizer
	prefixSpace             *bool // of a RobertaTokenizer, XLMRobertaTokenizer or CamembertTokenizer
}

func readSwitches(f settingsFiles) (s switches, err error) {
	if s.maxLength, err = f.maxLength(); err != nil {
		return s, err
	}
	const sideKey = "truncation_side"
	var side *string
	if err := f.get(sideKey, &side); err != nil {
		return s, err
	}
	if file := f.of(sideKey); file.Has(sideKey) {
		if side == nil || *side != "left" && *side != "right" {
			return s, file.Errorf(sideKey, "is %s; left and right are supported", file.Raw(sideKey))
		}
		left := *side == "left"
		s.cutLeft = &left
	}
	const inputsKey = "model_input_names"
	var inputs []string
	if err := f.get(inputsKey, &inputs); err != nil {
		return s, err
	}
	if file := f.of(inputsKey); file.IsSet(inputsKey) && !slices.Contains(inputs, "attention_mask") {
		return s, file.Errorf(inputsKey, "lacks attention_mask: padding would count as text; add it")
	}
	for _, of := range []struct {
		key string
		to  **bool
	}{
		{"do_lower_case", &s.lower},
		{"strip_accents", &s.accents},
		{"tokenize_chinese_chars", &s.chinese},
		{"add_prefix_space", &s.prefixSpace},
	} {
		if err := f.get(of.key, of.to); err != nil {
			return s, err
		}
	}
	return s, nil
}

// maxLength reads model_max_length, or max_len, its older name. A value of 1e30 means none.
func (f settingsFiles) maxLength() (*int, error) {
	key := "model_max_length"
	if !f.of(key).Has(key) {
		key = "max_len"
	}
	var maxLength *float64
	if err := f.get(key, &maxLength); err != nil {
		return nil, err
	}
	if maxLength == nil || *maxLength >= math.MaxInt32 {
		return nil, nil
	}
	n := int(*maxLength)
	if float64(n) != *maxLength {
		return nil, f.of(key).Errorf(key, "is %v; a whole number is needed", *maxLength)
	}
	return &n, nil
}
