package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoadErrorsNameWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, base, section, value, want string }{
		{"model", "gpt2", "model", `{"type":"WordPiece","vocab":{}}`, `model: the vocabulary lacks the unknown token [UNK]`},
		{"no model", "gpt2", "model", `null`, "model: is missing"},
		{"normalizer", "gpt2", "normalizer", `{"type":"Odd"}`, `normalizer: type "Odd" is not supported; supported are Sequence, BertNormalizer, NFC`},
		{"normalizer within", "gpt2", "normalizer", `{"type":"Sequence","normalizers":[{"type":"X"}]}`, `type "X"`},
		{"pattern of nothing", "gpt2", "normalizer", `{"type":"Replace","pattern":{},"content":""}`, "pattern: want"},
		{"empty pattern", "gpt2", "normalizer", `{"type":"Replace","pattern":{"String":""},"content":""}`, "empty"},
		{"charsmap of one byte", "gpt2", "normalizer", `{"type":"Precompiled","precompiled_charsmap":"AA=="}`, "has 1 bytes"},
		{"charsmap cut short", "gpt2", "normalizer", `{"type":"Precompiled","precompiled_charsmap":"BAEAAAAAAAA="}`, "260 bytes"},
		{"pre-tokenizer", "gpt2", "pre_tokenizer", `{"type":"UnicodeScripts"}`, `pre_tokenizer: type "UnicodeScripts" is not supported; supported are`},
		{"ByteLevel first", "gpt2", "pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}`, "last of a Sequence"},
		{"regular expression", "gpt2", "pre_tokenizer", `{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}`, `pattern "("`},
		{"behavior", "gpt2", "pre_tokenizer", `{"type":"Split","pattern":{"Regex":"a"},"behavior":"Odd"}`, `behavior "Odd"`},
		{"scheme", "gpt2", "pre_tokenizer", `{"type":"Metaspace","replacement":"_","prepend_scheme":"odd"}`, `prepend_scheme "odd"`},
		{"sign", "gpt2", "pre_tokenizer", `{"type":"Metaspace","replacement":""}`, "want one character"},
		{"post-processor", "gpt2", "post_processor", `{"type":"Odd"}`, `post_processor: type "Odd"`},
		{"separator", "gpt2", "post_processor", `{"type":"BertProcessing","cls":["a",65],"sep":["b",99999]}`, "is not in the vocabulary"},
		{"template", "gpt2", "post_processor", `{"type":"TemplateProcessing","pair":[{"Sequence":{"id":"A"}}]}`, `want each of ["A" "B"] once`},
		{"special of a template", "gpt2", "post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[X]"}},{"Sequence":{"id":"A"}}]}`, `"[X]" has no ids`},
		{"decoder", "gpt2", "decoder", `{"type":"CTC"}`, `decoder: type "CTC"`},
		{"added token", "gpt2", "added_tokens", `[{"id":5,"content":"new"}]`, `added token "new" has id 5, and the next id is 700`},
		{"id of an added token", "gpt2", "added_tokens", `[{"id":-1,"content":"new"}]`, `"new" has id -1`},
		{"huge id", "gpt2", "added_tokens", `[{"id":99999999999,"content":"new"}]`, "99999999999"},
		{"duplicate ids", "gpt2", "model", `{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}`, `"a" and "b" have the same id 0`},
		{"merge", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":["a b"]}`, `token "b" is not in the vocabulary`},
		{"joined token", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[["a","a"]]}`, `token "aa" is not in the vocabulary`},
		{"merge of three", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}`, "one space between"},
		{"merge of one", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}`, "has 1 tokens"},
		{"no bytes", "gpt2", "model", `{"type":"BPE","vocab":{"qq":0},"merges":[]}`, "no byte"},
		{"unknown token", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"u"}`, `unk_token "u"`},
		{"dropout", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}`, "dropout 0.1"},
		{"suffix", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>"}`, `"</w>"`},
		{"prefix", "gpt2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[],"continuing_subword_prefix":"##"}`, `"##"`},
		{"fallback", "llama2", "model", `{"type":"BPE","vocab":{"a":0},"merges":[],"byte_fallback":true}`, "lacks 256"},
		{"unigram without unknown token", "xlmr", "model", `{"type":"Unigram","vocab":[["a",0]]}`, "unk_id"},
		{"unigram without tokens", "xlmr", "model", `{"type":"Unigram","vocab":[],"unk_id":0}`, "empty"},
		{"unigram entry", "xlmr", "model", `{"type":"Unigram","vocab":[["a"]],"unk_id":0}`, "want a token and its score"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := readJSON[map[string]json.RawMessage](t, "tokenizers", c.base+".json")
			file[c.section] = json.RawMessage(c.value)
			data, err := json.Marshal(file)
			require.NoError(t, err)
			_, err = Parse(data)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestMergesMayBeWrittenAsOneString(t *testing.T) {
	file := readJSON[map[string]json.RawMessage](t, "tokenizers", "gpt2.json")
	var model map[string]any
	require.NoError(t, json.Unmarshal(file["model"], &model))
	for i, m := range model["merges"].([]any) {
		pair := m.([]any)
		model["merges"].([]any)[i] = pair[0].(string) + " " + pair[1].(string)
	}
	old, err := json.Marshal(map[string]any{"model": model, "pre_tokenizer": file["pre_tokenizer"]})
	require.NoError(t, err)
	tokenizer, err := Parse(old)
	require.NoError(t, err)
	want := load(t, "gpt2")
	for _, text := range readJSON[goldenTexts](t, "texts.json").Texts {
		require.Equal(t, must(want.Encode(text)), must(tokenizer.Encode(text)))
	}
}

// Before prepend_scheme there was add_prefix_space.
func TestMetaspaceOfOlderFiles(t *testing.T) {
	file := readJSON[map[string]json.RawMessage](t, "tokenizers", "bge-m3.json")
	want := readJSON[goldenIDs](t, "ids", "bge-m3.json").Plain
	file["pre_tokenizer"] = json.RawMessage(`{"type":"Metaspace","replacement":"▁","add_prefix_space":true}`)
	old, err := json.Marshal(file)
	require.NoError(t, err)
	tokenizer, err := Parse(old)
	require.NoError(t, err)
	for i, text := range readJSON[goldenTexts](t, "texts.json").Texts {
		require.Equal(t, want[i], ids(must(tokenizer.Encode(text))), "%q", text)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(dir, Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	path := filepath.Join(dir, File)
	require.ErrorContains(t, err, path)
	require.NoError(t, os.WriteFile(path, []byte(`{"model":`), 0o600))
	_, err = Load(dir, Options{})
	require.ErrorContains(t, err, path+": not a tokenizer.json")
}

func TestACharsmapThatPointsOutsideItselfChangesNothing(t *testing.T) {
	for fill := range 256 {
		data := append([]byte{16, 0, 0, 0}, []byte(strings.Repeat(string([]byte{byte(fill)}), 20))...)
		m, err := newCharsmap(data)
		require.NoError(t, err)
		m.normalize("any text at all, é中🙂")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"},
		"decoder":{"type":"ByteLevel"}}`,
		`{"model":{"type":"BPE","vocab":{"a":0,"▁":1,"▁a":2,"u":3},"merges":[["▁","a"]],"unk_token":"u","fuse_unk":true},
		"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},
		"content":"▁"}]},"decoder":{"type":"Strip","content":" ","start":1,"stop":0}}`,
		`{"model":{"type":"Unigram","vocab":[["<s>",0],["u",0],["▁a",-2.5],["a",-3]],"unk_id":1},
		"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁"}]},
		"post_processor":{"type":"RobertaProcessing","sep":["u",1],"cls":["<s>",0]},
		"added_tokens":[{"id":4,"content":"<m>","lstrip":true,"single_word":true,"normalized":true}]}`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"ignore_merges":true},"normalizer":{"type":"NFKC"},
		"pre_tokenizer":{"type":"Split","pattern":{"Regex":"[a-z]+(?!x)"},"behavior":"Contiguous","invert":true},
		"post_processor":{"type":"TemplateProcessing","pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}]}}`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAABhAA=="}}`,
	} {
		_, err := Parse([]byte(seed))
		require.NoError(f, err)
		f.Add([]byte(seed), "a text, <m>12 é中🙂")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tokenizer, err := Parse(data)
		if err != nil {
			return
		}
		checkEncode(t, tokenizer, text)
	})
}

func FuzzEncode(f *testing.F) {
	for _, text := range readJSON[goldenTexts](f, "texts.json").Texts {
		f.Add(text)
	}
	f.Add("a\xffb\xe4\xb8")
	var tokenizers []*Tokenizer
	for _, kind := range kinds {
		tokenizers = append(tokenizers, load(f, kind.name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i, tokenizer := range tokenizers {
			checkEncode(t, tokenizer, text)
			if kinds[i].roundTrip {
				require.Equal(t, validUTF8(text), tokenizer.Decode(must(tokenizer.Encode(text))), kinds[i].name)
			}
		}
	})
}

// checkEncode checks what holds of any tokenizer and text.
func checkEncode(t *testing.T, tokenizer *Tokenizer, text string) {
	t.Helper()
	for _, encode := range []func(string) ([]int32, error){tokenizer.Encode, tokenizer.EncodeWithSpecials} {
		ids, err := encode(text)
		if errors.As(err, new(slowPattern)) || errors.As(err, new(growth)) {
			return
		}
		require.NoError(t, err)
		for _, id := range ids {
			require.GreaterOrEqual(t, id, int32(0))
			require.Less(t, int(id), tokenizer.Len())
		}
		tokenizer.Decode(ids)
	}
	ids, typeIDs, _, err := tokenizer.EncodePair(text, text, 9)
	require.NoError(t, err)
	require.Len(t, typeIDs, len(ids))
}

func TestATokenizerIsBounded(t *testing.T) {
	file := func(vocab, sections string) string {
		return `{"model": {"type": "BPE", "vocab": {"a": 0, ` + vocab + `"b": 1}, "merges": []}` + sections + `}`
	}
	nested := func(key, member string, n int) string {
		return `, "` + key + `": ` + strings.Repeat(`{"type": "Sequence", "`+member+`": [`, n) + strings.Repeat("]}", n)
	}
	double := strings.Repeat(`{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"},`, 40)
	for name, c := range map[string]struct{ content, want string }{
		"an id beyond the file": {file(`"c": 2097151, `, ""), `id 2097151 of token "c" is not in 0 to 80`},
		"an id beyond 32 bits":  {file(`"c": 4294967296, `, ""), `id 4294967296 of token "c" is not in 0 to`},
		"an added id": {
			file("", `, "added_tokens": [{"id": 2000000, "content": "c"}]`),
			`added token "c" has id 2000000, and the next id is 2`,
		},
		"a long token": {file(`"`+strings.Repeat("a", 5000)+`": 2, `, ""), "has 5000 bytes, the limit is 4096"},
		"nested normalizers": {
			file("", nested("normalizer", "normalizers", 2000)),
			"a Sequence nested more than 8 deep",
		},
		"nested pre-tokenizers": {
			file("", nested("pre_tokenizer", "pretokenizers", 2000)),
			"a Sequence nested more than 8 deep",
		},
		"nested post-processors": {
			file("", nested("post_processor", "processors", 2000)),
			"a Sequence nested more than 8 deep",
		},
		"nested decoders": {file("", nested("decoder", "decoders", 2000)), "a Sequence nested more than 8 deep"},
		"many normalizers": {file("", `, "normalizer": {"type": "Sequence", "normalizers": [`+strings.Repeat(double,
			3)+`{"type": "NFC"}]}`), "a Sequence of 121"},
		"a long replacement": {file("", `, "normalizer": {"type": "Prepend", "prepend": "`+strings.Repeat("a",
			999)+`"}`), "prepend has 999 bytes, the limit is 128"},
		"an added token that grows": {file("", `, "added_tokens": [{"id": 2, "content": "aa", "normalized": true}], "normalizer": {"type": "Sequence", "normalizers": [`+double+`{"type": "NFC"}]}`), "the tokenizer's normalizers make a text"},
		"nested JSON":               {strings.Repeat("[", 1_000_000), "not a tokenizer.json"},
		"nested JSON in a section": {
			file("", `, "normalizer": `+strings.Repeat(`{"a":`, 1_000_000)),
			"not a tokenizer.json",
		},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse([]byte(c.content))
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 1000)
			require.Less(t, time.Since(start), 20*time.Second)
		})
	}
	grows, err := Parse([]byte(file("", `, "normalizer": {"type": "Sequence", "normalizers": [`+double+`{"type": "NFC"}]}`)))
	require.NoError(t, err)
	_, err = grows.Encode("aaaaaaaa")
	require.ErrorContains(t, err, "the tokenizer's normalizers make a text")
}

func FuzzFromGGUF(f *testing.F) {
	f.Add("gpt2", "llama-bpe", "a b ab <x>", "a b", "hello ab", []byte{1, 1, 1, 3})
	f.Add("llama", "", "▁a b <unk>", "", "a b", []byte{1, 1, 2})
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges, text string, types []byte) {
		v := Vocab{
			Model: model, Pre: pre, Tokens: strings.Split(tokens, " "), Merges: strings.Split(merges, ","),
			AddSpacePrefix: true,
		}
		for _, kind := range types {
			v.Types = append(v.Types, int32(kind))
			v.Scores = append(v.Scores, -float32(kind))
		}
		tokenizer, err := FromGGUF(v)
		if err != nil {
			return
		}
		ids, err := tokenizer.EncodeWithSpecials(text)
		require.NoError(t, err)
		tokenizer.Decode(ids)
	})
}
