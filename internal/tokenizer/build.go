package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// build makes a tokenizer without templates. added returns the added tokens with their ids.
func (d *description) build(added func() ([]token, error)) (*Tokenizer, error) {
	t := &Tokenizer{ids: map[string]int32{}, pad: -1, maxID: d.maxID, normalizer: d.normalizer, stages: d.stages}
	if err := t.setModel(d); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	size := len(t.tokens)
	tokens, err := added()
	if err != nil {
		return nil, err
	}
	texts, err := t.setAdded(tokens)
	if err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	for _, token := range tokens {
		if id := t.ids[token.Content]; int(id) >= max(size, int(t.last.ID)+1) {
			t.last = token
			t.last.ID = int64(id)
		}
	}
	if d.isBERT() && len(t.normalized.tokens) == 0 {
		bert := t.normalizer[0].(bertNormalizer)
		t.bert = &bert
	}
	if d.model.Type != "WordPiece" {
		t.setRaw(d.decoding, texts)
	}
	return t, nil
}

// isBERT says whether normalizer and pre-tokenizer are BERT's.
func (d *description) isBERT() bool {
	if len(d.normalizer) != 1 || len(d.stages) != 1 || d.stages[0] != preTokenizer(bertWords{}) {
		return false
	}
	_, ok := d.normalizer[0].(bertNormalizer)
	return ok
}

// setModel enters the vocabulary and makes the model.
func (t *Tokenizer) setModel(d *description) (err error) {
	for token, id := range d.vocab {
		if err := t.addToken(token, id); err != nil {
			return fmt.Errorf("vocab: %w", err)
		}
	}
	switch d.model.Type {
	case "WordPiece":
		t.model, err = newWordPiece(t.ids, d.model)
	case "BPE":
		t.model, err = t.bpe(d.model, d.byteLevel)
	default:
		t.model, err = t.unigram(d.scored, d.model)
	}
	return err
}

// addToken enters a token of the model.
func (t *Tokenizer) addToken(token string, id int64) error {
	if id < 0 || id >= t.maxID {
		return fmt.Errorf("id %d of token %.100q is not in 0 to %d", id, token, t.maxID-1)
	}
	if len(token) > maxToken {
		return fmt.Errorf("token %.60q... has %d bytes, the limit is %d", token, len(token), maxToken)
	}
	for int64(len(t.tokens)) <= id {
		t.tokens = append(t.tokens, "")
	}
	if other := t.tokens[id]; other != "" && other != token {
		return fmt.Errorf("%q and %q have the same id %d", min(other, token), max(other, token), id)
	}
	t.tokens[id] = token
	t.ids[token] = int32(id)
	return nil
}

// bpe makes the BPE model of a tokenizer.json.
func (t *Tokenizer) bpe(m jsonModel, overBytes bool) (model, error) {
	if m.Dropout != nil && *m.Dropout != 0 {
		return nil, fmt.Errorf("dropout %g is for training tokenizers only; set it to null", *m.Dropout)
	}
	if m.Prefix != nil && *m.Prefix != "" {
		return nil, fmt.Errorf("continuing_subword_prefix %q is not supported", *m.Prefix)
	}
	if m.Suffix != nil && *m.Suffix != "" {
		return nil, fmt.Errorf("end_of_word_suffix %q is not supported", *m.Suffix)
	}
	merges := make([][2]string, len(m.Merges))
	for i, pair := range m.Merges {
		merges[i] = pair
	}
	unk := int32(-1)
	if m.UnkToken != nil {
		id, ok := t.ids[*m.UnkToken]
		if !ok {
			return nil, fmt.Errorf("unk_token %q is not in the vocabulary", *m.UnkToken)
		}
		unk = id
	}
	model, err := newBPE(t.ids, merges, overBytes)
	if err != nil {
		return nil, err
	}
	model.unk, model.fuseUnk = unk, m.FuseUnk
	if m.IgnoreMerges {
		model.takeWholeWords(t.ids)
	}
	if m.ByteFallback && !overBytes {
		// With a byte missing Hugging Face falls back for some characters only; no known vocabulary is so.
		fallback, missing := byteIDs(t.ids, fallbackName)
		if missing > 0 {
			return nil, fmt.Errorf("byte_fallback: the vocabulary lacks %d of the tokens <0x00> to <0xFF>", missing)
		}
		model.fallback = &fallback
	}
	return model, nil
}

// unigram makes the Unigram model of a tokenizer.json.
func (t *Tokenizer) unigram(vocab []jsonScored, m jsonModel) (model, error) {
	if len(vocab) == 0 {
		return nil, errors.New("vocab is empty")
	}
	if m.UnkID == nil || *m.UnkID < 0 || *m.UnkID >= int64(len(vocab)) {
		return nil, fmt.Errorf("unk_id: want the id of one of the %d tokens", len(vocab))
	}
	u := &unigram{unk: int32(*m.UnkID), scores: make([]float64, len(vocab)), unkScore: math.Inf(1)}
	ids := make([]int32, len(vocab))
	texts := make([]string, len(vocab))
	for i, v := range vocab {
		if err := t.addToken(v.token, int64(i)); err != nil {
			return nil, fmt.Errorf("vocab: %w", err)
		}
		ids[i], texts[i], u.scores[i] = int32(i), v.token, v.score
		u.unkScore = min(u.unkScore, v.score)
	}
	u.unkScore -= unkPenalty
	u.trie = newTrie(texts, ids)
	if m.ByteFallback {
		// With a byte missing Hugging Face falls back for some characters only; no known vocabulary is so.
		fallback, missing := byteIDs(t.ids, fallbackName)
		if missing > 0 {
			return nil, fmt.Errorf("byte_fallback: the vocabulary lacks %d of the tokens <0x00> to <0xFF>", missing)
		}
		u.fallback = &fallback
	}
	return u, nil
}

// setAdded adds the added tokens, and returns the texts to search, by id.
func (t *Tokenizer) setAdded(tokens []token) (map[int32]string, error) {
	var verbatim, normalized []addedToken
	var verbatimTexts, normalizedTexts []string
	texts := make(map[int32]string, len(tokens))
	for _, a := range tokens {
		if _, known := t.ids[a.Content]; !known {
			if err := t.addToken(a.Content, a.ID); err != nil {
				return nil, err
			}
		}
		id := t.ids[a.Content]
		added := addedToken{id: id, special: a.Special, singleWord: a.SingleWord, left: a.LStrip, right: a.RStrip}
		if a.normalized() {
			texts[id] = t.normalizer.normalize(a.Content)
			normalized, normalizedTexts = append(normalized, added), append(normalizedTexts, texts[id])
			continue
		}
		texts[id] = a.Content
		verbatim, verbatimTexts = append(verbatim, added), append(verbatimTexts, a.Content)
	}
	t.verbatim = newAddedSet(verbatimTexts, verbatim)
	t.normalized = newAddedSet(normalizedTexts, normalized)
	return texts, nil
}

// setRaw computes the bytes of each token. An added token stands for its search text.
func (t *Tokenizer) setRaw(d decoding, added map[int32]string) {
	t.strip = d.strip
	t.raw = make([]string, len(t.tokens))
	for id, token := range t.tokens {
		text, ok := added[int32(id)]
		if !ok {
			text = d.bytes(token)
		}
		t.raw[id] = text
	}
}

// setTemplates gives the tokenizer its templates.
func (t *Tokenizer) setTemplates(p templates) (err error) {
	if p.single == nil {
		p = templates{single: textAlone, pair: textsOnly}
	}
	if t.single, err = t.template(p.single, p.specials); err != nil {
		return fmt.Errorf("single: %w", err)
	}
	if t.pair, err = t.template(p.pair, p.specials); err != nil {
		return fmt.Errorf("pair: %w", err)
	}
	return nil
}

// template looks up the special tokens.
func (t *Tokenizer) template(parts []jsonPart, specials map[string][]int64) (template, error) {
	var out template
	for _, p := range parts {
		if p.Sequence != nil {
			text := strings.Index("AB", p.Sequence.ID)
			out.parts = append(out.parts, templatePart{text: text, typeID: p.Sequence.TypeID})
			continue
		}
		ids, err := t.special(p.Special.ID, specials)
		if err != nil {
			return out, err
		}
		out.parts = append(out.parts, templatePart{ids: ids, typeID: p.Special.TypeID})
		out.specials += len(ids)
	}
	return out, nil
}

// special returns the ids of a special token of a template.
func (t *Tokenizer) special(token string, specials map[string][]int64) ([]int32, error) {
	given, ok := specials[token]
	if !ok || len(given) == 0 {
		return nil, fmt.Errorf("special token %q has no ids in special_tokens", token)
	}
	ids := make([]int32, len(given))
	for i, id := range given {
		if id < 0 || id >= int64(len(t.tokens)) || t.tokens[id] == "" {
			return nil, fmt.Errorf("id %d of special token %q is not in the vocabulary", id, token)
		}
		ids[i] = int32(id)
	}
	if id, ok := t.ids[token]; ok && len(ids) == 1 && ids[0] != id {
		return nil, fmt.Errorf("special token %q has id %d, and %d in the vocabulary", token, ids[0], id)
	}
	return ids, nil
}
