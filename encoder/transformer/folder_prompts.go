package transformer

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// readSentenceTransformers reads config_sentence_transformers.json: prompts, similarity and dimensions.
func (f *Folder) readSentenceTransformers(o Options) error {
	s, err := modelfolder.ReadOptional(filepath.Join(f.Dir, sentenceTransformersJSON))
	if err != nil {
		return err
	}
	if _, err := sentenceTransformersSchema.Check(s); err != nil {
		return err
	}
	if err := f.readSimilarity(s); err != nil {
		return err
	}
	if err := f.readPrompts(s, o); err != nil {
		return err
	}
	f.Query.Prompt = valueOr(o.QueryPrompt, f.Query.Prompt)
	f.Passage.Prompt = valueOr(o.PassagePrompt, f.Passage.Prompt)
	return nil
}

func (f *Folder) readSimilarity(s modelfolder.Settings) error {
	f.similarity = cosine
	if _, err := s.Get("similarity_fn_name", &f.similarity); err != nil {
		return err
	}
	if f.similarity != cosine && f.similarity != dot {
		return s.Errorf("similarity_fn_name", "is %q; cosine and dot are supported", f.similarity)
	}
	isSet, err := s.Get("truncate_dim", &f.truncateDim)
	if err != nil {
		return err
	}
	if isSet && f.truncateDim < 1 {
		return s.Errorf("truncate_dim", "is %d; at least 1 is needed", f.truncateDim)
	}
	return nil
}

// readPrompts reads the prompts named query and document, like encode_query and encode_document. Since
// sentence-transformers 5 every model has both prompts, empty by default, so the prompts named passage and corpus and
// default_prompt_name are never used there.
func (f *Folder) readPrompts(s modelfolder.Settings, o Options) error {
	var named map[string]*string
	if _, err := s.Get("prompts", &named); err != nil {
		return err
	}
	f.Query.Prompt, f.Passage.Prompt = valueOr(named["query"], ""), valueOr(named["document"], "")
	var otherwise string
	if _, err := s.Get("default_prompt_name", &otherwise); err != nil {
		return err
	}
	_, ok := named[otherwise]
	if s.IsSet("default_prompt_name") && !ok && otherwise != "query" && otherwise != "document" {
		return s.Errorf("default_prompt_name", "is %q, but prompts has no such name", otherwise)
	}
	if o.PassagePrompt != nil { // the user knows
		delete(named, "passage")
		delete(named, "corpus")
	}
	if o.QueryPrompt == nil || o.PassagePrompt == nil {
		f.notes = append(f.notes, promptNotes(s, named)...)
	}
	return nil
}

// promptNotes returns a note about the prompts that neither role uses.
func promptNotes(s modelfolder.Settings, named map[string]*string) []string {
	var unused, texts []string
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if text := valueOr(named[name], ""); text != "" && name != "query" && name != "document" {
			unused = append(unused, fmt.Sprintf("%q", name))
			texts = append(texts, text)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	example := ""
	for _, name := range []string{"passage", "corpus"} {
		if text := valueOr(named[name], ""); text != "" && valueOr(named["document"], "") == "" {
			example = fmt.Sprintf("; passages get no prompt: set Options.PassagePrompt to %q if they were trained with it", text)
			break
		}
	}
	if example == "" && valueOr(named["query"], "") == "" && len(texts) == 1 {
		example = fmt.Sprintf("; queries get no prompt: set Options.QueryPrompt to %q if they were trained with it", texts[0])
	}
	return []string{fmt.Sprintf("%s: prompts has %s, which neither queries nor passages use, as in "+
		"sentence-transformers 6: "+
		"encode_query uses \"query\", encode_document \"document\"%s", s, strings.Join(unused, ", "), example)}
}
