package transformer

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// sentenceBERT is the content of the configuration of sentence-transformers' module Transformer; nil fields are unset.
type sentenceBERT struct {
	path string

	LowerCase      bool
	MaxSeqLength   *int
	ModelMaxLength *int // from the arguments of the tokenizer
	QueryLength    *int
	DocumentLength *int
	CallLength     *int // of each call of the tokenizer
}

// sentenceBERTNames are the possible names of the file; the first non-empty one counts.
var sentenceBERTNames = []string{
	sentenceBERTJSON, "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_camembert_config.json",
	"sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json",
}

// readSentenceBERT reads it. anySide accepts padding on the left, as in tokenizer.Options.
func readSentenceBERT(dir string, anySide bool) (sentenceBERT, error) {
	for _, name := range sentenceBERTNames {
		s, err := modelfolder.ReadOptional(filepath.Join(dir, name))
		if err != nil {
			return sentenceBERT{}, err
		}
		if s.Len() > 0 {
			return parseSentenceBERT(s, anySide)
		}
	}
	return sentenceBERT{path: filepath.Join(dir, sentenceBERTJSON)}, nil
}

func parseSentenceBERT(s modelfolder.Settings, anySide bool) (sentenceBERT, error) {
	j := sentenceBERT{path: s.String()}
	if _, err := sentenceBERTSchema.Check(s); err != nil {
		return j, err
	}
	if _, err := s.Get("do_lower_case", &j.LowerCase); err != nil {
		return j, err
	}
	for key, to := range map[string]**int{
		"max_seq_length": &j.MaxSeqLength, "query_length": &j.QueryLength, "document_length": &j.DocumentLength,
	} {
		if _, err := s.Get(key, to); err != nil {
			return j, err
		}
	}
	if err := checkModality(s); err != nil {
		return j, err
	}
	if err := j.readCalls(s); err != nil {
		return j, err
	}
	return j, j.readKwargs(s, anySide)
}

// checkModality makes sure that a text becomes the network's last hidden state.
func checkModality(s modelfolder.Settings) error {
	if !s.IsSet("modality_config") {
		return nil
	}
	modalities, err := s.Object("modality_config")
	if err != nil {
		return err
	}
	for _, key := range modalities.Keys() {
		if key != "text" {
			return modalities.Errorf(key, "is not supported; only text is")
		}
	}
	if !modalities.IsSet("text") {
		return s.Errorf("modality_config", "has no text")
	}
	text, err := modalities.Object("text")
	if err != nil {
		return err
	}
	_, err = modalitySchema.Check(text)
	return err
}

// readCalls reads the arguments of each call of the tokenizer. The arguments in common win over those in text.
func (j *sentenceBERT) readCalls(s modelfolder.Settings) error {
	calls, err := s.Object("processing_kwargs")
	if err != nil {
		return err
	}
	if _, err := processingKwargsSchema.Check(calls); err != nil {
		return err
	}
	for _, key := range []string{"text", "common"} {
		call, err := calls.Object(key)
		if err != nil {
			return err
		}
		if _, err := callSchema.Check(call); err != nil {
			return err
		}
		if _, err := call.Get("max_length", &j.CallLength); err != nil {
			return err
		}
	}
	return nil
}

// readKwargs reads the arguments that the network, its configuration and its tokenizer are loaded with. An old name
// wins over the new one.
func (j *sentenceBERT) readKwargs(s modelfolder.Settings, anySide bool) error {
	for _, kwargs := range []struct {
		name   string
		schema modelfolder.Schema
	}{
		{"model_kwargs", modelKwargsSchema},
		{"model_args", modelKwargsSchema},
		{"config_kwargs", configKwargsSchema},
		{"config_args", configKwargsSchema},
		{"processor_kwargs", processorKwargsSchema},
		{"tokenizer_args", processorKwargsSchema},
	} {
		inner, err := s.Object(kwargs.name)
		if err != nil {
			return err
		}
		if anySide {
			inner = inner.Without("padding_side")
		}
		if _, err := kwargs.schema.Check(inner); err != nil {
			return err
		}
		if !inner.Has("model_max_length") {
			continue
		}
		isSet, err := inner.Get("model_max_length", &j.ModelMaxLength)
		if err != nil {
			return err
		}
		if !isSet {
			return inner.Errorf("model_max_length", "is null: texts would not be cut; set a number or remove it")
		}
	}
	return nil
}

// checkNetwork checks config.json and the files beside it that would change the network, and returns notes about them.
func checkNetwork(dir string) (notes []string, err error) {
	if _, err := os.Stat(filepath.Join(dir, "adapter_config.json")); err == nil {
		return nil,
			fmt.Errorf("%s: adapters are not supported; merge the adapter into the model (peft: merge_and_unload) and save "+
				"the result",
				filepath.Join(dir, "adapter_config.json"))
	}
	for _, name := range []string{"processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"} {
		s, err := modelfolder.ReadOptional(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if s.IsSet("processor_class") {
			return nil, s.Errorf("processor_class", "is set: the model reads more than text, which is not supported")
		}
	}
	s, err := modelfolder.Read(filepath.Join(dir, configJSON))
	if err != nil {
		return nil, err
	}
	family, err := encodernet.FamilyOf(s)
	if err != nil {
		return nil, err
	}
	unknown, err := family.Schema.Check(s)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		notes = append(notes, modelfolder.UnknownNote(s, unknown))
	}
	note, err := dtypeNote(s)
	if note != "" {
		notes = append(notes, note)
	}
	return notes, err
}

// checkTokenizerClass rejects a tokenizer class that only config.json names and that is not the usual one.
func checkTokenizerClass(dir, usual string) error {
	config, err := modelfolder.Read(filepath.Join(dir, configJSON))
	if err != nil {
		return err
	}
	var class string
	isSet, err := config.Get("tokenizer_class", &class)
	if err != nil || !isSet || class == usual || class == usual+"Fast" {
		return err
	}
	beside, err := modelfolder.ReadOptional(filepath.Join(dir, tokenizer.ConfigFile))
	if err != nil || beside.IsSet("tokenizer_class") {
		return err
	}
	return config.Errorf("tokenizer_class", "is %s and %s names none; set it there", class, tokenizer.ConfigFile)
}

// dtypeNote returns a note that the network computes in float32 regardless of the type of its weights.
func dtypeNote(s modelfolder.Settings) (string, error) {
	var dtype string
	for _, key := range []string{"torch_dtype", "dtype"} {
		if _, err := s.Get(key, &dtype); err != nil {
			return "", err
		}
	}
	switch dtype {
	case "", "auto", "float32":
		return "", nil
	}
	return fmt.Sprintf("%s: dtype is %s; the weights are read and computed with as float32, as sentence-transformers "+
		"does with "+
		`model_kwargs={"dtype": "float32"}`, s, dtype), nil
}

// checkNoModules rejects, in a folder without modules.json, files that sentence-transformers reads only with
// modules.json.
func checkNoModules(dir string) error {
	for _, name := range append([]string{sentenceTransformersJSON}, sentenceBERTNames...) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s: sentence-transformers ignores this file without %s; restore that file or remove this one",
				path, modulesJSON)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "chat_template.jinja")); err == nil {
		return fmt.Errorf("%s: chat templates for texts are not supported; remove the file",
			filepath.Join(dir, "chat_template.jinja"))
	}
	s, err := modelfolder.ReadOptional(filepath.Join(dir, tokenizer.ConfigFile))
	if err != nil {
		return err
	}
	if s.IsSet("chat_template") {
		return s.Errorf("chat_template", "is set, but chat templates for texts are not supported; remove it")
	}
	return nil
}
