package tokenizer

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/retort-ir/retort/internal/strictjson"
)

// description holds all settings of a tokenizer, from whichever file.
type description struct {
	normalizer chain
	stages     []preTokenizer
	byteLevel  bool // a ByteLevel pre-tokenizer ends the stages
	model      jsonModel
	vocab      map[string]int64 // of WordPiece and BPE
	scored     []jsonScored     // of Unigram
	templates  templates
	decoding   decoding
	added      []token // of tokenizer.json
	truncation jsonTruncation
	padding    *jsonPadding

	maxID int64
	depth int // Sequences around
}

// jsonTruncation is the last truncation that was set. Each call sets the lengths anew.
type jsonTruncation struct {
	Direction string          `json:"direction"`
	MaxLength json.RawMessage `json:"max_length"`
	Strategy  json.RawMessage `json:"strategy"`
	Stride    json.RawMessage `json:"stride"`
}

// cutsLeft reads the direction. Files from before tokenizers 0.11 have none and mean Right.
func (j jsonTruncation) cutsLeft() (bool, error) {
	switch j.Direction {
	case "Left":
		return true, nil
	case "Right", "":
		return false, nil
	}
	return false, fmt.Errorf("truncation.direction is %q; Left and Right are supported", j.Direction)
}

// jsonPadding is the last padding that was set.
type jsonPadding struct {
	Direction  string          `json:"direction"`
	Token      string          `json:"pad_token"`
	ID         json.RawMessage `json:"pad_id"`
	TypeID     json.RawMessage `json:"pad_type_id"`
	Strategy   json.RawMessage `json:"strategy"`
	MultipleOf json.RawMessage `json:"pad_to_multiple_of"`
}

// jsonModel is the model of a tokenizer.json.
type jsonModel struct {
	Type    string          `json:"type"`
	Vocab   json.RawMessage `json:"vocab"`
	Merges  []jsonMerge     `json:"merges"`
	Dropout *float64        `json:"dropout"`

	UnkToken     *string `json:"unk_token"`
	Prefix       *string `json:"continuing_subword_prefix"`
	Suffix       *string `json:"end_of_word_suffix"`
	MaxChars     *int    `json:"max_input_chars_per_word"`
	FuseUnk      bool    `json:"fuse_unk"`
	ByteFallback bool    `json:"byte_fallback"`
	IgnoreMerges bool    `json:"ignore_merges"`

	UnkID *int64 `json:"unk_id"`
}

// jsonMerge is "a b", or ["a", "b"] in newer files.
type jsonMerge [2]string

func (m *jsonMerge) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		var pair []string
		if err := strictjson.Unmarshal(data, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("merge %s has %d tokens, want 2", data, len(pair))
		}
		copy(m[:], pair)
		return nil
	}
	var text string
	if err := strictjson.Unmarshal(data, &text); err != nil {
		return err
	}
	pair, err := splitMerge(text)
	*m = pair
	return err
}

// templates are what a post-processor says.
type templates struct {
	single, pair []jsonPart
	specials     map[string][]int64 // the ids that it gives to special tokens; one that is missing has the vocabulary's
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

// bertTemplates are BERT's.
func bertTemplates(cls, sep string, specials map[string][]int64) templates {
	single := []jsonPart{specialPart(cls, 0), textPart("A", 0), specialPart(sep, 0)}
	pair := append(slices.Clone(single), textPart("B", 1), specialPart(sep, 1))
	return templates{single, pair, specials}
}

// robertaTemplates are RoBERTa's.
func robertaTemplates(cls, sep string, specials map[string][]int64) templates {
	single := []jsonPart{specialPart(cls, 0), textPart("A", 0), specialPart(sep, 0)}
	pair := append(slices.Clone(single), specialPart(sep, 0), textPart("B", 0), specialPart(sep, 0))
	return templates{single, pair, specials}
}

// sameSingle reports whether the template of one text, if there is one, is that of other.
func (t templates) sameSingle(other templates) bool {
	return t.single == nil || reflect.DeepEqual(t.single, other.single)
}

// inSequence calls read for each section of a Sequence.
func (d *description) inSequence(sections []json.RawMessage, read func(json.RawMessage) error) error {
	if d.depth++; d.depth > maxNesting {
		return fmt.Errorf("a Sequence nested more than %d deep", maxNesting)
	}
	defer func() { d.depth-- }()
	if len(sections) > maxStages {
		return fmt.Errorf("a Sequence of %d, the limit is %d", len(sections), maxStages)
	}
	for _, section := range sections {
		if err := read(section); err != nil {
			return err
		}
	}
	return nil
}
