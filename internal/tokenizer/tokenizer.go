package tokenizer

import (
	"fmt"
	"math"
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

// model turns one piece of text into ids.
type model interface {
	appendIDs(dst []int32, piece string, s *scratch) []int32
}

// scratch is what one run over a text needs for itself.
type scratch struct {
	pieces, next []piece
	merger       merger
	lattice      []arc
}

// Encode returns the ids of a text. It adds no special token, and what looks like one in the text ("<|im_end|>") is
// text like any other: what a user or a document says can not end a turn. (But a unigram vocabulary that counts its
// special tokens among its words, as XLM-R's does, finds them there.) The empty text has no ids. An error names a
// pattern of the tokenizer that takes too long on the text.
func (t *Tokenizer) Encode(text string) ([]int32, error) { return t.encode(text, false, math.MaxInt) }

// EncodeWithSpecials returns the ids of a text in which special tokens are recognised where they are written: for chat
// templates that have been filled in. It adds none.
func (t *Tokenizer) EncodeWithSpecials(text string) ([]int32, error) {
	return t.encode(text, true, math.MaxInt)
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

// run is one run over a text.
type run struct {
	*Tokenizer
	*scratch
	specials bool // special tokens are recognised
	limit    int  // the run ends once it has so many ids
	ids      []int32
}

// encode returns the ids of a text, or at least the first limit of them.
func (t *Tokenizer) encode(text string, specials bool, limit int) (ids []int32, err error) {
	s, _ := t.scratch.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	defer func() {
		s.pieces, s.next = emptied(s.pieces), emptied(s.next)
		t.scratch.Put(s)
	}()
	r := run{Tokenizer: t, scratch: s, specials: specials, limit: limit}
	err = guard(func() {
		text := validUTF8(text)
		r.ids = make([]int32, 0, min(len(text)/4+2, limit))
		t.verbatim.split(text, specials, r.token, r.segment)
	})
	return r.ids, err
}

func (r *run) full() bool { return len(r.ids) >= r.limit }

func (r *run) token(id int32) bool {
	r.ids = append(r.ids, id)
	return !r.full()
}

// segment encodes what lies between verbatim tokens and reports whether there is room for more.
func (r *run) segment(s string, start bool) bool {
	if r.bert != nil {
		return r.words(s)
	}
	s, stripped := r.normalizer.normalizeAtStart(s)
	return r.normalized.split(s, r.specials, r.token, func(s string, first bool) bool {
		return r.cut(piece{s, start && first && !stripped})
	})
}

// words goes from space to space, over which neither the normalizer nor the pre-tokenizer sees, so that a long text
// that is cut is not normalised whole.
func (r *run) words(s string) bool {
	word := func(w string) bool {
		r.ids = r.model.appendIDs(r.ids, w, r.scratch)
		return !r.full()
	}
	for len(s) > 0 && !r.full() {
		n := 0
		for n < len(s) && s[n] != ' ' && s[n] != '\n' {
			n++
		}
		if n > 0 {
			eachBERTWord(r.bert.normalize(s[:n]), word)
		}
		s = s[min(n+1, len(s)):]
	}
	return !r.full()
}

// cut cuts a normalised text into pieces and appends their ids.
func (r *run) cut(whole piece) bool {
	s := r.scratch
	s.pieces = append(s.pieces[:0], whole)
	for _, stage := range r.stages {
		s.next = s.next[:0]
		for _, p := range s.pieces {
			s.next = stage.split(s.next, p)
		}
		s.pieces, s.next = s.next, s.pieces
	}
	for _, p := range s.pieces {
		if p.text != "" {
			r.ids = r.model.appendIDs(r.ids, p.text, s)
		}
		if r.full() {
			return false
		}
	}
	return true
}

// emptied keeps the memory of a small buffer, but none of the text that its pieces hold.
func emptied(pieces []piece) []piece {
	if cap(pieces) > 1024 {
		return nil
	}
	clear(pieces[:cap(pieces)])
	return pieces[:0]
}

// validUTF8 puts U+FFFD in place of what is not UTF-8: one for as many bytes as could begin a character, as Python's
// errors="replace" and Rust's from_utf8_lossy do.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	valid, _ := encoding.UTF8.NewDecoder().String(s) // which never fails
	return valid
}
