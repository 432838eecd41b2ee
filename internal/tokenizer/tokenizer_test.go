package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The kinds of testdata/tokenizers; the byte-level ones give back every text.
var kinds = []struct {
	name      string
	roundTrip bool
}{
	{"gpt2", true},
	{"smollm", true},
	{"llama3", true},
	{"gpt4o", true},
	{"qwen2", false}, // NFC
	{"roberta", false},
	{"missing-fused", false},
	{"missing-single", false},
	{"missing-none", false},
	{"llama2", false},
	{"xlmr", false},
	{"bge-m3", false},
	{"unigram-bytes", false},
	{"added", false},
}

type goldenTexts struct {
	Texts []string             `json:"texts"`
	Pairs [][3]json.RawMessage `json:"pairs"`
}

type goldenIDs struct {
	Plain    [][]int32    `json:"plain"`
	Specials [][]int32    `json:"specials"`
	Pairs    [][2][]int32 `json:"pairs"`
	Decoded  []string     `json:"decoded"`
}

func readJSON[T any](t testing.TB, path ...string) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	require.NoError(t, err)
	var v T
	require.NoError(t, json.Unmarshal(data, &v))
	return v
}

func load(t testing.TB, name string) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "tokenizers", name+".json"))
	require.NoError(t, err)
	tokenizer, err := Parse(data)
	require.NoError(t, err)
	return tokenizer
}

// ids makes no ids comparable with the empty list of a golden.
func ids(in []int32) []int32 { return append([]int32{}, in...) }

func TestIDsEqualThoseOfHuggingFaceTokenizers(t *testing.T) {
	texts := readJSON[goldenTexts](t, "texts.json").Texts
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			tokenizer := load(t, kind.name)
			want := readJSON[goldenIDs](t, "ids", kind.name+".json")
			require.Len(t, want.Plain, len(texts))
			for i, text := range texts {
				require.Equal(t, want.Plain[i], ids(must(tokenizer.Encode(text))), "%d: %q", i, text)
				require.Equal(t, want.Specials[i], ids(must(tokenizer.EncodeWithSpecials(text))), "with specials, %d: %q", i, text)
			}
		})
	}
}

func TestDecodeEqualsHuggingFaceTokenizers(t *testing.T) {
	texts := readJSON[goldenTexts](t, "texts.json").Texts
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			tokenizer := load(t, kind.name)
			want := readJSON[goldenIDs](t, "ids", kind.name+".json")
			for i, text := range texts {
				if kind.name != "unigram-bytes" { // there Hugging Face's Metaspace drops all spaces of the first token
					require.Equal(t, want.Decoded[i], tokenizer.Decode(want.Specials[i]), "%d: %q", i, text)
				}
				if kind.roundTrip {
					require.Equal(t, text, tokenizer.Decode(must(tokenizer.Encode(text))), "%d", i)
				}
			}
		})
	}
}

func TestPairsEqualHuggingFaceTokenizersWithLongestFirst(t *testing.T) {
	pairs := readJSON[goldenTexts](t, "texts.json").Pairs
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			tokenizer := load(t, kind.name)
			want := readJSON[goldenIDs](t, "ids", kind.name+".json")
			require.Len(t, want.Pairs, len(pairs))
			for i, p := range pairs {
				var a, b string
				var limit int
				require.NoError(t, json.Unmarshal(p[0], &a))
				require.NoError(t, json.Unmarshal(p[1], &b))
				require.NoError(t, json.Unmarshal(p[2], &limit))
				got, types, cut, err := tokenizer.EncodePair(a, b, limit)
				require.NoError(t, err)
				whole, _, wholeCut, err := tokenizer.EncodePair(a, b, 0)
				require.NoError(t, err)
				require.Equal(t, want.Pairs[i][0], ids(got), "%d: %q %q %d", i, a, b, limit)
				require.Equal(t, want.Pairs[i][1], ids(types), "%d: %q %q %d", i, a, b, limit)
				require.Equal(t, len(got) < len(whole), cut)
				require.False(t, wholeCut)
			}
		})
	}
}

func TestSplitBehavioursEqualHuggingFaceTokenizers(t *testing.T) {
	texts := readJSON[goldenTexts](t, "texts.json").Texts
	base := readJSON[map[string]json.RawMessage](t, "tokenizers", "gpt2.json")
	cases := readJSON[[]struct {
		Name         string          `json:"name"`
		PreTokenizer json.RawMessage `json:"pre_tokenizer"`
		IDs          [][]int32       `json:"ids"`
	}](t, "ids", "splits.json")
	require.Len(t, cases, 11)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			base["pre_tokenizer"] = c.PreTokenizer
			file, err := json.Marshal(base)
			require.NoError(t, err)
			tokenizer, err := Parse(file)
			require.NoError(t, err)
			for i, want := range c.IDs {
				require.Equal(t, want, ids(must(tokenizer.EncodeWithSpecials(texts[4*i]))), "%q", texts[4*i])
			}
		})
	}
}

func TestWhatIsNoUTF8CountsAsInPythonsReplace(t *testing.T) {
	for _, kind := range kinds {
		tokenizer := load(t, kind.name)
		require.Equal(t, must(tokenizer.Encode("a\uFFFDb \uFFFD\uFFFDc\uFFFD")),
			must(tokenizer.Encode("a\xffb \xff\xfec\xe4\xb8")), kind.name)
	}
}

func TestSpecialTokensInTextAreTextUnlessAskedFor(t *testing.T) {
	tokenizer := load(t, "smollm")
	end, ok := tokenizer.ID("<|im_end|>")
	require.True(t, ok)
	require.NotContains(t, must(tokenizer.Encode("a<|im_end|>b")), end)
	require.Contains(t, must(tokenizer.EncodeWithSpecials("a<|im_end|>b")), end)
	require.Equal(t, "a<|im_end|>b", tokenizer.Decode(must(tokenizer.Encode("a<|im_end|>b"))))
	require.Equal(t, "a<|im_end|>b", tokenizer.Decode(must(tokenizer.EncodeWithSpecials("a<|im_end|>b"))))
}

func TestAppendBytesGivesTheBytesOfTokensOneByOne(t *testing.T) {
	text := "naïve 中文 🙂👩‍👧\r\n end"
	for _, kind := range []string{"gpt2", "llama3", "llama2"} {
		tokenizer := load(t, kind)
		encoded := must(tokenizer.Encode(text))
		var joined []byte
		broken := false
		for _, id := range encoded {
			joined = tokenizer.AppendBytes(joined, id)
			broken = broken || !utf8.Valid(tokenizer.AppendBytes(nil, id))
		}
		require.Equal(t, text, strings.TrimPrefix(string(joined), " "), kind)
		require.True(t, broken, "a character of several tokens is among them")
		replaced := false
		for n := range encoded {
			replaced = replaced || strings.HasSuffix(tokenizer.Decode(encoded[:n]), "\uFFFD")
		}
		require.True(t, replaced, "ids that stop within a character")
	}
}

func TestIDsOutsideTheVocabulary(t *testing.T) {
	tokenizer := load(t, "gpt2")
	for _, id := range []int32{-1, int32(tokenizer.Len())} {
		require.Empty(t, tokenizer.Token(id))
		require.Empty(t, tokenizer.AppendBytes(nil, id))
		require.Empty(t, tokenizer.Decode([]int32{id}))
	}
	_, ok := tokenizer.ID("no such token")
	require.False(t, ok)
	id, ok := tokenizer.ID("Ġthe")
	require.True(t, ok)
	require.Equal(t, "Ġthe", tokenizer.Token(id))
	require.Equal(t, " the", string(tokenizer.AppendBytes(nil, id)))
}

func TestConcurrentUse(t *testing.T) {
	texts := readJSON[goldenTexts](t, "texts.json").Texts
	for _, kind := range []string{"smollm", "llama2", "xlmr"} {
		tokenizer := load(t, kind)
		want := readJSON[goldenIDs](t, "ids", kind+".json").Plain
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range texts {
					k := (i*7 + worker) % len(texts)
					if got := ids(must(tokenizer.Encode(texts[k]))); len(got) != len(want[k]) {
						t.Errorf("%s: %q: %v, want %v", kind, texts[k], got, want[k])
					}
				}
			}()
		}
		wg.Wait()
	}
}

// A quadratic step would take a minute or more for one of these.
func TestLongTextsTakeLinearTime(t *testing.T) {
	const size = 1 << 17
	for name, unit := range map[string]string{
		"letters": "readtoken", "one letter": "a", "spaces": " ", "newlines": "\n", "space and newline": " \n", "signs": "!?",
		"digits": "12", "special": "<s>", "half a special": "<|im_", "marks": "\u0301", "Chinese": "中文", "unknown": "ქ", "quotes": "'",
		"joined emoji": "👩‍", "masks with space": " <mask>", "no UTF-8": "\xff",
	} {
		text := strings.Repeat(unit, size/len(unit))
		for _, kind := range []string{"smollm", "qwen2", "llama2", "bge-m3", "unigram-bytes"} {
			tokenizer := load(t, kind)
			start := time.Now()
			must(tokenizer.EncodeWithSpecials(text))
			require.Less(t, time.Since(start), 30*time.Second, "%s, %s", kind, name)
		}
	}
}

// must returns the value of a call that cannot fail here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAPatternThatBacktracksIsNamed(t *testing.T) {
	for name, section := range map[string]string{
		"split":   `"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}`,
		"replace": `"normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokenizer, err := Parse([]byte(`{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, ` + section +
				`}`))
			require.NoError(t, err)
			ids, err := tokenizer.Encode("aaab aaa")
			require.NoError(t, err)
			require.NotEmpty(t, ids)
			start := time.Now()
			_, err = tokenizer.Encode(strings.Repeat("a", 40) + "b")
			require.ErrorContains(t, err, `the tokenizer's pattern "(a+)+$" takes longer than 5s`)
			require.Less(t, time.Since(start), 60*time.Second)
		})
	}
}

// A match within the limit, but as many of them as there are letters.
func TestAPatternThatIsSlowForEachMatchEnds(t *testing.T) {
	t.Parallel()
	tokenizer, err := Parse([]byte(`{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
		"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a(?=.*c)|a"}, "behavior": "Isolated"}}`))
	require.NoError(t, err)
	start := time.Now()
	_, err = tokenizer.Encode(strings.Repeat("a", 200_000))
	require.ErrorContains(t, err, "takes longer")
	require.Less(t, time.Since(start), 60*time.Second)
}

func TestAPatternOfAnyLengthIsRefused(t *testing.T) {
	_, err := newExpression(strings.Repeat("(", 1<<20))
	require.ErrorContains(t, err, "has 1048576 bytes, the limit is 65536")
}
