package tokenizer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLongerTextIsCutFirst(t *testing.T) {
	for _, c := range []struct{ a, b, room, wantA, wantB int }{
		{3, 4, 7, 3, 4},
		{3, 9, 7, 3, 4},
		{9, 3, 7, 4, 3},
		{9, 9, 7, 3, 4},
		{8, 9, 7, 3, 4},
		{9, 8, 7, 4, 3},
		{9, 8, 8, 4, 4},
		{0, 9, 7, 0, 7},
	} {
		a, b := longestFirst(c.a, c.b, c.room)
		require.Equal(t, [2]int{c.wantA, c.wantB}, [2]int{a, b}, "%+v", c)
	}
}

// A post-processor may put any number of special tokens around a text, or none before it.
func TestTemplatesOfOneTextAreHonoured(t *testing.T) {
	model := `"model": {"type": "WordPiece", "unk_token": "u", "vocab": {"u": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}},
		"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}`
	roberta := `"type": "RobertaProcessing", "cls": ["<s>", 1], "sep": ["</s>", 2]`
	twice := `"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}},
		{"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {"x": {"id": "x", "ids": [1, 2], "tokens": ["<s>", "</s>"]}}`
	for name, c := range map[string]struct {
		processor string
		limit     int
		want      []int32
		cut       bool
	}{
		"no processor":        {`null`, 0, []int32{3, 4, 3}, false},
		"RoBERTa":             {`{` + roberta + `}`, 0, []int32{1, 3, 4, 3, 2}, false},
		"RoBERTa, cut":        {`{` + roberta + `}`, 4, []int32{1, 3, 4, 2}, true},
		"RoBERTa, all fits":   {`{` + roberta + `}`, 5, []int32{1, 3, 4, 3, 2}, false},
		"RoBERTa, no room":    {`{` + roberta + `}`, 1, []int32{1, 2}, true},
		"two tokens in front": {`{` + twice + `}`, 4, []int32{1, 2, 3, 4}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tokenizer, err := Parse([]byte(`{` + model + `, "post_processor": ` + c.processor + `}`))
			require.NoError(t, err)
			ids, cut, err := tokenizer.EncodeText("A b a", c.limit)
			require.NoError(t, err)
			require.Equal(t, c.want, ids)
			require.Equal(t, c.cut, cut)
		})
	}
}

// What a text ends with decides nothing before it, whatever the model and the limit.
func TestATextThatIsCutIsTheBeginningOfTheWhole(t *testing.T) {
	texts := readJSON[goldenTexts](t, "texts.json").Texts
	for _, kind := range kinds {
		tokenizer := load(t, kind.name)
		for _, text := range texts[:60] {
			whole := must(tokenizer.EncodeWithSpecials(text))
			specials := tokenizer.single.specials
			for _, limit := range []int{specials + 1, specials + 5} {
				ids, cut, err := tokenizer.EncodeText(text, limit)
				require.NoError(t, err)
				require.Equal(t, len(whole)+specials > limit, cut)
				n := min(len(whole), limit-specials)
				want, _ := tokenizer.single.fill(whole[:n], nil, false)
				require.Equal(t, want, ids, "%s: %q", kind.name, text)
			}
		}
	}
}
