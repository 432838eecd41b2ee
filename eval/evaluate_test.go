package eval

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEvaluateCountsMissingQueriesAsZeroAndIgnoresUnjudgedOnes(t *testing.T) {
	qrels := Qrels{"answered": {"a": 1}, "missing": {"a": 1}, "nothing relevant": {"a": 0}, "no judgements": {}}
	run := Run{"answered": {{"a", 1}}, "nothing relevant": {{"a", 1}}, "unjudged": {{"a", 1}}}
	report, err := Evaluate(qrels, run, defaultMetrics()...)
	require.NoError(t, err)
	require.Equal(t, []string{"answered", "missing", "no judgements", "nothing relevant"}, report.Queries)
	for _, m := range defaultMetrics() {
		require.Equal(t, []float64{1, 0, 0, 0}, report.Of(m), m.Name)
		require.Equal(t, .25, report.Mean(m), m.Name)
	}
}

func TestEvaluateRanksEqualScoresByDescendingID(t *testing.T) {
	run := Run{"q": {{"a", 1}, {"b", 1}, {"ab", 1}, {"low", .5}}}
	for id, rank := range map[string]float64{"b": 1, "ab": 2, "a": 3, "low": 4} {
		report, err := Evaluate(Qrels{"q": {id: 1}}, run, MRR(10))
		require.NoError(t, err)
		require.Equal(t, 1/rank, report.Mean(MRR(10)), id)
	}
	require.Equal(t, "a", run["q"][0].ID, "the run is only read")
}

func TestNDCGGainIsTheGrade(t *testing.T) {
	report, err := Evaluate(Qrels{"q": {"a": 3, "b": 1}}, Run{"q": {{"b", 2}, {"a", 1}}}, NDCG(2))
	require.NoError(t, err)
	log3 := math.Log2(3)
	require.InDelta(t, (1+3/log3)/(3+1/log3), report.Mean(NDCG(2)), 1e-15)
}

func TestEvaluateTakesMetricsOfTheUsers(t *testing.T) {
	success := Metric{Name: "success", Value: func(r Ranking) float64 {
		for _, grade := range r.Grades {
			if grade > 0 {
				return 1
			}
		}
		return 0
	}}
	report, err := Evaluate(Qrels{"p": {"a": 1}, "q": {"a": 1}}, Run{"p": {{"a", 1}}, "q": {{"b", 1}}}, success)
	require.NoError(t, err)
	require.Equal(t, .5, report.Mean(success))
}

func TestReportPrintsMeansInOrder(t *testing.T) {
	report, err := Evaluate(Qrels{"p": {"a": 1}, "q": {"a": 1}}, Run{"p": {{"a", 1}}})
	require.NoError(t, err)
	want := `{"ndcg@10":0.5,"recall@100":0.5,"map":0.5,"mrr@10":0.5,"queries":2}`
	for _, v := range []any{report, *report} {
		got, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

func TestReportWithoutTheMetricSaysSo(t *testing.T) {
	report, err := Evaluate(Qrels{"p": {"a": 1}}, Run{}, averagePrecision())
	require.NoError(t, err)
	require.Nil(t, report.Of(NDCG(10)))
	require.True(t, math.IsNaN(report.Mean(NDCG(10))))
}

func TestEvaluateRefusesBadInput(t *testing.T) {
	qrels := Qrels{"q": {"a": 1}}
	nan := Metric{Name: "nan", Value: func(Ranking) float64 { return math.NaN() }}
	for name, c := range map[string]struct {
		qrels   Qrels
		run     Run
		metrics []Metric
		want    string
	}{
		"no judgements":       {nil, Run{}, nil, "no judgements"},
		"NaN score":           {qrels, Run{"q": {{"a", float32(math.NaN())}}}, nil, `query "q": passage "a" has score NaN`},
		"infinite score":      {qrels, Run{"q": {{"a", float32(math.Inf(-1))}}}, nil, `has score -Inf`},
		"repeated passage":    {qrels, Run{"q": {{"a", 2}, {"b", 1}, {"a", 1}}}, nil, `query "q": passage "a" occurs twice`},
		"rank 0":              {qrels, Run{}, []Metric{NDCG(0)}, "metric ndcg@0"},
		"metric without name": {qrels, Run{}, []Metric{{}}, "cannot be named"},
		"metric named as the count": {
			qrels, Run{}, []Metric{{Name: "queries", Value: averagePrecision().Value}}, `cannot be named "queries"`,
		},
		"metric twice":       {qrels, Run{}, []Metric{averagePrecision(), averagePrecision()}, "map is given twice"},
		"metric of no value": {qrels, Run{}, []Metric{nan}, `query "q": metric nan is NaN`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Evaluate(c.qrels, c.run, c.metrics...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestParseMetricReadsTheNamesThatArePrinted(t *testing.T) {
	for _, m := range append(defaultMetrics(), precision(5), NDCG(1)) {
		got, err := ParseMetric(m.Name)
		require.NoError(t, err)
		require.Equal(t, m.Name, got.Name)
		require.NotNil(t, got.Value)
	}
	for _, name := range []string{"", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "map@10", "@3", "bleu@4"} {
		_, err := ParseMetric(name)
		require.ErrorContains(t, err, "want ndcg@K", name)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	qrels, run := bigRun(1000, 1000)
	for b.Loop() {
		if _, err := Evaluate(qrels, run); err != nil {
			b.Fatal(err)
		}
	}
}

// bigRun returns a run in the order of its scores, as systems write it, with 20 judged passages a query.
func bigRun(queries, hits int) (Qrels, Run) {
	random := rand.New(rand.NewPCG(1, 1))
	qrels, run := Qrels{}, Run{}
	for i := range queries {
		query := fmt.Sprint("query-", i)
		qrels[query] = map[string]int{}
		for j := range hits {
			run[query] = append(run[query], Hit{fmt.Sprint("passage-", 37*i+j), float32(random.NormFloat64())})
		}
		rankHits(run[query])
		for range 20 {
			qrels[query][fmt.Sprint("passage-", 37*i+random.IntN(2*hits))] = random.IntN(4)
		}
	}
	return qrels, run
}

func TestAListRankedByItsScoresAgreesWithTrecEval(t *testing.T) {
	ndcg := func(scores []float64, grades, missed []int) float64 {
		return NDCG(10).Value(RankedBy(scores, grades, missed))
	}
	// pytrec_eval ndcg_cut_10 of qrels a 2, b 0, c 1, d 3, x 1 and a run of a .9, b .8, c .7, d .1
	require.InDelta(t, 0.7302847060846005, ndcg([]float64{.9, .8, .7, .1}, []int{2, 0, 1, 3}, []int{1}), 1e-12)
	require.Zero(t, ndcg([]float64{1, 2}, []int{0, -1}, nil))
	require.Equal(t, []int{1, 0, 2}, RankedBy([]float64{5, 5, 1}, []int{1, 0, 2}, nil).Grades, "of equals the earlier first")
}
