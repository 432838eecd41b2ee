package transformer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// readSentenceTransformers reads config_sentence_transformers.json: prompts, similarity and dimensions.
func (f *Folder) readSentenceTransformers(o Options) error {
	st, err := modelfolder.ReadSentenceTransformers(f.Dir)
	if err != nil {
		return err
	}
	f.similarity, f.truncateDim = st.Similarity, st.TruncateDim
	f.readPrompts(st, o)
	f.Query.Prompt = valueOr(o.QueryPrompt, f.Query.Prompt)
	f.Passage.Prompt = valueOr(o.PassagePrompt, f.Passage.Prompt)
	return nil
}

// readPrompts reads the prompts named query and document, like encode_query and encode_document. Since
// sentence-transformers 5 every model has both prompts, empty by default, so the prompts named passage and corpus and
// default_prompt_name are never used there.
func (f *Folder) readPrompts(st modelfolder.SentenceTransformers, o Options) {
	f.Query.Prompt, f.Passage.Prompt = st.Prompt("query"), st.Prompt("document")
	named := maps.Clone(st.Prompts)
	if o.PassagePrompt != nil { // the user knows
		delete(named, "passage")
		delete(named, "corpus")
	}
	if o.QueryPrompt == nil || o.PassagePrompt == nil {
		f.notes = append(f.notes, promptNotes(st.Settings, named)...)
	}
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
