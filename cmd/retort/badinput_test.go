package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bad input gives one clear line, which names what is wrong and where; DIR stands for the collection's folder.
func TestBadInputIsNamed(t *testing.T) {
	corpus := collectionFiles["corpus.jsonl"]
	tiny := filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny")
	eval := "eval -bm25 -corpus DIR/corpus.jsonl -queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv"
	for _, c := range []struct {
		name  string
		files map[string]string
		args  string
		want  string
	}{
		{
			"malformed JSON",
			map[string]string{"corpus.jsonl": corpus + `{"_id":"x",` + "\n"},
			eval, "DIR/corpus.jsonl:5: malformed JSON",
		},
		{"a passage without id", map[string]string{"corpus.jsonl": corpus + `{"id":"x"}`}, eval, `DIR/corpus.jsonl:5: no "_id"`},
		{
			"a passage twice",
			map[string]string{"corpus.jsonl": corpus + `{"_id":"cut"}`},
			eval, `DIR/corpus.jsonl: record 5: id "cut" is already used by record 3`,
		},
		{
			"a query twice",
			map[string]string{"queries.jsonl": `{"_id":"q1","text":"a"}` + "\n" + `{"_id":"q1","text":"b"}`},
			eval, `DIR/queries.jsonl: record 2: id "q1" is already used by record 1`,
		},
		{"a query without text", map[string]string{"queries.jsonl": `{"_id":"q1"}`}, eval, `DIR/queries.jsonl:1: query "q1" has no text`},
		{"an empty corpus", map[string]string{"corpus.jsonl": "\n"}, eval, "DIR/corpus.jsonl: no records"},
		{"an empty corpus to search", map[string]string{"corpus.jsonl": ""}, "search -corpus DIR/corpus.jsonl -bm25 x", "DIR/corpus.jsonl: no records"},
		{
			"invalid UTF-8",
			map[string]string{"corpus.jsonl": corpus + "{\"_id\":\"x\",\"text\":\"\xff\"}"},
			eval, "DIR/corpus.jsonl:5: invalid UTF-8",
		},
		{
			"qrels of unknown passages",
			map[string]string{"qrels/test.tsv": "q1\tscan\t1\nq2\tgone\t1\n"},
			eval + " -strict", `DIR/qrels/test.tsv: the qrels name 1 passages that are not in the corpus ("gone")`,
		},
		{
			"qrels of another corpus",
			map[string]string{"qrels/test.tsv": "q1\tgone\t1\nq2\tgone\t1\n"},
			eval, `DIR/qrels/test.tsv: the qrels name 1 passages that are not in the corpus ("gone")`,
		},
		{
			"ids that a run cannot hold",
			map[string]string{"corpus.jsonl": `{"_id":"a b","text":"x"}` + "\n" +
				readString(t, collection(t, nil)+"/corpus.jsonl")},
			eval + " -run DIR/out.trec", `cannot write DIR/out.trec: passage id "a b" contains white space`,
		},
		{
			"qrels of unknown queries",
			map[string]string{"qrels/test.tsv": "q9\tscan\t1\n"},
			eval, `DIR/qrels/test.tsv: the qrels name 1 queries that are not in the queries ("q9")`,
		},
		{"malformed qrels", map[string]string{"qrels/test.tsv": "q1\tscan\t1\nq1 cut\n"}, eval, "DIR/qrels/test.tsv:2: "},
		{"empty qrels", map[string]string{"qrels/test.tsv": ""}, eval, "DIR/qrels/test.tsv: no judgements"},
		{"no such corpus", nil, strings.Replace(eval, "corpus.jsonl", "gone.jsonl", 1), "DIR/gone.jsonl: no such file"},
		{"no such queries", nil, strings.Replace(eval, "queries.jsonl", "gone.jsonl", 1), "DIR/gone.jsonl: no such file"},
		{"no such qrels", nil, strings.Replace(eval, "test.tsv", "gone.tsv", 1), "DIR/qrels/gone.tsv: no such file"},
		{"no such split", nil, "eval -bm25 -collection DIR -split dev", `DIR has no split "dev", only test`},
		{"no collection", nil, "eval -bm25 -collection DIR/qrels", "DIR/qrels is not a collection"},
		{"no such run", nil, eval + " -compare DIR/gone.trec", "DIR/gone.trec: no such file"},
		{"a malformed run", map[string]string{"bad.trec": "q1 scan 1\n"}, eval + " -compare DIR/bad.trec", "DIR/bad.trec:1: 3 columns, want 6"},
		{
			"the run of another collection",
			map[string]string{"bad.trec": "x Q0 y 1 1 z\n"},
			eval + " -compare DIR/bad.trec", "DIR/bad.trec has none of the 3 judged queries",
		},
		{"a run without a folder", nil, eval + " -run DIR/gone/out.trec", "cannot write DIR/gone/out.trec"},
		{"a run under a file", nil, eval + " -run DIR/corpus.jsonl/out.trec", "cannot write DIR/corpus.jsonl/out.trec"},
		{"a run that is a folder", nil, eval + " -run DIR/qrels", "cannot write DIR/qrels: it is a folder"},
		{"no such model", nil, "eval -collection DIR -model DIR/gone", "DIR/gone: no such file"},
		{"a model that is a file", nil, "search -corpus DIR/corpus.jsonl -model DIR/corpus.jsonl x", "DIR/corpus.jsonl"},
		{
			"a model that lacks a file", nil, "embed -model DIR/qrels -pooling mean -role query DIR/queries.jsonl -out DIR/x.npy",
			"DIR/qrels is no model folder: it has no config.json",
		},
		{
			"a model that does not say how it pools",
			map[string]string{"model/config.json": "{}"},
			"embed -model DIR/model -role query DIR/queries.jsonl -out DIR/x.npy",
			"set Options.Pooling, to mean or cls for most models (flag -pooling)",
		},
		{
			"a tokenizer that is missing",
			map[string]string{"model/config.json": readString(t, tiny+"/config.json")},
			"embed -model DIR/model -pooling mean -role query DIR/queries.jsonl -out DIR/x.npy", "DIR/model",
		},
		{
			"vectors without a folder", nil, "embed -model " + tiny + " -role query DIR/queries.jsonl -out DIR/gone/x.npy",
			"cannot write DIR/gone/x.npy",
		},
		{
			"malformed JSON to embed",
			map[string]string{"queries.jsonl": "{}\n"},
			"embed -model " + tiny + " -role query DIR/queries.jsonl -out DIR/x.npy", `DIR/queries.jsonl:1: no "_id"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := collection(t, c.files)
			before := names(t, dir)
			code, stdout, stderr := cli(t.Context(), strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
			require.Equal(t, exitFailure, code, stderr)
			require.Contains(t, strings.ReplaceAll(stderr, dir, "DIR"), c.want)
			require.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %s", stderr)
			require.True(t, strings.HasPrefix(stderr, "retort "+strings.Fields(c.args)[0]+": "), stderr)
			require.Empty(t, stdout)
			require.Equal(t, before, names(t, dir), "nothing is left behind")
		})
	}
}

func TestWrongCommandLinesAreNamed(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"eval", "-corpus is missing"},
		{"eval -corpus c -queries q -bm25", "-qrels is missing"},
		{"eval -collection d -corpus c -bm25", "-collection excludes -corpus"},
		{"eval -collection d", "give either -model DIR or -bm25"},
		{"eval -collection d -bm25 -model m", "give either -model DIR or -bm25"},
		{"eval -collection d -bm25 -metrics ndgc@10", `metric "ndgc@10": want ndcg@K`},
		{"eval -collection d -bm25 -metrics map,map", "duplicate metric map"},
		{"eval -collection d -bm25 -analyzer klingon", `-analyzer is "klingon", want auto or arabic or cjk or code or danish`},
		{"eval -collection d -bm25 -k1 -1", "-k1 is -1"},
		{"eval -collection d -bm25 -k1 NaN", "-k1 is NaN"},
		{"eval -collection d -bm25 -b 2", "-b is 2"},
		{"eval -collection d -bm25 -pooling cls", "-pooling has no effect"},
		{"eval -collection d -model m -k1 1", "-k1 has no effect"},
		{"eval -collection d -bm25 more", `unexpected argument "more"`},
		{"search -bm25 x", "-corpus is missing"},
		{"search -corpus c -bm25", "QUERY is missing"},
		{"search -corpus c -bm25 two words", `unexpected argument "words"`},
		{"search -corpus c -bm25 -k 0 x", "-k is 0"},
		{"search -corpus c -model m -threads -1 x", "-threads is -1"},
		{"search -corpus c -model m -precision fp8 x", `-precision is "fp8", want fp32 or bf16`},
		{"search -corpus c -model m -pooling middle x", `-pooling: pooling "middle" is not supported; cls, max,`},
		{"search -corpus c -model m -vectors-as int4 x", `-vectors-as is "int4", want float32 or float16 or int8 or binary`},
		{"search -corpus c -bm25 -vectors-as int8 x", "-vectors-as has no effect on this ranker"},
		{"search -corpus c -bm25 -dim 8 x", "-dim has no effect on this ranker"},
		{"embed f -role query -out o", "-model is missing"},
		{"embed -model m f -out o", "-role is missing"},
		{"embed -model m f -role query", "-out is missing"},
		{"embed -model m -role document f -out o", `-role is "document", want query or passage`},
		{"embed -model m -role query -out o", "FILE.jsonl is missing"},
		{"embed -model m -role query -query-tokens x f -out o", `invalid value "x"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, stdout, stderr := cli(t.Context(), strings.Fields(c.args)...)
			require.Equal(t, exitUsage, code, stderr)
			require.Contains(t, stderr, c.want)
			require.Contains(t, stderr, "usage: retort ")
			require.Empty(t, stdout)
		})
	}
	code, _, stderr := cli(t.Context(), "search", "-corpus", "c", "-bm25", " ")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "the query is empty")
}

func TestACommandThatIsInterruptedWritesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{
		"eval -bm25 -collection DIR -run DIR/out.trec",
		"eval -bm25 -corpus DIR/corpus.jsonl -queries DIR/queries.jsonl -qrels DIR/qrels/test.tsv -run DIR/out.trec",
		"search -bm25 -corpus DIR/corpus.jsonl line",
		"embed -model DIR -role query DIR/queries.jsonl -out DIR/x.npy",
	} {
		t.Run(args, func(t *testing.T) {
			dir := collection(t, nil)
			before := names(t, dir)
			code, stdout, stderr := cli(ctx, strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)
			require.Equal(t, exitInterrupted, code)
			require.Regexp(t, `^retort \w+: interrupted\n$`, stderr)
			require.Empty(t, stdout)
			require.Equal(t, before, names(t, dir))
		})
	}
}

func readString(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}
