package modelfolder

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// SentenceTransformersFile holds the settings of a whole sentence-transformers model.
const SentenceTransformersFile = "config_sentence_transformers.json"

// SentenceTransformersSchema is the schema of that file.
var SentenceTransformersSchema = Schema{
	Read:     []string{"prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim"},
	Harmless: []string{"__version__", "requirements"},
	Refused: []Refusal{
		{
			Key: "model_type", OK: []string{`"SentenceTransformer"`}, NotNull: true,
			Remedy: "only dense models, SentenceTransformer, are",
		},
	},
}

// Similarity is the function that passages are ranked by.
type Similarity string

// The similarities.
const (
	Cosine Similarity = "cosine"
	Dot    Similarity = "dot"
)

// SentenceTransformers is what that file says.
type SentenceTransformers struct {
	Settings    Settings
	Similarity  Similarity
	TruncateDim int                // number of leading values that a vector keeps, at most all; 0: all
	Prompts     map[string]*string // by name
}

// ReadSentenceTransformers reads the file, which may be missing.
func ReadSentenceTransformers(dir string) (SentenceTransformers, error) {
	st := SentenceTransformers{Similarity: Cosine}
	var err error
	if st.Settings, err = ReadOptional(filepath.Join(dir, SentenceTransformersFile)); err != nil {
		return st, err
	}
	s := st.Settings
	if _, err := SentenceTransformersSchema.Check(s); err != nil {
		return st, err
	}
	if _, err := s.Get("similarity_fn_name", &st.Similarity); err != nil {
		return st, err
	}
	if st.Similarity != Cosine && st.Similarity != Dot {
		return st, s.Errorf("similarity_fn_name", "is %q; cosine and dot are supported", st.Similarity)
	}
	isSet, err := s.Get("truncate_dim", &st.TruncateDim)
	if err != nil {
		return st, err
	}
	if isSet && st.TruncateDim < 1 {
		return st, s.Errorf("truncate_dim", "is %d; at least 1 is needed", st.TruncateDim)
	}
	if _, err := s.Get("prompts", &st.Prompts); err != nil {
		return st, err
	}
	var otherwise string
	if _, err := s.Get("default_prompt_name", &otherwise); err != nil {
		return st, err
	}
	_, ok := st.Prompts[otherwise]
	if s.IsSet("default_prompt_name") && !ok && otherwise != "query" && otherwise != "document" {
		return st, s.Errorf("default_prompt_name", "is %q, but prompts has no such name", otherwise)
	}
	return st, nil
}

// Dim returns the number of leading values that is kept of a vector of width values: override, Options.TruncateDim, or
// else what the file says.
func (st SentenceTransformers) Dim(width, override int) (int, error) {
	if override < 0 || override > width {
		return 0, fmt.Errorf("Options.TruncateDim is %d; the model's vectors have %d values", override, width)
	}
	return min(cmp.Or(override, st.TruncateDim, width), width), nil
}

// Prompt returns the prompt of a name; "" if there is none.
func (st SentenceTransformers) Prompt(name string) string {
	if p := st.Prompts[name]; p != nil {
		return *p
	}
	return ""
}

// PromptNotes returns a note about the prompts that neither role uses. queryGiven and passageGiven say whether the user
// has set Options.QueryPrompt and Options.PassagePrompt.
func (st SentenceTransformers) PromptNotes(queryGiven, passageGiven bool) []string {
	if queryGiven && passageGiven {
		return nil
	}
	named := maps.Clone(st.Prompts)
	if passageGiven { // the user knows
		delete(named, "passage")
		delete(named, "corpus")
	}
	var unused, texts []string
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if text := st.Prompt(name); text != "" && name != "query" && name != "document" {
			unused = append(unused, fmt.Sprintf("%q", name))
			texts = append(texts, text)
		}
	}
	if len(unused) == 0 {
		return nil
	}
	example := ""
	for _, name := range []string{"passage", "corpus"} {
		if text := st.Prompt(name); !passageGiven && text != "" && st.Prompt("document") == "" {
			example = fmt.Sprintf("; passages get no prompt: set Options.PassagePrompt to %q if they were trained with it", text)
			break
		}
	}
	if example == "" && st.Prompt("query") == "" && len(texts) == 1 {
		example = fmt.Sprintf("; queries get no prompt: set Options.QueryPrompt to %q if they were trained with it", texts[0])
	}
	return []string{fmt.Sprintf("%s: prompts has %s, which neither queries nor passages use, as in "+
		"sentence-transformers 6: "+
		"encode_query uses \"query\", encode_document \"document\"%s", st.Settings, strings.Join(unused, ", "), example)}
}
