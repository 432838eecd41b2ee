package tokenizer

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vocabOf is the vocabulary of a tokenizer.json as a GGUF file holds it.
func vocabOf(t testing.TB, name, pre string) Vocab {
	t.Helper()
	file := readJSON[struct {
		Added []token `json:"added_tokens"`
		Model struct {
			Merges []jsonMerge `json:"merges"`
		} `json:"model"`
	}](t, "tokenizers", name+".json")
	v := Vocab{Model: "gpt2", Pre: pre, Tokens: load(t, name).tokens}
	for _, m := range file.Model.Merges {
		v.Merges = append(v.Merges, m[0]+" "+m[1])
	}
	v.Types = make([]int32, len(v.Tokens))
	for i := range v.Types {
		v.Types[i] = 1
	}
	for _, a := range file.Added {
		v.Types[a.ID] = typeUserDefined
		if a.Special {
			v.Types[a.ID] = typeControl
		}
	}
	return v
}

func TestGGUFVocabulariesGiveTheIDsOfTheirTokenizerJSON(t *testing.T) {
	texts := readJSON[goldenTexts](t, "texts.json").Texts
	for _, c := range []struct{ name, pre string }{
		{"gpt2", "gpt-2"},
		{"smollm", "smollm"},
		{"llama3", "llama-bpe"},
		{"llama3", "llama3"},
		{"qwen2", "qwen2"},
	} {
		t.Run(c.pre, func(t *testing.T) {
			tokenizer, err := FromGGUF(vocabOf(t, c.name, c.pre))
			require.NoError(t, err)
			want := readJSON[goldenIDs](t, "ids", c.name+".json")
			for i, text := range texts {
				require.Equal(t, want.Plain[i], ids(must(tokenizer.Encode(text))), "%q", text)
				require.Equal(t, want.Specials[i], ids(must(tokenizer.EncodeWithSpecials(text))), "with specials %q", text)
				require.Equal(t, want.Decoded[i], tokenizer.Decode(want.Specials[i]), "%q", text)
			}
		})
	}
}

func TestGGUFLlamaVocabularyGivesTheIDsOfSentencepiece(t *testing.T) {
	golden := readJSON[struct {
		Tokens []string  `json:"tokens"`
		Scores []float32 `json:"scores"`
		Types  []int32   `json:"types"`
		Texts  []string  `json:"texts"`
		IDs    [][]int32 `json:"ids"`
	}](t, "ids", "sentencepiece.json")
	tokenizer, err := FromGGUF(Vocab{
		Model: "llama", Tokens: golden.Tokens, Scores: golden.Scores, Types: golden.Types, AddSpacePrefix: true,
	})
	require.NoError(t, err)
	for i, text := range golden.Texts {
		require.Equal(t, golden.IDs[i], ids(must(tokenizer.Encode(text))), "%q", text)
		if !strings.Contains(text, "▁") {
			require.Equal(t, text, tokenizer.Decode(golden.IDs[i]))
		}
	}
}

func TestGGUFDefaultPreTokenizerCutsAsLlamaCpp(t *testing.T) {
	var got []string
	pieces := []piece{{"Well, it's 12345.6 x+=y", true}}
	for _, stage := range defaultStages {
		var next []piece
		for _, p := range pieces {
			next = stage.split(next, p)
		}
		pieces = next
	}
	for _, p := range pieces {
		got = append(got, p.text)
	}
	require.Equal(t, []string{"Well", ",", " it", "'", "s", " ", "123", "45", ".", "6", " x", "+=", "y"}, got)
}

func TestGGUFErrorsNameWhatIsWrong(t *testing.T) {
	good := vocabOf(t, "gpt2", "gpt-2")
	for _, c := range []struct {
		name string
		edit func(v *Vocab)
		want string
	}{
		{"no tokens", func(v *Vocab) { v.Tokens = nil }, "no tokens"},
		{"model", func(v *Vocab) { v.Model = "bert" }, `"bert" is not supported; supported are gpt2, llama`},
		{"pre", func(v *Vocab) { v.Pre = "tekken" }, `pre-tokenizer "tekken" of a gpt2 tokenizer is not supported; supported are deepseek-r1-qwen, default, gpt-2, llama-bpe`},
		{"types", func(v *Vocab) { v.Types = v.Types[:3] }, "3 token types"},
		{"merge without space", func(v *Vocab) { v.Merges = []string{"ab"} }, `merges[0]: merge "ab"`},
		{"merge of an unknown token", func(v *Vocab) { v.Merges = []string{"a qqq"} }, `token "qqq" is not in the vocabulary`},
		{"merge to an unknown token", func(v *Vocab) { v.Merges = []string{"~ ~"} }, `token "~~" is not in the vocabulary`},
		{"no byte", func(v *Vocab) { v.Tokens, v.Types, v.Merges = []string{"qq"}, nil, nil }, "no byte"},
		{"scores", func(v *Vocab) { v.Model = "llama" }, "has 0 scores"},
		{"score that is no number", func(v *Vocab) {
			*v = Vocab{Model: "llama", Tokens: []string{"a"}, Scores: []float32{float32(math.NaN())}}
		}, "token 0"},
		{"no fallback", func(v *Vocab) { *v = Vocab{Model: "llama", Tokens: []string{"a"}, Scores: []float32{0}} }, "lacks 256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := good
			c.edit(&v)
			_, err := FromGGUF(v)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestFingerprintTellsVocabulariesApart(t *testing.T) {
	a := vocabOf(t, "gpt2", "gpt-2")
	b := vocabOf(t, "gpt2", "smollm")
	one, err := FromGGUF(a)
	require.NoError(t, err)
	again, err := FromGGUF(a)
	require.NoError(t, err)
	two, err := FromGGUF(b)
	require.NoError(t, err)
	require.Equal(t, one.Fingerprint(), again.Fingerprint())
	require.NotEqual(t, one.Fingerprint(), two.Fingerprint())
	require.NotEqual(t, load(t, "gpt2").Fingerprint(), load(t, "llama3").Fingerprint())
}
