package tokenizer

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/retort-ir/retort/internal/atomicfile"
)

// Tokenizer is a vocabulary with the rules that cut text into its tokens. It is safe for concurrent use.
type Tokenizer struct {
	verbatim   addedSet // tokens that are looked for in the text as it is
	normalizer chain
	normalized addedSet       // tokens that are looked for in the normalised text
	stages     []preTokenizer // each splits the pieces of the one before
	model      model
	bert       *bertNormalizer // set if this and bertWords are all: a text is then encoded from space to space

	single, pair template
	cutLeft      bool  // a text that is too long loses its beginning
	pad          int32 // -1: none

	ids     map[string]int32
	tokens  []string // by id; "" where an id is not used
	raw     []string // by id: the bytes that the token stands for
	strip   bool     // Decode leaves out a space in front: the encoder put it there
	scratch sync.Pool

	maxLength   *int  // model_max_length; nil where no file gives it
	last        token // the one with the largest id, where that is beyond the model's vocabulary
	notes       []string
	files       []file
	fingerprint string
	maxID       int64 // of the tokens that are still to come
}

// Decode returns the text of ids, special tokens as they are written, ids outside the vocabulary left out. Bytes that
// are not UTF-8, as at the end of ids that stop within a character, become U+FFFD. Where the vocabulary's words begin
// with a space that the encoder puts in front of a text (Llama 2, XLM-R), one space in front is left out. The ids of
// WordPiece have no text.
func (t *Tokenizer) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(t.bytes(id))
	}
	text := b.String()
	if t.strip {
		text = strings.TrimPrefix(text, " ")
	}
	return validUTF8(text)
}

// AppendBytes appends the bytes that a token stands for, which need not be whole characters, and none for an id outside
// the vocabulary.
func (t *Tokenizer) AppendBytes(dst []byte, id int32) []byte { return append(dst, t.bytes(id)...) }

// ID returns the id of a token as the vocabulary writes it ("Ġthe", "▁the", "<|im_end|>").
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns a token as the vocabulary writes it, "" for an id outside the vocabulary.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// Len returns the largest id + 1: the rows that a model's embedding table must at least have.
func (t *Tokenizer) Len() int { return len(t.tokens) }

// CheckRows returns an error if a model with so many rows of embeddings lacks one for a token. where names the setting
// that says how many there are.
func (t *Tokenizer) CheckRows(where string, rows int) error {
	if t.Len() <= rows {
		return nil
	}
	remedy := ""
	if t.last.source != "" {
		remedy = fmt.Sprintf(": the id of %q (%s); remove the token, or give the model a row for it", t.last.Content,
			t.last.source)
	}
	return fmt.Errorf("%s is %d, the tokenizer has ids up to %d%s", where, rows, t.Len()-1, remedy)
}

// PadID returns the id that fills up the shorter rows of a batch; not ok where the files name no such token.
func (t *Tokenizer) PadID() (id int32, ok bool) { return t.pad, t.pad >= 0 }

// ModelMaxLength returns the length limit that tokenizer_config.json gives; not ok where it gives none.
func (t *Tokenizer) ModelMaxLength() (tokens int, ok bool) {
	if t.maxLength == nil {
		return 0, false
	}
	return *t.maxLength, true
}

// Notes say, a sentence each, what the files say and the tokenizer does without, as transformers does.
func (t *Tokenizer) Notes() []string { return t.notes }

// Fingerprint returns a digest of what the tokenizer was made of.
func (t *Tokenizer) Fingerprint() string { return t.fingerprint }

func (t *Tokenizer) bytes(id int32) string {
	if id < 0 || int(id) >= len(t.raw) {
		return ""
	}
	return t.raw[id]
}

// Prefix returns the special tokens that the post-processor puts before a text. The caller does not change them.
func (t *Tokenizer) Prefix() []int32 {
	if len(t.single.parts) == 0 {
		return nil
	}
	return t.single.parts[0].ids
}

// Save writes the files that the tokenizer was made of into a folder, with the length limit maxTokens where they give
// one.
func (t *Tokenizer) Save(dir string, maxTokens int) error {
	for _, f := range t.files {
		data, err := WithTokenLimit(f.name, f.data, maxTokens)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(dir, f.name), data); err != nil {
			return err
		}
	}
	return nil
}
