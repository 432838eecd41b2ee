package subword

import (
	"strings"
	"sync"
	"unicode/utf8"

	encoding "golang.org/x/text/encoding/unicode"
)

// Tokenizer is a vocabulary with the rules that cut text into its tokens. It is safe for concurrent use.
type Tokenizer struct {
	verbatim   addedSet // tokens that are looked for in the text as it is
	normalizer chain
	normalized addedSet       // tokens that are looked for in the normalised text
	stages     []preTokenizer // each splits the pieces of the one before
	model      model
	pair       []templatePart

	ids     map[string]int32
	tokens  []string // by id; "" where an id is not used
	raw     []string // by id: the bytes that the token stands for
	strip   bool     // Decode leaves out a space in front: the encoder put it there
	scratch sync.Pool

	fingerprint string
	maxID       int64 // of the tokens that are still to come
}

// model turns one piece of text into ids.
type model interface {
	appendIDs(dst []int32, piece string, s *scratch) []int32
}

// scratch is what one call of Encode needs for itself.
type scratch struct {
	pieces, next []piece
	merger       merger
	lattice      []arc
}

// Encode returns the ids of a text. It adds no special token, and what looks like one in the text ("<|im_end|>") is
// text like any other: what a user or a document says can not end a turn. (But a unigram vocabulary that counts its
// special tokens among its words, as XLM-R's does, finds them there.) The empty text has no ids. An error names a
// pattern of the tokenizer that takes too long on the text.
func (t *Tokenizer) Encode(text string) ([]int32, error) { return t.encode(text, false) }

// EncodeWithSpecials returns the ids of a text in which special tokens are recognised where they are written: for chat
// templates that have been filled in. It adds none.
func (t *Tokenizer) EncodeWithSpecials(text string) ([]int32, error) { return t.encode(text, true) }

// Decode returns the text of ids, special tokens as they are written, ids outside the vocabulary left out. Bytes that
// are no UTF-8, as at the end of ids that stop within a character, become U+FFFD. Where the vocabulary's words begin with a
// space that the encoder puts in front of a text (Llama 2, XLM-R), one space in front is left out.
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

// Fingerprint returns a digest of what the tokenizer was made of.
func (t *Tokenizer) Fingerprint() string { return t.fingerprint }

func (t *Tokenizer) bytes(id int32) string {
	if id < 0 || int(id) >= len(t.raw) {
		return ""
	}
	return t.raw[id]
}

func (t *Tokenizer) encode(text string, specials bool) (ids []int32, err error) {
	err = guard(func() { ids = t.tokensOf(text, specials) })
	return ids, err
}

func (t *Tokenizer) tokensOf(text string, specials bool) []int32 {
	s, _ := t.scratch.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	defer t.scratch.Put(s)
	text = validUTF8(text)
	ids := make([]int32, 0, len(text)/4+2)
	token := func(id int32) { ids = append(ids, id) }
	t.verbatim.split(text, specials, token, func(segment string, start bool) {
		segment, stripped := t.normalizer.normalizeAtStart(segment)
		t.normalized.split(segment, specials, token, func(segment string, first bool) {
			ids = t.appendPieces(ids, piece{segment, start && first && !stripped}, s)
		})
	})
	return ids
}

func (t *Tokenizer) appendPieces(ids []int32, whole piece, s *scratch) []int32 {
	s.pieces = append(s.pieces[:0], whole)
	for _, stage := range t.stages {
		s.next = s.next[:0]
		for _, p := range s.pieces {
			s.next = stage.split(s.next, p)
		}
		s.pieces, s.next = s.next, s.pieces
	}
	for _, p := range s.pieces {
		if p.text != "" {
			ids = t.model.appendIDs(ids, p.text, s)
		}
	}
	s.pieces, s.next = emptied(s.pieces), emptied(s.next)
	return ids
}

// emptied keeps the memory of a small buffer, but none of the text that its pieces hold.
func emptied(pieces []piece) []piece {
	if cap(pieces) > 1024 {
		return nil
	}
	clear(pieces[:cap(pieces)])
	return pieces[:0]
}

// validUTF8 puts U+FFFD in place of what is no UTF-8: one for as many bytes as could begin a character, as Python's
// errors="replace" and Rust's from_utf8_lossy do.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	valid, _ := encoding.UTF8.NewDecoder().String(s) // which never fails
	return valid
}
