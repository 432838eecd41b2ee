package tokenizer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Vocab is the tokenizer of a GGUF file: the values of its keys "tokenizer.ggml.*".
type Vocab struct {
	Model          string    // model: "gpt2" (BPE over bytes) or "llama" (sentencepiece's BPE)
	Pre            string    // pre: the pre-tokenizer of "gpt2", "" being "default"
	Tokens         []string  // tokens
	Merges         []string  // merges, of "gpt2"
	Types          []int32   // token_type; nil means that all are normal
	Scores         []float32 // scores, of "llama"
	AddSpacePrefix bool      // add_space_prefix, of "llama", true where the file does not say
}

// The token types of GGUF that matter here.
const (
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
)

// ggufPre is a pre-tokenizer of llama.cpp.
type ggufPre struct {
	nfc        bool
	stages     []preTokenizer
	wholeWords bool
}

// ggufPres are the pre-tokenizers by the names that llama.cpp gives them.
var ggufPres = map[string]ggufPre{
	"gpt-2":            gpt2Pre,
	"phi-2":            gpt2Pre,
	"roberta-bpe":      gpt2Pre,
	"smollm":           digitsPre,
	"starcoder":        digitsPre,
	"refact":           digitsPre,
	"llama-bpe":        llama3Pre,
	"llama3":           llama3Pre,
	"llama-v3":         llama3Pre,
	"qwen2":            qwen2Pre,
	"deepseek-r1-qwen": qwen2Pre,
	"default":          {stages: defaultStages},
}

var (
	gpt2Pre   = ggufPre{stages: []preTokenizer{fastSplit{nextGPT2}}}
	digitsPre = ggufPre{stages: []preTokenizer{digits(true), fastSplit{nextGPT2}}}
	llama3Pre = ggufPre{stages: []preTokenizer{fastSplit{nextLlama3}}, wholeWords: true}
	qwen2Pre  = ggufPre{stages: []preTokenizer{fastSplit{nextQwen2}}, nfc: true}
)

// defaultStages are llama.cpp's fallback: they split off signs, then GPT-2's words, then groups of three digits.
var defaultStages = []preTokenizer{
	splitAt{charClass{in: isDefaultSign, runs: true}, "isolated", false},
	fastSplit{nextGPT2},
	digits(false),
	splitAt{threeDigits{}, "isolated", false},
}

// FromGGUF makes the tokenizer of a GGUF file. Control tokens are special; user-defined tokens are found in any text.
// The ids equal llama.cpp's without its begin-of-text token.
func FromGGUF(v Vocab) (*Tokenizer, error) {
	if len(v.Tokens) == 0 {
		return nil, errors.New("the vocabulary has no tokens")
	}
	if v.Types != nil && len(v.Types) != len(v.Tokens) {
		return nil, fmt.Errorf("the vocabulary has %d tokens, but %d token types", len(v.Tokens), len(v.Types))
	}
	t := &Tokenizer{ids: make(map[string]int32, len(v.Tokens)), tokens: slices.Clone(v.Tokens), pad: -1}
	if len(v.Tokens) > maxID {
		return nil, fmt.Errorf("the vocabulary has %d tokens, more than %d", len(v.Tokens), maxID)
	}
	for id, token := range v.Tokens {
		if len(token) > maxToken {
			return nil, fmt.Errorf("token %d (%.60q...) has %d bytes, the limit is %d", id, token, len(token), maxToken)
		}
		t.ids[token] = int32(id) // the last of equal tokens counts, as in llama.cpp
	}
	var decode decoding
	switch v.Model {
	case "gpt2":
		if err := t.fromGPT2(v); err != nil {
			return nil, err
		}
		decode.alphabet = true
	case "llama":
		if err := t.fromLlama(v); err != nil {
			return nil, err
		}
		decode = decoding{space: "▁", fallback: true, strip: v.AddSpacePrefix}
	default:
		return nil, fmt.Errorf("tokenizer model %q is not supported; supported are gpt2, llama", v.Model)
	}
	t.setRaw(decode, t.addFromTypes(v))
	t.fingerprint = v.digest()
	return t, t.setTemplates(templates{})
}

// addFromTypes sets the tokens to search in texts, and returns them.
func (t *Tokenizer) addFromTypes(v Vocab) map[int32]string {
	var tokens []addedToken
	var texts []string
	added := make(map[int32]string)
	for id, kind := range v.Types {
		if kind != typeControl && kind != typeUserDefined && kind != typeUnknown || v.Tokens[id] == "" {
			continue
		}
		tokens = append(tokens, addedToken{id: int32(id), special: kind != typeUserDefined})
		texts = append(texts, v.Tokens[id])
		added[int32(id)] = v.Tokens[id]
	}
	t.verbatim = newAddedSet(texts, tokens)
	return added
}

func (t *Tokenizer) fromGPT2(v Vocab) error {
	pre, ok := ggufPres[cmp.Or(v.Pre, "default")]
	if !ok {
		return fmt.Errorf("pre-tokenizer %q of a gpt2 tokenizer is not supported; supported are %s", v.Pre,
			strings.Join(slices.Sorted(maps.Keys(ggufPres)), ", "))
	}
	merges := make([][2]string, len(v.Merges))
	for i, m := range v.Merges {
		pair, err := splitMerge(m)
		if err != nil {
			return fmt.Errorf("merges[%d]: %w", i, err)
		}
		merges[i] = pair
	}
	b, err := newBPE(t.ids, merges, true)
	if err != nil {
		return err
	}
	if pre.wholeWords {
		b.takeWholeWords(t.ids)
	}
	if pre.nfc {
		t.normalizer = chain{normalForms["NFC"]}
	}
	t.model, t.stages = b, pre.stages
	return nil
}

func (t *Tokenizer) fromLlama(v Vocab) error {
	if len(v.Scores) != len(v.Tokens) {
		return fmt.Errorf("a llama tokenizer of %d tokens has %d scores", len(v.Tokens), len(v.Scores))
	}
	for id, score := range v.Scores {
		if score != score {
			return fmt.Errorf("the score of token %d (%q) is not a number", id, v.Tokens[id])
		}
	}
	fallback, missing := byteIDs(t.ids, fallbackName)
	unk := int32(-1)
	if i := slices.Index(v.Types, typeUnknown); i >= 0 {
		unk = int32(i)
	}
	if missing > 0 && unk < 0 {
		return fmt.Errorf("a llama tokenizer lacks %d of the tokens <0x00> to <0xFF> and an unknown token", missing)
	}
	t.model = newScored(t.ids, v.Scores, fallback, unk)
	t.normalizer = chain{rewrite(func(s string) string {
		if v.AddSpacePrefix {
			s = " " + s
		}
		return strings.ReplaceAll(s, " ", "▁")
	})}
	return nil
}

func (v Vocab) digest() string {
	h := sha256.New()
	// Encoding strings and integers into a hash cannot fail. Scores may be infinite, which JSON lacks.
	_ = json.NewEncoder(h).Encode([]any{v.Model, v.Pre, v.Tokens, v.Merges, v.Types, v.AddSpacePrefix})
	fmt.Fprint(h, v.Scores)
	return hex.EncodeToString(h.Sum(nil))
}

// scored is sentencepiece's BPE: of all neighbours that form a token together, it joins the pair with the highest score
// first.
type scored struct {
	ids      map[string]int32
	ranks    []int32 // by id; equal scores have equal ranks, the highest score the lowest
	longest  int     // bytes of a token
	fallback [256]int32
	unk      int32 // for a byte without token; -1: dropped
}

func newScored(ids map[string]int32, scores []float32, fallback [256]int32, unk int32) *scored {
	order := make([]int32, len(scores))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(scores[b], scores[a]) })
	s := &scored{ids: ids, ranks: make([]int32, len(scores)), fallback: fallback, unk: unk}
	for i, id := range order {
		s.ranks[id] = int32(i)
		if i > 0 && scores[order[i-1]] == scores[id] {
			s.ranks[id] = s.ranks[order[i-1]]
		}
	}
	for token := range ids {
		s.longest = max(s.longest, len(token))
	}
	return s
}

func (m *scored) join(word string, left, right symbol) (rank, id int32, ok bool) {
	if int(right.end-left.start) > m.longest {
		return 0, 0, false
	}
	id, ok = m.ids[word[left.start:right.end]]
	if !ok {
		return 0, 0, false
	}
	return m.ranks[id], id, true
}

func (m *scored) appendIDs(dst []int32, text string, s *scratch) []int32 {
	g := &s.merger
	g.reset()
	for i, r := range text {
		end := i + utf8.RuneLen(r)
		id, ok := m.ids[text[i:end]]
		if !ok {
			id = -1
		}
		g.add(i, end, id)
	}
	g.run(text, m)
	for i := int32(0); i >= 0; i = g.symbols[i].next {
		symbol := g.symbols[i]
		if symbol.id >= 0 {
			dst = append(dst, symbol.id)
			continue
		}
		for j := symbol.start; j < symbol.end; j++ {
			id := m.fallback[text[j]]
			if id < 0 {
				id = m.unk
			}
			if id >= 0 {
				dst = append(dst, id)
			}
		}
	}
	return dst
}

// isDefaultSign is [\p{P}\$\+<=>\^~\|] of llama.cpp's default.
func isDefaultSign(r rune) bool { return unicode.IsPunct(r) || strings.ContainsRune("$+<=>^~|", r) }

// threeDigits finds [0-9][0-9][0-9].
type threeDigits struct{}

func (threeDigits) find(dst []span, text string) []span {
	isDigit := func(b byte) bool { return '0' <= b && b <= '9' }
	for i := 0; i+3 <= len(text); {
		if !isDigit(text[i]) || !isDigit(text[i+1]) || !isDigit(text[i+2]) {
			i++
			continue
		}
		dst = append(dst, span{start: i, end: i + 3})
		i += 3
	}
	return dst
}
