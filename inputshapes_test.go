package retort_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// corpusReaders are all ways to read a corpus.
var corpusReaders = map[string]func(path string) (retort.Corpus, func() error, error){
	"LoadCorpus": func(path string) (retort.Corpus, func() error, error) {
		c, err := retort.LoadCorpus(path)
		return c, func() error { return nil }, err
	},
	"OpenCorpus": func(path string) (retort.Corpus, func() error, error) {
		c, err := retort.OpenCorpus(context.Background(), path)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	},
	"ReadCorpus": func(path string) (retort.Corpus, func() error, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		c, err := retort.ReadCorpus(context.Background(), iotest.OneByteReader(bytes.NewReader(data)), path)
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	},
}

func passagesOf(t *testing.T, c retort.Corpus) []retort.Passage {
	t.Helper()
	var passages []retort.Passage
	for i := range c.Len() {
		p, err := c.At(i)
		require.NoError(t, err)
		passages = append(passages, p)
	}
	return passages
}

// Users' corpora have these forms. Names are matched as in Python: json.loads(line)["text"].
func TestACorpusIsReadAsItIsWritten(t *testing.T) {
	one := []retort.Passage{{ID: "a", Text: "one fish"}}
	for name, c := range map[string]struct {
		content string
		want    []retort.Passage
	}{
		"names that differ in case": {
			`{"_id":"a","title":"K","text":"one fish","Title":"SKU 7","TEXT":"<b>","_ID":"z","_Id":3,"Text":null}`,
			[]retort.Passage{{ID: "a", Title: "K", Text: "one fish"}},
		},
		"names that Unicode folds": {`{"te\u017ft":"x","_\u0131d":"k","_id":"a","text":"one fish","teſT":3}`, one},
		"an integer id":            {`{"_id":12,"text":"one fish"}`, []retort.Passage{{ID: "12", Text: "one fish"}}},
		"a long integer id": {
			`{"_id":123456789012345678901234567890,"text":"x"}`,
			[]retort.Passage{{ID: "123456789012345678901234567890", Text: "x"}},
		},
		"a negative id": {`{"_id":-1,"text":"x"}`, []retort.Passage{{ID: "-1", Text: "x"}}},
		"ids with white space": {
			`{"_id":"a b","text":"x"}` + "\n" + `{"_id":"c\td","text":"y"}`,
			[]retort.Passage{{ID: "a b", Text: "x"}, {ID: "c\td", Text: "y"}},
		},
		"empty texts": {
			`{"_id":"a","text":""}` + "\n" + `{"_id":"b","text":" "}`,
			[]retort.Passage{{ID: "a"}, {ID: "b", Text: " "}},
		},
		"nulls": {
			`{"_id":"a","title":null,"text":null,"metadata":{"text":"x","n":[1,{"a":null}]}}`,
			[]retort.Passage{{ID: "a"}},
		},
		"a title alone":     {`{"_id":"a","title":"T"}`, []retort.Passage{{ID: "a", Title: "T"}}},
		"a byte order mark": {"\ufeff" + `{"_id":"a","text":"one fish"}`, one},
		"old ends of line":  {"\r\n" + `{"_id":"a","text":"one fish"}` + "\r\n", one},
		"separators that are no ends of line": {
			"{\"_id\":\"a\",\"text\":\"one\u2028two\u0085three\u2029\"}\n" +
				`{"_id":"b","text":"one\u2028two\u0085\u0000\u001b[31m"}`,
			[]retort.Passage{{ID: "a", Text: "one\u2028two\u0085three\u2029"}, {
				ID:   "b",
				Text: "one\u2028two\u0085\x00\x1b[31m",
			}},
		},
		"a whole surrogate pair": {`{"_id":"a","text":"\ud83d\udc1f"}`, []retort.Passage{{ID: "a", Text: "🐟"}}},
	} {
		for reader, open := range corpusReaders {
			for packing, pack := range packings {
				t.Run(name+"/"+reader+"/"+packing, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "corpus") // the name says nothing
					require.NoError(t, os.WriteFile(path, pack(t, []byte(c.content)), 0o644))
					corpus, done, err := open(path)
					require.NoError(t, err)
					require.Equal(t, c.want, passagesOf(t, corpus))
					i, ok := corpus.Index(c.want[len(c.want)-1].ID)
					require.True(t, ok)
					require.Equal(t, len(c.want)-1, i)
					require.NoError(t, done())
				})
			}
		}
	}
}

var packings = map[string]func(*testing.T, []byte) []byte{
	"plain": func(_ *testing.T, data []byte) []byte { return data },
	"gzip":  gzipped,
	"gzip in two members": func(t *testing.T, data []byte) []byte {
		return append(gzipped(t, data[:len(data)/2]), gzipped(t, data[len(data)/2:])...)
	},
	"zstd": func(t *testing.T, data []byte) []byte {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b)
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return b.Bytes()
	},
}

func gzipped(t *testing.T, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestACorpusThatCannotBeReadSaysWhatItIsAndWhatToDo(t *testing.T) {
	good := `{"_id":"a","text":"one fish"}` + "\n"
	for name, c := range map[string]struct{ content, want string }{
		"a name twice": {
			good + `{"_id":"b","text":"x","text":"y"}`,
			`:2: the name "text" occurs twice in one object`,
		},
		"a name of none twice": {`{"_id":"b","text":"x","m":{"a":1,"a":2}}`, `:1: "/m": the name "a" occurs twice`},
		"another case alone": {
			good + `{"_id":"b","TEXT":"y"}`,
			`:2: no "text", but "TEXT": names are case-sensitive and must match exactly; rename "TEXT" to "text"`,
		},
		"an id in another case": {`{"_ID":"b","text":"y"}`, `:1: no "_id", but "_ID"`},
		"a dotless i":           {`{"_\u0131d":"b","text":"y"}`, `:1: no "_id", but "_ıd"`},
		"Pyserini": {
			`{"id":"d1","contents":"one fish"}`,
			`:1: no "_id": "id" and "contents" are Pyserini's names: rename them to "_id" and "text"`,
		},
		"half of Pyserini":      {`{"_id":"d1","contents":"one fish"}`, `:1: no "text", but "contents"`},
		"an id of another name": {`{"id":"d1","text":"one fish"}`, `:1: no "_id", but "id"`},
		"no id":                 {`{"text":"one fish"}`, `:1: no "_id"`},
		"an empty id":           {`{"_id":"","text":"one fish"}`, `:1: "_id" is empty`},
		"a fraction as an id": {
			good + `{"_id":1.0,"text":"x"}`,
			`:2: "/_id": the number 1.0 where an id is wanted: write the id as a string, or as an integer`,
		},
		"an exponent":        {`{"_id":1e3,"text":"x"}`, `:1: "/_id": the number 1e3 where an id is wanted`},
		"true as an id":      {`{"_id":true,"text":"x"}`, `:1: "/_id": true where an id is wanted`},
		"null as an id":      {`{"_id":null,"text":"x"}`, `:1: "/_id": null where an id is wanted`},
		"a list as an id":    {`{"_id":["a"],"text":"x"}`, `:1: "/_id": an array where an id is wanted`},
		"a number as a text": {`{"_id":"a","text":7}`, `:1: "/text": a number where a string is wanted`},
		"an array": {
			`[{"_id":"a","text":"one"},` + "\n" + `{"_id":"b","text":"two"}]`,
			`:1: an array where an object is wanted: is the file a JSON array?`,
		},
		"an array over lines": {
			"[\n" + good + "]", `is the file a JSON array? JSON Lines has one object a line (jq -c '.[]' FILE)`,
		},
		"objects over lines": {
			"{\n  \"_id\": \"a\",\n  \"text\": \"x\"\n}",
			`does a value go over several lines? JSON Lines has one whole object a line (jq -c . FILE)`,
		},
		"CSV": {
			"id,title,text\n1,a,b",
			`:1: malformed JSON: invalid character 'i' at start of value: is the file CSV?`,
		},
		"TSV":   {"1\tone fish\n2\ttwo", `is the file TSV?`},
		"HTML":  {"<!DOCTYPE html><html>", `is the file HTML or XML?`},
		"words": {"one fish", `is the file JSON Lines? JSON Lines has one object a line`},
		"NaN": {
			`{"_id":"a","title":NaN,"text":"x"}`,
			`:1: malformed JSON at "/title": JSON has no NaN and no Infinity; write null or leave the name out`,
		},
		"half a surrogate pair": {`{"_id":"a","text":"one \ud83d fish"}`, `:1: malformed JSON at "/text": `},
		"Latin-1":               {"{\"_id\":\"a\",\"text\":\"caf\xe9\"}", `:1: invalid UTF-8: write the file in UTF-8`},
		"UTF-16": {
			"\xff\xfe" + utf16LE(good),
			`text in UTF-16: write it in UTF-8 (iconv -f UTF-16 -t UTF-8 FILE)`,
		},
		"UTF-16 without a mark": {utf16LE(good), `text in UTF-16LE`},
		"a pointer of Git LFS": {
			"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
			`a Git LFS pointer, not the file itself: run "git lfs pull"`,
		},
		"Parquet": {"PAR1\x15\x04", `a Parquet file: write it as text first`},
		"zip": {
			"PK\x03\x04\x14\x00",
			`a ZIP archive, which PyTorch's .bin and .pt files are too: unpack it first; gzip and zstd are read as they are`,
		},
		"xz":          {"\xfd7zXZ\x00\x00", `compressed with xz: unpack it first`},
		"nothing":     {"", `no records: the file is empty or blank; want JSON Lines, one object per line`},
		"blank lines": {"\n \r\n\n", `no records: the file is empty or blank`},
		"cut gzip": {
			string(gzipped(t, []byte(strings.Repeat(good, 3)))[:40]),
			`gzip: the file ends too early: it was cut, or there are bytes behind its end; fetch it again`,
		},
		"gzip in gzip": {string(gzipped(t, gzipped(t, []byte(good)))), `packed twice`},
		"a tar archive": {
			string(gzipped(t, append(make([]byte, 257), "ustar\x0000"...))),
			`a tar archive: unpack it`,
		},
		"a bomb": {
			string(gzipped(t, bytes.Repeat([]byte(strings.Repeat(" ", 1023)+"\n"), 70<<10))),
			`no text packs so well`,
		},
	} {
		for reader, open := range corpusReaders {
			t.Run(name+"/"+reader, func(t *testing.T) {
				temporary := t.TempDir()
				t.Setenv("TMPDIR", temporary)
				path := write(t, c.content)
				_, _, err := open(path)
				require.ErrorContains(t, err, path+":")
				require.ErrorContains(t, err, c.want)
				require.Less(t, len(err.Error()), 600)
				left, err := os.ReadDir(temporary)
				require.NoError(t, err)
				require.Empty(t, left, "temporary files")
			})
		}
	}
}

func utf16LE(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

func TestQueriesAndListsAreReadAsTheyAreWritten(t *testing.T) {
	for packing, pack := range packings {
		t.Run(packing, func(t *testing.T) {
			queries := write(t,
				string(pack(t,
					[]byte(`{"_id":1,"text":"kettle","TYPE":"x","Source":"zz","source":7}`+"\n"+`{"_id":"q2","text":"tray","Text":"other"}`))))
			got, err := retort.LoadQueries(queries)
			require.NoError(t, err)
			require.Equal(t, []retort.Query{{ID: "1", Text: "kettle", Source: "7"}, {ID: "q2", Text: "tray"}}, got)

			lists := write(t,
				string(pack(t,
					[]byte(`{"query":{"_id":1,"text":"kettle","TEXT":"x"},"ids":[12,"b"],"scores":[1,0.5],"Weight":3,"IDS":[1]}`))))
			read, err := retort.LoadLists(lists)
			require.NoError(t, err)
			require.Equal(t, []retort.List{{
				Query: retort.Query{ID: "1", Text: "kettle"}, IDs: []string{"12", "b"}, Scores: []float64{1, 0.5},
			}}, read)
		})
	}
	for content, want := range map[string]string{
		`{"_id":"q","Text":"x"}`:                       `:1: no "text", but "Text"`,
		`{"_id":"q","query":"x"}`:                      `:1: no "text", but "query"`,
		`{"qid":"q","text":"x"}`:                       `:1: no "_id", but "qid"`,
		`{"_id":"q","text":null}`:                      `:1: query "q" has no text`,
		`{"_id":"q","text":"x","source":1.5}`:          `:1: "/source": the number 1.5 where an id is wanted`,
		`{"_id":"q","text":"x","type":"a","type":"b"}`: `:1: the name "type" occurs twice`,
		"query-id\tcorpus-id\tscore\nq\td\t1":          `is the file TSV?`,
	} {
		_, err := retort.LoadQueries(write(t, content))
		require.ErrorContains(t, err, want)
	}
	for content, want := range map[string]string{
		`{"query":{"_id":"q","text":"x"},"ids":["a",2.5]}`:          `:1: "/ids/1": the number 2.5 where an id is wanted`,
		`{"Query":{"_id":"q","text":"x"},"ids":["a"]}`:              `:1: no "query", but "Query"`,
		`{"query":{"_id":"q","text":"x"},"IDs":["a"]}`:              `:1: no "ids", but "IDs"`,
		`{"query":{"_id":"q","text":"x"},"ids":["a"],"Scores":[1]}`: `:1: no "scores", but "Scores"`,
		`{"query":{"_id":"q","text":"x"},"ids":["a"],"ids":["b"]}`:  `:1: the name "ids" occurs twice`,
		`{"query":{"_id":"q","text":"x","text":"y"},"ids":["a"]}`:   `:1: "/query": the name "text" occurs twice`,
	} {
		_, err := retort.LoadLists(write(t, content))
		require.ErrorContains(t, err, want)
	}
}

// FuzzReaders: whatever the bytes are, the readers agree, and what they read is written and read back as the same.
func FuzzReaders(f *testing.F) {
	f.Add([]byte(`{"_id":"a","text":"one fish","TEXT":"x"}` + "\n" + `{"_id":12,"title":null,"text":""}`))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Add([]byte("\xff\xfe{\x00"))
	f.Add([]byte("[{\"_id\":\"a\"}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "x")
		require.NoError(t, os.WriteFile(path, data, 0o644))
		loaded, err := retort.LoadCorpus(path)
		opened, openErr := retort.OpenCorpus(context.Background(), path)
		require.Equal(t, err == nil, openErr == nil, "%v, %v", err, openErr)
		_, _ = retort.LoadQueries(path)
		_, _ = retort.LoadLists(path)
		if err != nil {
			return
		}
		defer opened.Close()
		require.Equal(t, passagesOf(t, loaded), passagesOf(t, opened))
		again := filepath.Join(dir, "again.jsonl")
		require.NoError(t, retort.SaveCorpus(again, loaded))
		read, err := retort.LoadCorpus(again)
		require.NoError(t, err)
		require.Equal(t, loaded, read)
	})
}
