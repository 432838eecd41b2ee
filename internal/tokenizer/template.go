package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/strictjson"
)

// template says what special tokens are around one text, or around the two of a pair.
type template struct {
	parts    []templatePart
	specials int // ids of special tokens
}

// templatePart is a text, or special tokens.
type templatePart struct {
	text   int     // 0 or 1, where ids is nil
	ids    []int32 // special tokens
	typeID int32
}

// EncodeText returns the ids of a text with the special tokens that the tokenizer's post-processor puts around it.
// The text is cut, at its end or where the files say so at its beginning, so that the ids are at most maxTokens,
// special ones included; cut says whether it was. maxTokens 0 is no limit; where it is less than the special tokens,
// those alone are returned. Special tokens are recognised where the text holds them. For a BERT's tokenizer the work
// is in proportion to what is returned, not to the length of the text, as long as the text has spaces and is cut at
// its end.
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

// EncodePair returns the ids of two texts with the special tokens that the tokenizer's post-processor puts around
// them, as Hugging Face's rerankers read them, and the type ids (segments), one an id. The texts are cut so that the
// ids are at most maxTokens, special ones included: the longer one until both are equally long, then both
// ("longest_first"); cut says whether they were. maxTokens 0 is no limit; where it is less than the special tokens,
// those alone are returned. Special tokens are recognised where the texts hold them.
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

// Prefix returns the special tokens that the post-processor puts before a text. The caller does not change them.
func (t *Tokenizer) Prefix() []int32 {
	if len(t.single.parts) == 0 {
		return nil
	}
	return t.single.parts[0].ids
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

// room returns how many tokens of texts maxTokens leaves.
func (t template) room(maxTokens int) int {
	if maxTokens == 0 {
		return math.MaxInt
	}
	return max(maxTokens-t.specials, 0)
}

// fill returns the ids, and the type ids if they are wanted.
func (t template) fill(a, b []int32, types bool) (ids, typeIDs []int32) {
	size := len(a) + len(b) + t.specials
	ids = make([]int32, 0, size)
	if types {
		typeIDs = make([]int32, 0, size)
	}
	for _, part := range t.parts {
		of := part.ids
		if of == nil {
			of = [][]int32{a, b}[part.text]
		}
		ids = append(ids, of...)
		if types {
			typeIDs = slices.Grow(typeIDs, len(of))
			for range of {
				typeIDs = append(typeIDs, part.typeID)
			}
		}
	}
	return ids, typeIDs
}

// longestFirst returns what is left of two texts of a and b tokens in room: the longer one is cut to the length of the
// other, and then both to a half, where an odd token is the longer one's, or the second's where they are equal.
func longestFirst(a, b, room int) (int, int) {
	if a+b <= room {
		return a, b
	}
	short, long := min(a, b), room-min(a, b)
	if long < short {
		short = room / 2
		long = room - short
	}
	if a > b {
		return long, short
	}
	return short, long
}

// The templates where no post-processor says more.
var (
	textAlone = []jsonPart{{Sequence: &jsonPartID{ID: "A"}}}
	textsOnly = []jsonPart{{Sequence: &jsonPartID{ID: "A"}}, {Sequence: &jsonPartID{ID: "B", TypeID: 1}}}
)

// jsonPart is {"Sequence": {"id": "A", "type_id": 0}} or {"SpecialToken": {"id": "</s>", "type_id": 0}}.
type jsonPart struct {
	Sequence *jsonPartID `json:"Sequence"`
	Special  *jsonPartID `json:"SpecialToken"`
}

type jsonPartID struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

func textPart(id string, typeID int32) jsonPart {
	return jsonPart{Sequence: &jsonPartID{ID: id, TypeID: typeID}}
}

func specialPart(token string, typeID int32) jsonPart {
	return jsonPart{Special: &jsonPartID{ID: token, TypeID: typeID}}
}

// templates are what a post-processor says.
type templates struct {
	single, pair []jsonPart
	specials     map[string][]int64 // the ids that it gives to special tokens; one that is missing has the vocabulary's
}

// bertTemplates are BERT's.
func bertTemplates(cls, sep string, specials map[string][]int64) templates {
	single := []jsonPart{specialPart(cls, 0), textPart("A", 0), specialPart(sep, 0)}
	pair := append(slices.Clone(single), textPart("B", 1), specialPart(sep, 1))
	return templates{single, pair, specials}
}

// postProcessor reads the templates; offsets, which some post-processors trim, are not of interest.
func (d *description) postProcessor(section json.RawMessage) error {
	if isNull(section) {
		return nil
	}
	var p struct {
		Type       string                 `json:"type"`
		Processors []json.RawMessage      `json:"processors"`
		Sep        *jsonTokenID           `json:"sep"`
		Cls        *jsonTokenID           `json:"cls"`
		Single     []jsonPart             `json:"single"`
		Pair       []jsonPart             `json:"pair"`
		Specials   map[string]jsonSpecial `json:"special_tokens"`

		AddPrefixSpace *bool `json:"add_prefix_space"`
		TrimOffsets    *bool `json:"trim_offsets"`
		UseRegex       *bool `json:"use_regex"`
	}
	if err := strictjson.UnmarshalKnown(section, &p); err != nil {
		return err
	}
	var cls, sep string
	var ids map[string][]int64
	if p.Type == "BertProcessing" || p.Type == "RobertaProcessing" {
		if p.Cls == nil || p.Sep == nil {
			return errors.New("want cls and sep, each a token and its id")
		}
		cls, sep = p.Cls.Token, p.Sep.Token
		ids = map[string][]int64{cls: {p.Cls.ID}, sep: {p.Sep.ID}}
	}
	switch p.Type {
	case "Sequence":
		return d.inSequence(p.Processors, d.postProcessor)
	case "ByteLevel":
		return nil
	case "BertProcessing":
		return d.setTemplates(bertTemplates(cls, sep, ids))
	case "RobertaProcessing":
		return d.setTemplates(templates{
			[]jsonPart{specialPart(cls, 0), textPart("A", 0), specialPart(sep, 0)},
			[]jsonPart{
				specialPart(cls, 0), textPart("A", 0), specialPart(sep, 0), specialPart(sep, 0), textPart("B", 0),
				specialPart(sep, 0),
			},
			ids,
		})
	case "TemplateProcessing":
		specials := make(map[string][]int64, len(p.Specials))
		for name, special := range p.Specials {
			specials[name] = special.IDs
		}
		return d.setTemplates(templates{p.Single, p.Pair, specials})
	}
	return unknownType(p.Type, "Sequence, ByteLevel, RobertaProcessing, BertProcessing, TemplateProcessing")
}

func (d *description) setTemplates(t templates) error {
	if d.templates.single != nil || d.templates.pair != nil {
		return errors.New("a Sequence of two post-processors that add tokens is not supported")
	}
	if t.single == nil {
		t.single = textAlone
	}
	if t.pair == nil {
		t.pair = textsOnly
	}
	if err := checkSequences(t.single, "A"); err != nil {
		return fmt.Errorf("single: %w", err)
	}
	if err := checkSequences(t.pair, "A", "B"); err != nil {
		return fmt.Errorf("pair: %w", err)
	}
	d.templates = t
	return nil
}

// checkSequences makes sure that a template holds each of its texts once.
func checkSequences(parts []jsonPart, want ...string) error {
	var seen []string
	for _, p := range parts {
		if p.Sequence != nil {
			seen = append(seen, p.Sequence.ID)
		} else if p.Special == nil {
			return errors.New("a part is neither Sequence nor SpecialToken")
		}
	}
	if slices.Sort(seen); !slices.Equal(seen, want) {
		return fmt.Errorf("the sequences are %q, want each of %q once", seen, want)
	}
	return nil
}

// jsonTokenID is ["</s>", 2].
type jsonTokenID struct {
	Token string
	ID    int64
}

func (t *jsonTokenID) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := strictjson.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("%s: want a token and its id", data)
	}
	if err := strictjson.Unmarshal(parts[0], &t.Token); err != nil {
		return err
	}
	return strictjson.Unmarshal(parts[1], &t.ID)
}

type jsonSpecial struct {
	ID     string   `json:"id"`
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
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
