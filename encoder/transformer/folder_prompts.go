package transformer

import (
	"fmt"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// readSentenceTransformers reads config_sentence_transformers.json: prompts, similarity and dimensions.
func (f *Folder) readSentenceTransformers(o Options) error {
	st, err := modelfolder.ReadSentenceTransformers(f.Dir)
	if err != nil {
		return err
	}
	f.similarity = st.Similarity
	if f.dim, err = st.Dim(f.Query.Tower.width(), o.TruncateDim); err != nil {
		return fmt.Errorf("%s: %w", f.Dir, err)
	}
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
	f.notes = append(f.notes, st.PromptNotes(o.QueryPrompt != nil, o.PassagePrompt != nil)...)
}
