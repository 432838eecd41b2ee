package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The goldens are the ids of Hugging Face's tokenizers 0.23 by transformers 5.23: testdata/wordpiece/make_tokens.py.

func TestTokensEqualHuggingFaces(t *testing.T) {
	var golden struct {
		Texts []string
		Cases []struct {
			Name      string
			Config    map[string]any
			Added     []map[string]any
			VocabOnly bool `json:"vocab_only"`
			Limit     int
			IDs       [][]int32
		}
	}
	readGolden(t, "testdata/wordpiece/tokens.json", &golden)
	require.NotEmpty(t, golden.Cases)
	for _, c := range golden.Cases {
		t.Run(c.Name, func(t *testing.T) {
			c.Config["tokenizer_class"] = "BertTokenizer"
			files := []file{{ConfigFile, toJSON(t, c.Config)}}
			if c.VocabOnly {
				files = append(files, file{vocabFile, testVocab(t)})
			} else {
				files = append(files, testTokenizerJSON(t, func(j map[string]any) {
					for _, a := range c.Added {
						j["added_tokens"] = append(j["added_tokens"].([]any), a)
					}
				}))
			}
			tokenizer, err := loadBERT("dir", files)
			require.NoError(t, err)
			for i, text := range golden.Texts {
				require.Equal(t, c.IDs[i], encodeText(t, tokenizer, text, c.Limit), "text %d: %.200q", i, text)
			}
		})
	}
}

func TestTokensEqualHuggingFacesOnBERTsVocabulary(t *testing.T) {
	dir := os.Getenv("RETORT_MODEL")
	if dir == "" {
		t.Skip("set RETORT_MODEL to the folder of a model with the vocabulary of bert-base-uncased, such as all-MiniLM-L6-v2")
	}
	tokenizer, err := Load(dir, bertOptions)
	require.NoError(t, err)
	if tokenizer.Len() != 30522 {
		t.Skipf("RETORT_MODEL has a vocabulary of %d, not the 30522 of bert-base-uncased", tokenizer.Len())
	}
	var golden struct {
		Texts []string
		Limit int
		IDs   [][]int32
	}
	readGolden(t, "testdata/wordpiece/tokens_minilm.json", &golden)
	for i, text := range golden.Texts {
		require.Equal(t, golden.IDs[i], encodeText(t, tokenizer, text, golden.Limit), "text %d: %.200q", i, text)
	}
}

// The digests are those of what Hugging Face's normalizer and pre-tokenizer make of each block:
// testdata/wordpiece/make_unicode.py.
func TestEveryCharacterIsNormalisedAsHuggingFaceDoes(t *testing.T) {
	var golden struct {
		Known          []rune
		Uncased, Cased map[string]string
	}
	readGolden(t, "testdata/wordpiece/normalized.json", &golden)
	blocks := map[string]*strings.Builder{}
	for i := 0; i < len(golden.Known); i += 2 {
		for c := golden.Known[i]; c <= golden.Known[i+1]; c++ {
			block := fmt.Sprintf("%x", c>>8)
			if blocks[block] == nil {
				blocks[block] = &strings.Builder{}
			}
			fmt.Fprintf(blocks[block], "A%cb ", c)
		}
	}
	for name, c := range map[string]struct {
		normalizer bertNormalizer
		want       map[string]string
	}{
		"uncased": {bertNormalizer{clean: true, chinese: true, stripAccents: true, lower: true}, golden.Uncased},
		"cased":   {bertNormalizer{clean: true, chinese: true}, golden.Cased},
	} {
		require.Len(t, blocks, len(c.want))
		for block, text := range blocks {
			var words []string
			for _, p := range (bertWords{}).split(nil, piece{text: c.normalizer.normalize(text.String())}) {
				words = append(words, p.text)
			}
			sum := sha256.Sum256([]byte(strings.Join(words, "\n")))
			require.Equal(t, c.want[block], hex.EncodeToString(sum[:])[:12], "%s: block %s: %q", name, block, words)
		}
	}
}

func TestEncodeKeepsWithinTheLimit(t *testing.T) {
	tokenizer := testTokenizer(t)
	text := strings.Repeat("untokenizable [MASK] words, ", 50)
	whole := encodeText(t, tokenizer, text, 10_000)
	for limit := 1; limit < 40; limit++ {
		ids := encodeText(t, tokenizer, text, limit)
		require.Len(t, ids, max(limit, 2))
		require.Equal(t, whole[:len(ids)-1], ids[:len(ids)-1])
		require.Equal(t, whole[len(whole)-1], ids[len(ids)-1])
	}
}

func TestBytesThatAreNoUTF8AreLeftOut(t *testing.T) {
	tokenizer := testTokenizer(t)
	require.Equal(t, encodeText(t, tokenizer, "hello world", 64), encodeText(t, tokenizer, "he\xffllo\xc3 wor\xe2\x82ld", 64))
}

func TestEncodeIsSafeForConcurrentUse(t *testing.T) {
	tokenizer := testTokenizer(t)
	want := encodeText(t, tokenizer, "naïve café [MASK] résumé 中文", 64)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				got, _, err := tokenizer.EncodeText("naïve café [MASK] résumé 中文", 64)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%v instead of %v: %v", got, want, err)
				}
			}
		}()
	}
	wg.Wait()
}

func TestLongTextThatIsCutTakesLittleTime(t *testing.T) {
	tokenizer := testTokenizer(t)
	text := strings.Repeat("naïve words ", 1<<20)
	allocated := testing.AllocsPerRun(1, func() { encodeText(t, tokenizer, text, 16) })
	require.Less(t, allocated, 1000.0)
}

// A quadratic step would take minutes for one of these.
func TestWordPieceTakesLinearTime(t *testing.T) {
	tokenizer, err := Load("testdata/wordpiece/tokenizer", bertOptions)
	require.NoError(t, err)
	const size = 1 << 20
	for name, unit := range map[string]string{
		"letters": "a", "words": "word ", "marks": "\u0301", "reordered marks": "\u0316\u0301",
		"marks on a letter": "e\u0301", "spaces": " ", "full stops": ".",
		"Chinese": "中", "Hangul": "각", "joined emoji": "👩\u200d", "masks": "[MASK]", "half a mask": "[MAS",
		"no UTF-8": "\xff", "control": "\x01",
	} {
		for _, limit := range []int{512, 1 << 30} {
			start := time.Now()
			encodeText(t, tokenizer, strings.Repeat(unit, size/len(unit)), limit)
			took := time.Since(start)
			require.Less(t, took, 20*time.Second, "%s", name)
			if took > time.Second {
				t.Logf("%s: %v", name, took.Round(time.Millisecond))
			}
		}
	}
}

func TestTokenizerConfigWinsOverTokenizerJSON(t *testing.T) {
	cased := testTokenizerJSON(t, func(j map[string]any) {
		j["normalizer"] = map[string]any{"type": "BertNormalizer", "clean_text": true, "lowercase": false}
	})
	for name, c := range map[string]struct {
		config string
		lower  bool
	}{
		"no config":                    {"", true},
		"do_lower_case true":           {`{"do_lower_case": true}`, true},
		"do_lower_case false":          {`{"do_lower_case": false}`, false},
		"do_lower_case left out":       {`{"tokenizer_class": "BertTokenizerFast"}`, true},
		"a class that is no model's":   {`{"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": true}`, false},
		"special tokens as objects":    {`{"do_lower_case": false, "cls_token": {"content": "[CLS]"}, "mask_token": null}`, false},
		"a length that stands for all": {`{"do_lower_case": false, "model_max_length": 1000000000000000019884624838656}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			files := []file{cased}
			if c.config != "" {
				files = append(files, file{ConfigFile, []byte(c.config)})
			}
			tokenizer, err := loadBERT("dir", files)
			require.NoError(t, err)
			require.Equal(t, c.lower, normalizerOf(t, tokenizer).lower)
			require.Equal(t, c.lower, normalizerOf(t, tokenizer).stripAccents)
			_, ok := tokenizer.ModelMaxLength()
			require.False(t, ok)
		})
	}
}

func TestLowercaseInFrontKeepsAccents(t *testing.T) {
	tokenizer, err := loadBERT("dir", []file{testTokenizerJSON(t, func(j map[string]any) {
		j["normalizer"] = map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Lowercase"},
			map[string]any{"type": "BertNormalizer", "lowercase": false},
		}}
	}), {ConfigFile, []byte(`{"tokenizer_class":"TokenizersBackend"}`)}})
	require.NoError(t, err)
	require.Equal(t, "café", tokenizer.normalizer.normalize("CAFÉ"))
}

func TestBadTokenizersAreErrorsThatNameFileAndField(t *testing.T) {
	model := func(change func(map[string]any)) []file {
		return []file{testTokenizerJSON(t, func(j map[string]any) { change(j["model"].(map[string]any)) })}
	}
	top := func(change func(map[string]any)) []file {
		return []file{testTokenizerJSON(t, change)}
	}
	vocab := func(v map[string]any) []file {
		return model(func(m map[string]any) { m["vocab"] = v })
	}
	for name, c := range map[string]struct {
		files []file
		want  string
	}{
		"nothing there":      {nil, "dir: neither tokenizer.json nor vocab.txt"},
		"BPE":                {model(func(m map[string]any) { m["type"] = "BPE" }), "tokenizer.json: model.type is BPE; a BertTokenizer has WordPiece"},
		"Unigram":            {model(func(m map[string]any) { m["type"] = "Unigram"; m["vocab"] = []any{} }), "model.type is Unigram"},
		"an old BPE":         {model(func(m map[string]any) { delete(m, "type"); m["merges"] = []any{} }), "model.type is BPE"},
		"a list of pieces":   {model(func(m map[string]any) { m["vocab"] = []any{"a"} }), "model: vocab is not an object"},
		"no vocabulary":      {model(func(m map[string]any) { delete(m, "vocab") }), "model: vocab is not an object"},
		"no [UNK]":           {vocab(map[string]any{"[PAD]": 0, "[CLS]": 1, "[SEP]": 2}), "tokenizer.json: model: the vocabulary lacks the unknown token [UNK]"},
		"two with one id":    {vocab(map[string]any{"a": 1, "b": 1}), `"a" and "b" have the same id 1`},
		"a negative id":      {vocab(map[string]any{"a": -1}), `id -1 of token "a" is not in 0 to`},
		"an id that is text": {vocab(map[string]any{"a": "x"}), "model: vocab is not an object of ids"},
		"words of no length": {model(func(m map[string]any) { m["max_input_chars_per_word"] = 0 }), "max_input_chars_per_word is 0; 1 to 1000"},
		"another normalizer": {top(func(j map[string]any) { j["normalizer"] = map[string]any{"type": "NFKC"} }), "normalizer is not a BertNormalizer, the only one of a BertTokenizer"},
		"no normalizer":      {top(func(j map[string]any) { j["normalizer"] = nil }), "normalizer is not a BertNormalizer"},
		"another splitting": {
			top(func(j map[string]any) { j["pre_tokenizer"] = map[string]any{"type": "ByteLevel"} }),
			"pre_tokenizer is not a BertPreTokenizer",
		},
		"another template": {
			top(func(j map[string]any) { j["post_processor"].(map[string]any)["single"] = []any{} }),
			`post_processor: single: the sequences are [], want each of ["A"] once`,
		},
		"another processor": {
			top(func(j map[string]any) { j["post_processor"] = map[string]any{"type": "RobertaProcessing"} }),
			"post_processor: want cls and sep",
		},
		"a token with two ids": {
			top(func(j map[string]any) { j["added_tokens"] = []any{map[string]any{"id": 9999, "content": "[PAD]"}} }),
			`added token "[PAD]" has id 9999, and 0 elsewhere`,
		},
		"an added token with a piece's id": {
			top(func(j map[string]any) { j["added_tokens"] = []any{map[string]any{"id": 1, "content": "new piece"}} }),
			`added token "new piece" has id 1, and the next id is 1427`,
		},
		"malformed JSON": {
			[]file{{File, []byte("{\n\"model\": {\n]")}},
			"dir/tokenizer.json: not a tokenizer.json: line 3: malformed JSON at \"/model\": invalid character",
		},
		"malformed config": {
			append(top(func(map[string]any) {}), file{ConfigFile, []byte("{")}),
			"dir/tokenizer_config.json: line 1",
		},
		"another class": {append(top(func(map[string]any) {}), file{
			ConfigFile,
			[]byte(`{"tokenizer_class":"AlbertTokenizer"}`),
		}), "tokenizer_class is AlbertTokenizer; supported are BertTokenizer, "},
		"a class of another model": {append(top(func(map[string]any) {}), file{
			ConfigFile,
			[]byte(`{"tokenizer_class":"XLMRobertaTokenizer"}`),
		}), "dir/tokenizer.json: model.type is WordPiece; a XLMRobertaTokenizer has Unigram"},
		"vocab.txt lacks [UNK]": {
			[]file{{vocabFile, []byte("[PAD]\n[CLS]\n[SEP]\n")}},
			"dir/vocab.txt: model: the vocabulary lacks the unknown token [UNK]",
		},
		"vocab.txt lacks [CLS]": {
			[]file{{vocabFile, []byte("[PAD]\n[UNK]\n[SEP]\n")}},
			"lacks the class token [CLS]",
		},
		"vocab.txt lacks [SEP]": {
			[]file{{vocabFile, []byte("[PAD]\n[UNK]\n[CLS]\n")}},
			"lacks the separator token [SEP]",
		},
		"vocab.txt lacks [PAD]": {
			[]file{{vocabFile, []byte("[UNK]\n[CLS]\n[SEP]\n")}},
			"lacks the padding token [PAD]",
		},
		"vocab.txt is no text": {[]file{{vocabFile, []byte("[UNK]\n\xff\n")}}, "dir/vocab.txt: not UTF-8"},
		"a token without an id": {
			[]file{{vocabFile, testVocab(t)}, {addedTokensFile, []byte(`{"x":null}`)}},
			"added_tokens.json: x has no id",
		},
		"a general vocab.txt": {
			[]file{{vocabFile, testVocab(t)}, {ConfigFile, []byte(`{"tokenizer_class":"TokenizersBackend"}`)}},
			"tokenizer.json: file does not exist; vocab.json or a tokenizer.model alone is not read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadBERT("dir", c.files)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "dir")
		})
	}
}

func TestFingerprintFollowsTheFiles(t *testing.T) {
	one, err := loadBERT("dir", []file{{vocabFile, testVocab(t)}})
	require.NoError(t, err)
	two, err := loadBERT("elsewhere", []file{{vocabFile, testVocab(t)}})
	require.NoError(t, err)
	three, err := loadBERT("dir", []file{{vocabFile, append(testVocab(t), "more\n"...)}})
	require.NoError(t, err)
	require.Equal(t, one.Fingerprint(), two.Fingerprint())
	require.NotEqual(t, one.Fingerprint(), three.Fingerprint())
	require.Equal(t, one.Len()+1, three.Len())
}

func FuzzTokenizerJSON(f *testing.F) {
	whole, err := os.ReadFile("testdata/wordpiece/tokenizer/tokenizer.json")
	require.NoError(f, err)
	f.Add(whole, "naïve café [MASK] 中文")
	f.Add([]byte(`{"model":{"type":"WordPiece","vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":4,"##b":5}},
		"normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},
		"added_tokens":[{"id":6,"content":"a b","normalized":true,"single_word":true}]}`), "abab a b")
	f.Add([]byte(`{"model":{"vocab":{"":1}},"normalizer":{"type":"Sequence"},"pre_tokenizer":{"type":"BertPreTokenizer"}}`), "\xff")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		tokenizer, err := loadBERT("fuzz", []file{{File, raw}})
		if err != nil {
			return
		}
		ids := encodeText(t, tokenizer, text, 16)
		require.GreaterOrEqual(t, len(ids), 2)
		require.LessOrEqual(t, len(ids), 16)
		for _, id := range ids {
			require.GreaterOrEqual(t, id, int32(0))
			require.Less(t, int(id), tokenizer.Len())
		}
	})
}

func FuzzEncodeText(f *testing.F) {
	tokenizer := testTokenizer(f)
	f.Add("naïve café [MASK] 中文\u200b", 12)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(2, limit%100)
		ids := encodeText(t, tokenizer, text, limit)
		require.LessOrEqual(t, len(ids), limit)
		if utf8.ValidString(text) {
			require.Equal(t, ids, encodeText(t, tokenizer, "  "+text+"\n", limit), "spaces around a text change nothing")
		}
	})
}

func BenchmarkWordPiece(b *testing.B) {
	tokenizer := testTokenizer(b)
	text := strings.Repeat("The teacher scores every list of passages; the student learns to reproduce the scores. ", 20)
	tokens := 0
	for b.Loop() {
		tokens += len(encodeText(b, tokenizer, text, 512))
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}

// bertOptions are those of a network of BERT's.
var bertOptions = Options{Class: "BertTokenizer"}

func loadBERT(dir string, files []file) (*Tokenizer, error) {
	return fromFiles(dir, files, bertOptions)
}

func encodeText(t testing.TB, tokenizer *Tokenizer, text string, limit int) []int32 {
	t.Helper()
	ids, _, err := tokenizer.EncodeText(text, limit)
	require.NoError(t, err)
	return ids
}

func normalizerOf(t testing.TB, tokenizer *Tokenizer) bertNormalizer {
	t.Helper()
	require.Len(t, tokenizer.normalizer, 1)
	n, ok := tokenizer.normalizer[0].(bertNormalizer)
	require.True(t, ok)
	return n
}

func testTokenizer(t testing.TB) *Tokenizer {
	tokenizer, err := Load("testdata/wordpiece/tokenizer", bertOptions)
	require.NoError(t, err)
	return tokenizer
}

// testTokenizerJSON returns the tokenizer.json of testdata, changed.
func testTokenizerJSON(t testing.TB, change func(map[string]any)) file {
	var j map[string]any
	readGolden(t, "testdata/wordpiece/tokenizer/tokenizer.json", &j)
	change(j)
	return file{File, toJSON(t, j)}
}

// testVocab returns the same vocabulary as a vocab.txt.
func testVocab(t testing.TB) []byte {
	var j struct {
		Model struct{ Vocab map[string]int }
	}
	readGolden(t, "testdata/wordpiece/tokenizer/tokenizer.json", &j)
	lines := make([]string, len(j.Model.Vocab))
	for piece, id := range j.Model.Vocab {
		lines[id] = piece
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

func readGolden(t testing.TB, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(path))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, v))
}

func toJSON(t testing.TB, v any) []byte {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}
