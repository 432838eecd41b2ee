package tokenizer

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/retort-ir/retort/internal/atomicfile"
)

// Tokenizer is a vocabulary with the rules that split text into tokens. It is safe for concurrent use.
type Tokenizer struct {
	verbatim   addedSet // tokens to find in the original text
	normalizer chain
	normalized addedSet       // tokens to find in the normalised text
	stages     []preTokenizer // each splits the pieces of the stage before
	model      model
	bert       *bertNormalizer // set if this and bertWords are the whole pipeline: texts are then encoded word by word

	single, pair template
	cutLeft      bool  // texts are cut at the beginning
	pad          int32 // -1: none

	ids     map[string]int32
	tokens  []string // by id; "" where an id is not used
	raw     []string // by id: the bytes that the token stands for
	strip   bool     // Decode drops a space in front, which the encoder adds
	scratch sync.Pool

	maxLength   *int  // model_max_length; nil: none
	last        token // the token with the largest id, if that id is beyond the model's vocabulary
	notes       []string
	files       []file
	fingerprint string
	maxID       int64 // bound of the ids
}

// Decode returns the text of ids, special tokens included. It skips ids outside the vocabulary, and replaces invalid
// UTF-8, such as ids that stop within a character, by U+FFFD. It drops one space in front if the encoder adds one
// (Llama 2, XLM-R). The ids of WordPiece have no text.
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

// AppendBytes appends the bytes of a token, which need not be whole characters; none for an id outside the vocabulary.
func (t *Tokenizer) AppendBytes(dst []byte, id int32) []byte { return append(dst, t.bytes(id)...) }

// ID returns the id of a token in the vocabulary's notation ("Ġthe", "▁the", "<|im_end|>").
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns a token in the vocabulary's notation; "" for an id outside the vocabulary.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// Len returns the largest id + 1: the least number of rows of a model's embedding table.
func (t *Tokenizer) Len() int { return len(t.tokens) }

// CheckRows returns an error if a model with that many rows of embeddings lacks a row for a token. where names the
// setting that gives the number of rows.
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

// PadID returns the id that pads the shorter rows of a batch; not ok if the files name no such token.
func (t *Tokenizer) PadID() (id int32, ok bool) { return t.pad, t.pad >= 0 }

// ModelMaxLength returns the length limit of tokenizer_config.json; not ok if there is none.
func (t *Tokenizer) ModelMaxLength() (tokens int, ok bool) {
	if t.maxLength == nil {
		return 0, false
	}
	return *t.maxLength, true
}

// Notes returns a sentence for each setting of the files that the tokenizer ignores, as transformers does.
func (t *Tokenizer) Notes() []string { return t.notes }

// Fingerprint returns a digest of the tokenizer's files.
func (t *Tokenizer) Fingerprint() string { return t.fingerprint }

func (t *Tokenizer) bytes(id int32) string {
	if id < 0 || int(id) >= len(t.raw) {
		return ""
	}
	return t.raw[id]
}

// Prefix returns the special tokens that the post-processor puts before a text. Do not change them.
func (t *Tokenizer) Prefix() []int32 {
	if len(t.single.parts) == 0 {
		return nil
	}
	return t.single.parts[0].ids
}

// Save writes the tokenizer's files into a folder. It sets a length limit in the files to maxTokens.
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
