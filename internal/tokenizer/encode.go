package tokenizer

import "math"

// Encode returns the ids of a text. It adds no special token, and treats a special token in the text ("<|im_end|>") as
// ordinary text, so that a user or a document cannot end a turn. (But a unigram vocabulary that counts its special
// tokens among its words, such as XLM-R's, finds them.) The empty text has no ids. An error names a pattern of the
// tokenizer that takes too long on the text.
func (t *Tokenizer) Encode(text string) ([]int32, error) { return t.encode(text, false, math.MaxInt) }

// EncodeWithSpecials is Encode, but recognises special tokens in the text: for rendered chat templates.
func (t *Tokenizer) EncodeWithSpecials(text string) ([]int32, error) {
	return t.encode(text, true, math.MaxInt)
}

// EncodeText returns the ids of a text with the special tokens of the tokenizer's post-processor. It cuts the text at
// the end, or at the beginning if the files say so, to at most maxTokens ids, special tokens included; cut says
// whether it did. maxTokens 0 is no limit; if it is less than the number of special tokens, EncodeText returns these
// alone. Special tokens in the text are recognised. For a BERT's tokenizer that cuts at the end, the work is
// proportional to the ids returned, if the text has spaces.
func (t *Tokenizer) EncodeText(text string, maxTokens int) (ids []int32, cut bool, err error) {
	room := t.single.room(maxTokens)
	inner, err := t.encodeSome(text, room)
	if err != nil {
		return nil, false, err
	}
	if cut = len(inner) > room; cut {
		inner = t.shortened(inner, room)
	}
	ids, _ = t.single.fill(inner, nil, false)
	return ids, cut, nil
}

// EncodePair returns the ids of two texts with the special tokens of the tokenizer's post-processor, as Hugging
// Face's rerankers read them, and the type ids (segments), one an id. It cuts the longer text until both are equally
// long, then both ("longest_first"), to at most maxTokens ids, special tokens included; cut says whether it did.
// maxTokens 0 is no limit; if it is less than the number of special tokens, EncodePair returns these alone. Special
// tokens in the texts are recognised.
func (t *Tokenizer) EncodePair(a, b string, maxTokens int) (ids, typeIDs []int32, cut bool, err error) {
	room := t.pair.room(maxTokens)
	texts := [2]string{a, b}
	var inner [2][]int32
	for i, text := range texts {
		if inner[i], err = t.encodeSome(text, room); err != nil {
			return nil, nil, false, err
		}
	}
	if min(len(inner[0]), len(inner[1])) > room && room%2 != 0 { // which one is the longer decides who has the odd token
		for i, text := range texts {
			if inner[i], err = t.EncodeWithSpecials(text); err != nil {
				return nil, nil, false, err
			}
		}
	}
	n, m := longestFirst(len(inner[0]), len(inner[1]), room)
	cut = n < len(inner[0]) || m < len(inner[1])
	ids, typeIDs = t.pair.fill(t.shortened(inner[0], n), t.shortened(inner[1], m), true)
	return ids, typeIDs, cut, nil
}

// encodeSome returns all ids of a text, or at least one more than there is room for.
func (t *Tokenizer) encodeSome(text string, room int) ([]int32, error) {
	limit := math.MaxInt
	if room < limit && !t.cutLeft {
		limit = room + 1
	}
	return t.encode(text, true, limit)
}

func (t *Tokenizer) shortened(ids []int32, n int) []int32 {
	if t.cutLeft {
		return ids[len(ids)-n:]
	}
	return ids[:n]
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

// segment encodes the text between two verbatim tokens and says whether there is room for more ids.
func (r *run) segment(s string, start bool) bool {
	if r.bert != nil {
		return r.words(s)
	}
	s, stripped := r.normalizer.normalizeAtStart(s)
	return r.normalized.split(s, r.specials, r.token, func(s string, first bool) bool {
		return r.cut(piece{s, start && first && !stripped})
	})
}

// words encodes the text word by word, so that a long text that is cut is not normalised whole. Neither BERT's
// normalizer nor its pre-tokenizer looks across a space.
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

// emptied keeps the memory of a small buffer, but not the text of its pieces.
func emptied(pieces []piece) []piece {
	if cap(pieces) > 1024 {
		return nil
	}
	clear(pieces[:cap(pieces)])
	return pieces[:0]
}
