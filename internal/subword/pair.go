package subword

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/retort-ir/retort/internal/strictjson"
)

// templatePart is one of what a pair is made of: a text, or special tokens.
type templatePart struct {
	text   int     // 0 or 1, where ids is nil
	ids    []int32 // special tokens
	typeID int32
}

// EncodePair returns the ids of two texts with the special tokens that the tokenizer's post-processor sets around them,
// as Hugging Face's rerankers read them, and the type ids (segments), one an id. The texts are cut at their ends so that
// the ids are at most maxTokens, special ones included: the longer one until both are equally long, then both
// ("longest_first"); cut says whether they were. maxTokens 0 is no limit; where it is less than the special tokens, those
// alone are returned. As in Hugging Face's package special tokens are recognised where the texts hold them.
func (t *Tokenizer) EncodePair(a, b string, maxTokens int) (ids, typeIDs []int32, cut bool, err error) {
	var texts [2][]int32
	for i, text := range []string{a, b} {
		if texts[i], err = t.EncodeWithSpecials(text); err != nil {
			return nil, nil, false, err
		}
	}
	specials := 0
	for _, part := range t.pair {
		specials += len(part.ids)
	}
	cut = maxTokens > 0 && truncatePair(&texts, max(maxTokens-specials, 0))
	size := len(texts[0]) + len(texts[1]) + specials
	ids, typeIDs = make([]int32, 0, size), make([]int32, 0, size)
	for _, part := range t.pair {
		of := part.ids
		if of == nil {
			of = texts[part.text]
		}
		ids = append(ids, of...)
		for range of {
			typeIDs = append(typeIDs, part.typeID)
		}
	}
	return ids, typeIDs, cut, nil
}

// truncatePair leaves room tokens; with an odd one over, the longer text has it, the second of equally long ones.
func truncatePair(texts *[2][]int32, room int) bool {
	short, long := &texts[0], &texts[1]
	if len(*short) > len(*long) {
		short, long = long, short
	}
	if len(*short)+len(*long) <= room {
		return false
	}
	if len(*short) > room/2 {
		*short = (*short)[:room/2]
	}
	*long = (*long)[:room-len(*short)]
	return true
}

// withoutSpecials is a pair where no post-processor says more.
var withoutSpecials = []templatePart{{text: 0, typeID: 0}, {text: 1, typeID: 1}}

// postProcessor reads what a pair is made of; offsets, which some post-processors trim, are not of interest.
func (b *builder) postProcessor(section json.RawMessage) error {
	if b.t.pair == nil {
		b.t.pair = withoutSpecials
	}
	if isNull(section) {
		return nil
	}
	var p struct {
		Type       string                 `json:"type"`
		Processors []json.RawMessage      `json:"processors"`
		Sep        jsonTokenID            `json:"sep"`
		Cls        jsonTokenID            `json:"cls"`
		Pair       []jsonPart             `json:"pair"`
		Specials   map[string]jsonSpecial `json:"special_tokens"`
	}
	if err := strictjson.Unmarshal(section, &p); err != nil {
		return err
	}
	switch p.Type {
	case "Sequence":
		return b.inSequence(p.Processors, b.postProcessor)
	case "ByteLevel":
		return nil
	case "RobertaProcessing", "BertProcessing":
		cls, err := b.special(int64(p.Cls.ID))
		if err != nil {
			return err
		}
		sep, err := b.special(int64(p.Sep.ID))
		if err != nil {
			return err
		}
		if p.Type == "BertProcessing" {
			return b.setPair([]templatePart{{ids: cls}, {text: 0}, {ids: sep}, {text: 1, typeID: 1}, {ids: sep, typeID: 1}})
		}
		return b.setPair([]templatePart{{ids: cls}, {text: 0}, {ids: sep}, {ids: sep}, {text: 1}, {ids: sep}})
	case "TemplateProcessing":
		parts, err := b.template(p.Pair, p.Specials)
		if err != nil {
			return fmt.Errorf("pair: %w", err)
		}
		return b.setPair(parts)
	}
	return unknownType(p.Type, "Sequence, ByteLevel, RobertaProcessing, BertProcessing, TemplateProcessing")
}

func (b *builder) setPair(parts []templatePart) error {
	if &b.t.pair[0] != &withoutSpecials[0] {
		return errors.New("a Sequence of two post-processors that add tokens is not supported")
	}
	b.t.pair = parts
	return nil
}

// special checks the id of a special token.
func (b *builder) special(ids ...int64) ([]int32, error) {
	out := make([]int32, len(ids))
	for i, id := range ids {
		if id < 0 || id >= int64(len(b.t.tokens)) || b.t.tokens[id] == "" {
			return nil, fmt.Errorf("id %d is not in the vocabulary", id)
		}
		out[i] = int32(id)
	}
	return out, nil
}

// jsonTokenID is ["</s>", 2].
type jsonTokenID struct{ ID int32 }

func (t *jsonTokenID) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := strictjson.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("%s: want a token and its id", data)
	}
	return strictjson.Unmarshal(parts[1], &t.ID)
}

// jsonPart is {"Sequence": {"id": "A", "type_id": 0}} or {"SpecialToken": {"id": "</s>", "type_id": 0}}.
type jsonPart struct {
	Sequence *jsonPartID `json:"Sequence"`
	Special  *jsonPartID `json:"SpecialToken"`
}

type jsonPartID struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

type jsonSpecial struct {
	IDs []int64 `json:"ids"`
}

func (b *builder) template(parts []jsonPart, specials map[string]jsonSpecial) ([]templatePart, error) {
	var out []templatePart
	used := map[string]int{}
	for _, p := range parts {
		switch {
		case p.Sequence != nil:
			text, ok := map[string]int{"A": 0, "B": 1}[p.Sequence.ID]
			if !ok {
				return nil, fmt.Errorf("sequence %q, want A or B", p.Sequence.ID)
			}
			used[p.Sequence.ID]++
			out = append(out, templatePart{text: text, typeID: p.Sequence.TypeID})
		case p.Special != nil:
			special, ok := specials[p.Special.ID]
			if !ok || len(special.IDs) == 0 {
				return nil, fmt.Errorf("special token %q has no ids in special_tokens", p.Special.ID)
			}
			ids, err := b.special(special.IDs...)
			if err != nil {
				return nil, err
			}
			out = append(out, templatePart{ids: ids, typeID: p.Special.TypeID})
		default:
			return nil, errors.New("a part is neither Sequence nor SpecialToken")
		}
	}
	if used["A"] != 1 || used["B"] != 1 {
		return nil, errors.New("want each of the sequences A and B once")
	}
	return out, nil
}
