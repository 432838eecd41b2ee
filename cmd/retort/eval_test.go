package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/eval"
)

// rank2 is nDCG with the only relevant passage on rank 2.
var rank2 = 1 / math.Log2(3)

func TestEvalPrintsTheMeansOverTheJudgedQueries(t *testing.T) {
	dir := collection(t, nil)
	want := "nDCG@10  0.5436\nR@100    0.6667\nMAP      0.5000\nMRR@10   0.5000\nqueries  3\n"
	require.Equal(t, want, succeed(t, "eval", "-collection", dir, "-bm25"))
	require.Equal(t, want, succeed(t, "eval", "-corpus", dir+"/corpus.jsonl", "-queries", dir+"/queries.jsonl",
		"-qrels", dir+"/qrels/test.tsv", "-bm25"))
	require.Equal(t, "P@1      0.3333\nMAP      0.5000\nqueries  3\n",
		succeed(t, "eval", "-collection", dir, "-bm25", "-metrics", "precision@1, map"))
}

func TestEvalJSONHasTheFieldsOfTheReport(t *testing.T) {
	var got map[string]float64
	out := succeed(t, "eval", "-collection", collection(t, nil), "-bm25", "-json")
	require.NoError(t, json.Unmarshal([]byte(out), &got), out)
	require.InDeltaMapValues(t, map[string]float64{
		"ndcg@10": (1 + rank2) / 3, "recall@100": 2. / 3, "map": .5, "mrr@10": .5, "queries": 3,
	}, got, 1e-12)
}

func TestEvalWritesARunThatScoresTheSame(t *testing.T) {
	dir := collection(t, nil)
	path := filepath.Join(dir, "bm25.trec")
	succeed(t, "eval", "-collection", dir, "-bm25", "-run", path)
	run, err := eval.LoadRun(path)
	require.NoError(t, err)
	require.Len(t, run, 2, "q3 has no hits, the last query no judgements")
	qrels, err := eval.LoadQrels(filepath.Join(dir, "qrels/test.tsv"))
	require.NoError(t, err)
	report, err := eval.Evaluate(qrels, run)
	require.NoError(t, err)
	require.InDelta(t, (1+rank2)/3, report.Mean(eval.NDCG(10)), 1e-12)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, `^q1 Q0 scan 1 \S+ bm25\nq2 Q0 split 1 `, string(text))
}

func TestEvalLeavesAQueryOutOfItsOwnRanking(t *testing.T) {
	uniforms, lunch := "school uniforms save families money", "longer lunch breaks help pupils learn"
	dir := collection(t, map[string]string{
		"corpus.jsonl": `{"_id":"t1","text":"` + uniforms + `"}
{"_id":"t2","text":"uniforms cost families more money"}
{"_id":"t3","text":"` + lunch + `"}
{"_id":"t4","text":"lunch breaks steal time from pupils"}
{"_id":"t5","text":"pupils sleep"}
`,
		"queries.jsonl": `{"_id":"t1","text":"` + uniforms + `"}` + "\n" + `{"_id":"t3","text":"` + lunch + `"}` + "\n" +
			`{"_id":"t5","text":"lunch"}` + "\n",
		"qrels/test.tsv": "query-id\tcorpus-id\tscore\nt1\tt2\t1\nt3\tt4\t1\nt5\tt4\t1\n",
		"own.trec":       "t1 Q0 t1 1 9 x\nt1 Q0 t2 2 8 x\nt3 Q0 t3 1 9 x\nt3 Q0 t4 2 8 x\nt5 Q0 t4 1 9 x\n",
	})
	args := []string{"eval", "-collection", dir, "-bm25", "-metrics", "precision@1"}
	code, stdout, stderr := cli(t.Context(), append(args, "-run", dir+"/out.trec")...)
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, "P@1      1.0000\nqueries  3\nignored  2 passages that are the query itself\n", stdout)
	require.Contains(t, stderr, "2 of the 3 queries are also passages of the corpus")
	require.Contains(t, stderr, "1 queries have the id of a passage with another text")
	run := loadRun(t, dir+"/out.trec")
	require.Equal(t, "t2", run["t1"][0].ID)
	require.NotContains(t, readString(t, dir+"/out.trec"), "t1 Q0 t1")

	require.Equal(t, "P@1      0.3333\nqueries  3\n", succeed(t, append(args, "-ignore-identical-ids=false")...))
	require.Contains(t, succeed(t, append(args, "-ignore-identical-ids")...), "ignored  3 passages")
	out := succeed(t, append(args, "-json")...)
	require.JSONEq(t, `{"precision@1":1,"queries":3,"ignored":2}`, out)
	requireDocumented(t, []byte(`{"queries":3,"ignored":2,"unreachable":1,"unasked":1}`))
	require.Regexp(t, `P@1 +1.0000 +1.0000 +\+0.0000`, succeed(t, append(args, "-compare", dir+"/own.trec")...),
		"the other run is stripped too")
	code, _, stderr = cli(t.Context(), append(args, "-ignore-identical-ids=maybe")...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "maybe")
}

func TestEvalCountsWhatIsJudgedAndMissing(t *testing.T) {
	dir := collection(t, map[string]string{"qrels/test.tsv": "q1\tscan\t1\nq1\tgone\t1\nq9\tscan\t1\n"})
	args := []string{"eval", "-collection", dir, "-bm25", "-metrics", "recall@100"}
	code, stdout, stderr := cli(t.Context(), args...)
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, "R@100        0.5000\nqueries      1\nunreachable  1 judged passages that the corpus lacks\nunasked      1 judged queries that the queries lack\n", stdout)
	require.Contains(t, stderr, `1 judged passages are not in the corpus ("gone")`)
	require.Contains(t, stderr, `1 judged queries are not among the queries ("q9")`)
	require.JSONEq(t, `{"recall@100":0.5,"queries":1,"unreachable":1,"unasked":1}`, succeed(t, append(args, "-json")...))
	code, _, stderr = cli(t.Context(), append(args, "-strict")...)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, `("gone")`)
	require.Contains(t, stderr, `("q9")`)
}

func TestEvalComparesThisRunMinusTheOther(t *testing.T) {
	dir := collection(t, nil)
	// The two differences are rank2-1 and -1: of their four assignments of signs, two are as far from 0.
	args := []string{"eval", "-collection", dir, "-bm25", "-compare", dir + "/other.trec", "-metrics", "ndcg@10"}
	require.Regexp(t, `this run +other.trec +difference +95% interval +p
nDCG@10 +0.5436 +1.0000 +-0.4564 +-1.0000 to \+0.0000 +0.5
queries +3
$`, succeed(t, args...))

	var got struct {
		NDCG    float64 `json:"ndcg@10"`
		Queries int     `json:"queries"`
		Compare struct {
			Run         string
			Means       map[string]float64
			Differences map[string]eval.Comparison
		}
	}
	out := succeed(t, append(args, "-json")...)
	require.NoError(t, json.Unmarshal([]byte(out), &got), out)
	require.InDelta(t, (1+rank2)/3, got.NDCG, 1e-12)
	require.Equal(t, 3, got.Queries)
	require.Equal(t, dir+"/other.trec", got.Compare.Run)
	require.Equal(t, 1., got.Compare.Means["ndcg@10"])
	d := got.Compare.Differences["ndcg@10"]
	require.InDelta(t, (rank2-2)/3, d.Delta, 1e-12)
	require.Equal(t, .5, d.P)
	require.Equal(t, 2, d.Worse)
}

func TestEvalSaysWhenTheOtherRunLacksQueries(t *testing.T) {
	dir := collection(t, map[string]string{"short.trec": "q1 Q0 scan 1 9 a\n"})
	code, _, stderr := cli(t.Context(), "eval", "-collection", dir, "-bm25", "-compare", dir+"/short.trec")
	require.Equal(t, exitOK, code)
	require.Contains(t, stderr, "short.trec lacks 2 of the 3 judged queries")
}

func TestBM25SettingsReachTheIndex(t *testing.T) {
	dir := collection(t, map[string]string{
		"queries.jsonl": `{"_id":"q1","text":"scanner"}` + "\n",
		"qrels/dev.tsv": "q1\tscan\t1\n",
	})
	eval := func(flags ...string) string {
		return succeed(
			t,
			append([]string{"eval", "-collection", dir, "-split", "dev", "-bm25", "-metrics", "mrr@10"}, flags...)...)
	}
	require.Contains(t, eval("-analyzer", "english"), "MRR@10   0.0000", "bufio.Scanner is one word")
	require.Contains(t, eval("-analyzer", "auto"), "MRR@10   0.0000", "the passages are English")
	require.Contains(t, eval("-analyzer", "code"), "MRR@10   1.0000")

	score := func(flags ...string) float32 {
		path := filepath.Join(t.TempDir(), "run.trec")
		eval(append(flags, "-analyzer", "code", "-run", path)...)
		run := loadRun(t, path)
		return run["q1"][0].Score
	}
	idf := math.Log(1 + (4-1+.5)/(1+.5))
	require.InDelta(t, idf, score("-k1", "0", "-b", "0"), 1e-6, "without k1 a term counts as its idf")
	require.InDelta(t, idf/(1+2), score("-k1", "2", "-b", "0"), 1e-6)
}

func loadRun(t *testing.T, path string) eval.Run {
	t.Helper()
	run, err := eval.LoadRun(path)
	require.NoError(t, err)
	return run
}

// Another program computed the figures by Lucene's formula with its English analysis (title and text, k1 .9 b .4); the folder holds the BEIR collections.
func TestEvalOfJudgedCollections(t *testing.T) {
	dir := os.Getenv("RETORT_COLLECTIONS")
	if dir == "" {
		t.Skip("set RETORT_COLLECTIONS to the folder of scifact, nfcorpus and cranfield in BEIR layout")
	}
	for name, want := range map[string]float64{"scifact": .6777, "nfcorpus": .3200, "cranfield": .3420, "arguana": .4018} {
		if _, err := os.Stat(filepath.Join(dir, name)); name == "arguana" && err != nil {
			continue
		}
		var got map[string]float64
		out := succeed(t, "eval", "-collection", filepath.Join(dir, name), "-bm25", "-json")
		require.NoError(t, json.Unmarshal([]byte(out), &got))
		require.InDelta(t, want, got["ndcg@10"], .005, name)
	}
}

func TestBM25DetectsTheLanguageOfTheCorpus(t *testing.T) {
	dir := collection(t, map[string]string{
		"corpus.jsonl": `{"_id":"a","text":"Die Häuser in der Straße sind alt und werden von der Stadt verkauft."}
{"_id":"b","text":"Der Hund und die Katze schlafen in dem Garten, wenn die Sonne scheint."}
{"_id":"c","text":"Mit dem Zug ist man in einer Stunde bei der Messe, mit dem Auto nicht."}
`,
		"queries.jsonl": `{"_id":"q1","text":"Haus"}` + "\n",
		"qrels/dev.tsv": "q1\ta\t1\n",
	})
	eval := func(flags ...string) (stdout, stderr string) {
		code, stdout, stderr := cli(t.Context(), append([]string{
			"eval", "-collection", dir, "-split", "dev", "-bm25", "-metrics", "mrr@10",
		}, flags...)...)
		require.Zero(t, code, stderr)
		return stdout, stderr
	}
	stdout, stderr := eval()
	require.Contains(t, stdout, "MRR@10   1.0000")
	require.Contains(t, stderr, "languages: german 100%: analyzer german")
	stdout, stderr = eval("-analyzer", "english")
	require.Contains(t, stdout, "MRR@10   0.0000", "Porter's stemmer does not know Häuser")
	require.NotContains(t, stderr, "languages")
}
