package eval

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestReadQrelsKnowsBothFormats(t *testing.T) {
	want := Qrels{"q1": {"a": 2, "b": 0}, "q2": {"a": -1}}
	for name, text := range map[string]string{
		"BEIR":                     "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\ta\t-1\n",
		"BEIR without header":      "q1\ta\t2\nq1\tb\t0\nq2\ta\t-1",
		"BEIR with blanks":         "query-id corpus-id score\nq1 a 2\nq1 b 0\nq2 a -1\n",
		"BEIR, CRLF, BOM, blank":   "\ufeffquery-id\tcorpus-id\tscore\r\n\r\nq1\ta\t2\r\nq1\tb\t0\r\nq2\ta\t-1\r\n",
		"other words for a header": "qid\tdocid\trelevance\r\nq1\ta\t2\r\nq1\tb\t0\r\nq2\ta\t-1\r\n",
		"a header of four columns": "query_id 0 doc_id rel\nq1 0 a 2\nq1 0 b 0\nq2 0 a -1\n",
		"floating-point grades":    "q\tp\tlabel\nq1\ta\t2.0\nq1\tb\t0.0\nq2\ta\t-1.00\n",
		"TREC":                     "q1 0 a 2\nq1 0 b 0\nq2 0 a -1\n",
		"TREC, tabs, CRLF, padded": "q1\tQ0\ta\t2\r\n  q1 0   b 0 \r\nq2\t0\ta\t-1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readQrels(strings.NewReader(text), "qrels")
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestReadQrelsKeepsSpacesInIDsBetweenTabs(t *testing.T) {
	got, err := readQrels(strings.NewReader("q 1\tMain Page\t1\n"), "qrels")
	require.NoError(t, err)
	require.Equal(t, Qrels{"q 1": {"Main Page": 1}}, got)
	got, err = readQrels(strings.NewReader("q 1\t0\tMain Page\t1\nq2\t0\ta\t2\n"), "qrels")
	require.NoError(t, err)
	require.Equal(t, Qrels{"q 1": {"Main Page": 1}, "q2": {"a": 2}}, got)
}

func TestReadQrelsRefusesBadInput(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":                  {"", "qrels: no judgements"},
		"only a header":          {"query-id\tcorpus-id\tscore\n", "qrels: no judgements"},
		"two columns":            {"q a\n", "qrels:1: 2 columns: want 3"},
		"five columns":           {"q 0 a 1 x\n", "qrels:1: 5 columns"},
		"CSV":                    {"query-id,corpus-id,score\nq,a,1\n", "1 columns: want 3 (query-id, corpus-id, score) or 4 (query-id, iteration, passage-id, grade), the same in every line: is the file CSV?"},
		"JSON":                   {`{"q":{"a":1}}`, "is the file JSON?"},
		"ends of lines of a Mac": {"q\ta\t1\rq\tb\t1\r", "LF or CRLF, not with CR alone"},
		"format changes":         {"q 0 a 1\nq b 1\n", "qrels:2: 3 columns"},
		"format changes to TREC": {"q\ta\t1\nq\t0\tb\t1\n", "qrels:2: 4 columns"},
		"grade no number":        {"q\ta\t1\nq\tb\thigh\n", `qrels:2: grade "high" is not an integer`},
		"grade a fraction":       {"q a 0.5\n", `qrels:1: grade "0.5" is not an integer`},
		"grade too large":        {"q a 99999999999\n", `qrels:1: grade "99999999999"`},
		"header further down":    {"q\ta\t1\nquery-id\tcorpus-id\tscore\n", `qrels:2: grade "score"`},
		"grade with a typo":      {"q\ta\t1O\nq\tb\t1\n", `qrels:1: grade "1O"`},
		"no grade, no header":    {"q\ta\thigh\nq\tb\t1\n", `qrels:1: grade "high"`},
		"grades below 1":         {"q\ta\t1.5\n", `qrels:1: grade "1.5"`},
		"a second header":        {"qid\tdid\trel\nq\ta\t1\nqid\tdid\trel\n", `qrels:3: grade "rel"`},
		"judged twice":           {"q\ta\t1\n\nq\ta\t1\n", `qrels:3: query "q" has two judgements of passage "a"`},
		"empty passage id":       {"q\ta\t1\nq\t\t1\n", "qrels:2: empty query or passage id"},
		"invalid UTF-8":          {"q\ta\t1\nq\t\xff\t1\n", "qrels:2: invalid UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readQrels(strings.NewReader(c.text), "qrels")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestSavedQrelsComeBackWhole(t *testing.T) {
	qrels := Qrels{"q 2": {"a": 1}, "q1": {"b": 3, "a": -1, "Main Page": 0}}
	path := filepath.Join(t.TempDir(), "test.tsv")
	require.NoError(t, SaveQrels(path, qrels))
	got, err := LoadQrels(path)
	require.NoError(t, err)
	require.Equal(t, qrels, got)
}

func TestWriteQrelsOrdersLinesAndRefusesBadIDs(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, writeQrels(&b, Qrels{"q2": {"a": 1}, "q1": {"b": 3, "a": -1}}))
	require.Equal(t, "query-id\tcorpus-id\tscore\nq1\ta\t-1\nq1\tb\t3\nq2\ta\t1\n", b.String())
	for id, want := range map[string]string{"": "empty", "a\tb": "contains white space", "a\n": "white space", "\xff": "UTF-8"} {
		require.ErrorContains(t, writeQrels(&b, Qrels{id: {"a": 1}}), want)
		require.ErrorContains(t, writeQrels(&b, Qrels{"q": {id: 1}}), want)
	}
}

func TestCheckNamesUnknownPassagesAndQueries(t *testing.T) {
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a"}, {ID: "b"}})
	require.NoError(t, err)
	queries := []retort.Query{{ID: "q", Text: "x"}}
	require.NoError(t, Qrels{"q": {"a": 1, "b": 0}}.Check(corpus, queries))

	err = Qrels{"q": {"a": 1, "z4": 1, "z1": 0, "z3": 1}, "r": {"z2": 1, "z1": 1}}.Check(corpus, queries)
	require.EqualError(t, err,
		`the qrels name 4 passages that are not in the corpus ("z1", "z2", "z3", ...): do the files belong together?`+"\n"+
			`the qrels name 1 queries that are not in the queries ("r"): do the files belong together?`)
}

func FuzzReadQrels(f *testing.F) {
	f.Add([]byte("query-id\tcorpus-id\tscore\r\nq\td e\t2\r\n"))
	f.Add([]byte("q 0 d -1\nq 0 e 3\n"))
	f.Add([]byte("\ufeffq d 1\n\nq e 0"))
	f.Add([]byte("q\t\xff\t1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		qrels, err := readQrels(bytes.NewReader(text), "qrels")
		if err != nil {
			require.ErrorContains(t, err, "qrels:")
			return
		}
		require.NotEmpty(t, qrels)
		var written bytes.Buffer
		if err := writeQrels(&written, qrels); err != nil {
			require.ErrorContains(t, err, "contains white space")
			return
		}
		again, err := readQrels(&written, "again")
		require.NoError(t, err)
		require.Equal(t, qrels, again)
	})
}
