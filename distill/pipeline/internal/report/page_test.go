package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/distill/pipeline/internal/report"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

// page renders d.
func page(t testing.TB, d report.Data) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.Write(&b, d))
	return b.String()
}

// words is the page's text without markup.
func words(page string) string {
	body := page[strings.Index(page, "<body>"):]
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " "))), " ")
}

func TestThePageAnswersInItsFirstLinesWhetherTheStudentGotBetter(t *testing.T) {
	mean := func(v float64) *float64 { return &v }
	set := func(c *eval.Comparison) report.QuerySet {
		return report.QuerySet{Name: "test", Metrics: []report.Metric{
			{Name: "nDCG@10", BM25: mean(0.2734), Before: mean(0.3566), Teacher: mean(0.3866), After: mean(0.3911), Difference: c},
		}}
	}
	for _, c := range []struct {
		name string
		set  report.QuerySet
		want string
	}{
		{
			"a gain", set(&eval.Comparison{Delta: 0.0345, Low: 0.0139, High: 0.0556, P: 0.00114, Better: 84, Worse: 54, N: 296}),
			"better test nDCG@10 .3566 before, .3911 after: +.0345 95% interval +.0139 to +.0556, p .0011; 84 gained, 54 lost, of 296 queries",
		},
		{
			"a loss", set(&eval.Comparison{Delta: -0.0243, Low: -0.03, High: -0.01, P: 0.00001, Better: 1, Worse: 2, N: 1809}),
			"worse test nDCG@10 .3566 before, .3911 after: −.0243 95% interval −.0300 to −.0100, p < .0001; 1 gained, 2 lost, of 1,809 queries",
		},
		{
			"chance", set(&eval.Comparison{Delta: 0.0345, Low: -0.0139, High: 0.0556, P: 0.26, N: 1}),
			"no clear difference test nDCG@10 .3566 before, .3911 after: +.0345 95% interval −.0139 to +.0556, p .26; 0 gained, 0 lost, of 1 query",
		},
		{"no comparison", set(nil), "not measured test nDCG@10 .3566 before, .3911 after Before and after"},
		{"no metric", report.QuerySet{Name: "test"}, "not measured test Before and after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, words(page(t, report.Data{Title: "x", Sets: []report.QuerySet{c.set}})), "x "+c.want)
		})
	}
}

func TestTheTableHasABM25AStudentBeforeATeacherAndAStudentAfter(t *testing.T) {
	got := words(page(t, sample(t)))
	require.Contains(t, got, "metric BM25 student before teacher student after after − before 95% interval p nDCG@10 .")
	require.Regexp(t, `R@100( \.\d{4}){4} \+\.\d{4} `, got)
	require.Regexp(t, `MRR@10( \.\d{4}){4} \+\.\d{4} `, got)
	some := 0.5
	d := report.Data{Sets: []report.QuerySet{{Name: "known items", Metrics: []report.Metric{{Name: "MRR@10", Before: &some}}}}}
	require.Contains(t, words(page(t, d)), "MRR@10 – .5000 – – – – –", "what was not measured is not 0")
}

func TestTheTenMostHelpedAndHurtStandWithTheirPassagesBeforeAndAfter(t *testing.T) {
	set := report.QuerySet{Name: "s", GainMetric: "nDCG@10"}
	for i := range 40 {
		set.Gains = append(set.Gains, report.Gain{ID: fmt.Sprintf("q%02d", i), Before: 0.4, After: 0.4 + float64(i-20)/100})
	}
	set.Gains[39].Text = "the most helped query"
	set.Gains[39].FirstAfter = 1
	set.Gains[38].FirstBefore, set.Gains[38].FirstAfter = 1034, 2
	set.Gains[39].TopBefore = []report.Hit{{ID: "p1", Text: "first before"}, {ID: "p2", Title: "the title of p2"}}
	set.Gains[39].TopAfter = []report.Hit{{ID: "p2", Score: 0.71, Grade: 2, Text: strings.Repeat("long ", 100)}, {ID: "p3"}}
	got := words(page(t, report.Data{Sets: []report.QuerySet{set}}))
	require.Regexp(t, "The most helped .*q39.*q38.*q30 .*The most hurt .*q00.*q01.*q09 ", got)
	require.NotContains(t, got, "q29")
	require.NotContains(t, got, "q10")
	require.Contains(t, got, "+.1900 the most helped query .4000 before, .5900 after · q39 First relevant passage: not found before, rank 1 after. Before 1 p1 .0000 first before 2 p2 .0000 the title of p2 "+
		"After 1 p2 relevant (2) was 2 .7100 "+strings.Repeat("long ", 48)+"… 2 p3 new here .0000")
	require.Contains(t, got, "First relevant passage: rank 1,034 before, rank 2 after.")
	require.Contains(t, got, "gained 19 as before 1 lost 20 mean gain in nDCG@10 −.0050 median gain −.0050")
	require.Contains(t, got, "The passages of this query were not recorded.")
}

func TestASetInWhichNothingChangedSaysSo(t *testing.T) {
	got := words(page(t, report.Data{Sets: []report.QuerySet{{Name: "s", Gains: []report.Gain{{ID: "a", Before: 1, After: 1}}}}}))
	require.Contains(t, got, "The most helped No query gained. The most hurt No query lost.")
}

func TestExtremesKeepTheOrderOfEqualGainsAndLeaveOutWhatStayed(t *testing.T) {
	set := report.QuerySet{Gains: []report.Gain{{After: 0.5}, {Before: 0.2}, {After: 0.5}, {}, {Before: 0.2}, {After: 0.7}}}
	helped, hurt := set.Extremes(10)
	require.Equal(t, []int{5, 0, 2}, helped)
	require.Equal(t, []int{1, 4}, hurt)
	helped, hurt = set.Extremes(1)
	require.Equal(t, []int{5}, helped)
	require.Equal(t, []int{1}, hurt)
}

func TestJudgedAgreesWithTheEvaluations(t *testing.T) {
	before := &eval.Report{Metrics: []string{"ndcg@10", "recall@100"}, Queries: []string{"a", "b"}, Values: [][]float64{{0.1, 0.3}, {1, 0}}}
	after := &eval.Report{Metrics: []string{"ndcg@10", "recall@100"}, Queries: []string{"a", "b"}, Values: [][]float64{{0.3, 0.3}, {1, 1}}}
	set, err := report.Judged(t.Context(), "s", report.Systems{Before: before, After: after, BM25: &eval.Report{
		Metrics: []string{"ndcg@10"}, Queries: []string{"a", "b"}, Values: [][]float64{{0, 0.5}},
	}}, 1)
	require.NoError(t, err)
	require.Equal(t, "nDCG@10", set.GainMetric)
	require.Equal(t, []report.Gain{{ID: "a", Before: 0.1, After: 0.3}, {ID: "b", Before: 0.3, After: 0.3}}, set.Gains)
	require.Equal(t, "R@100", set.Metrics[1].Name)
	require.InDelta(t, 0.25, *set.Metrics[0].BM25, 1e-12)
	require.Nil(t, set.Metrics[1].BM25, "not measured")
	require.Nil(t, set.Metrics[0].Teacher)
	want, err := eval.Paired(t.Context(), before.Values[0], after.Values[0], 1)
	require.NoError(t, err)
	require.Equal(t, &want, set.Metrics[0].Difference)

	_, err = report.Judged(t.Context(), "s", report.Systems{After: after}, 1)
	require.ErrorContains(t, err, `query set "s": no evaluation before or after`)
	before.Queries = []string{"a", "c"}
	_, err = report.Judged(t.Context(), "s", report.Systems{Before: before, After: after}, 1)
	require.ErrorContains(t, err, "different queries")
}

func TestASectionWithoutDataSaysWhy(t *testing.T) {
	got := words(page(t, report.Data{Missing: map[report.Section]string{report.SectionTraining: "The run stopped before training."}}))
	for _, want := range []string{
		"No judged queries were given, so there is nothing to compare by.", "No judged queries were given, so no gains are known.",
		"The run stopped before training.", "No filter ran", "No scores were recorded.", "No stage was measured.",
		"No settings were recorded.", "No hashes were recorded.",
	} {
		require.Contains(t, got, want)
	}
	require.NotContains(t, got, "Nothing was trained")
	require.NotContains(t, page(t, report.Data{}), "<svg")
	got = words(page(t, report.Data{Training: &report.Training{Steps: []report.Step{{Step: 1, Loss: 1}}}}))
	require.Contains(t, got, "There was no evaluation during training")
	got = words(page(t, report.Data{Training: &report.Training{Evaluations: []report.Evaluation{{Score: 0.5}}}}))
	require.Contains(t, got, "The loss of the steps was not recorded.")
	require.Contains(t, got, "The untouched student was kept")
	require.Contains(t, words(page(t, report.Data{Stages: []report.Stage{{Name: "x", Seconds: 1}}})), "Memory was not measured.")
}

func TestTheFunnelCountsByQueryType(t *testing.T) {
	got := words(page(t, report.Data{Funnel: sampleFunnel()}))
	require.Contains(t, got, "filter own howto sentence all why dropped given 60 2,214 2,351 4,625 "+
		"near-duplicates 60 2,202 −12 2,310 −41 4,572 −53 near-duplicate 53 round trip in top 20 60 1,890 −312 2,177 −133 4,127 −445")
}

func TestTimeMemorySettingsAndHashes(t *testing.T) {
	got := words(page(t, sample(t)))
	require.Contains(t, got, "train 2 min 28 s 66% 1.4 GiB 372 steps")
	require.Contains(t, got, "mine 48.5 s 22% 410.0 MiB 3,961 lists resumed once")
	require.Contains(t, got, "all 3 min 45 s")
	require.Contains(t, got, "train.lr 2e-4 seed 1")
	require.Contains(t, got, "corpus corpus.jsonl 2.1 MiB 3f9a3f9a")
}

// Every chart has a title, a role, and names of both axes, also where the data are as thin as they can be.
func TestEveryChartHasATitleAndAxisNames(t *testing.T) {
	one := 1e-9
	for name, d := range map[string]report.Data{
		"full": sample(t),
		"one value everywhere": {
			Sets: []report.QuerySet{{
				Name: "s", Gains: []report.Gain{{ID: "a"}},
				Metrics: []report.Metric{{Name: "m", Before: &one, After: &one, Difference: &eval.Comparison{P: 1, N: 1}}},
			}},
			Training: &report.Training{Steps: []report.Step{{Step: 1, Loss: 3}}, Evaluations: []report.Evaluation{{Score: 0}}, DevMeasure: "training step"},
			Scores: []report.Distribution{
				{Title: "t", Series: []report.Series{{Name: "x", Histogram: report.Histogram{High: 1, Counts: []int{0}}}}},
			},
			Stages: []report.Stage{{Name: "stage", PeakBytes: 1}, {Name: "seconds"}},
			Funnel: mine.Funnel{Filters: []mine.FilterCount{{Name: "f"}}},
		},
		"the largest numbers": {
			Sets: []report.QuerySet{{
				Name: "s", Gains: []report.Gain{{ID: "a", Before: -1e15, After: 1e15}, {ID: "b", Before: 1e15, After: -1e15}, {ID: "c", After: 1e-15}},
				Metrics: []report.Metric{{Name: "m", Difference: &eval.Comparison{Delta: 1e15, Low: -1e15, High: 1e15, P: 1, N: 1}}},
			}},
			Training: &report.Training{
				Steps:       []report.Step{{Step: 0, Loss: -1e15}, {Step: 1 << 40, Loss: 1e15}},
				Evaluations: []report.Evaluation{{Score: 1e15}, {Step: 1 << 40, Score: 1e15}}, BestStep: 1 << 40,
			},
			Scores: []report.Distribution{{Title: "t", Axis: "a", Series: []report.Series{
				{Histogram: report.Histogram{Low: -1e15, High: 1e15, Counts: []int{1 << 40, 0, 1 << 40}, Below: 1 << 40}},
			}}},
			Stages: []report.Stage{{Name: "x", Seconds: 1e15, PeakBytes: 1e15, Records: 1 << 40}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			svgs := regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(page(t, d), -1)
			require.GreaterOrEqual(t, len(svgs), 7)
			for _, svg := range svgs {
				require.Regexp(t, `^<svg viewBox="0 0 440 \d+" role="img" aria-label="[^"]+"><title>[^<]+</title><desc>[^<]+</desc>`, svg)
				require.Len(t, regexp.MustCompile(`<text class="axis" [^>]*>[^<]+</text>`).FindAllString(svg, -1), 2, svg)
				require.NotRegexp(t, `#[0-9A-Fa-f]{6}|NaN|Inf|font-family|<image`, svg, "colours and fonts are the page's")
				require.Equal(t, strings.Count(svg, "<g"), strings.Count(svg, "</g>"))
			}
		})
	}
}

func TestALongTrainingIsDrawnInFewPoints(t *testing.T) {
	require.Less(t, len(page(t, report.Data{Training: sampleTraining(100_000)})), 120_000)
}

func TestEqualDataGiveAnEqualPage(t *testing.T) {
	require.Equal(t, page(t, sample(t)), page(t, sample(t)))
}

// The page stands alone: nothing in it is fetched from anywhere.
func TestThePageNeedsNoNetworkAndNoScript(t *testing.T) {
	got := page(t, sample(t))
	require.NotRegexp(t, `https?:|src=|@import|url\(|<script|<link rel="stylesheet`, got)
	require.Contains(t, got, `content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`)
	require.Less(t, len(got), 400<<10)
}

// hostile texts would run a script, were they not escaped where they stand: in text, in an attribute, in a chart.
var hostile = []string{
	`<script>alert(1)</script>`,
	`</title></svg></style><script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	`javascript:alert(1){{.Title}}`,
}

// poisoned puts text at the end of every text of the sample.
func poisoned(t testing.TB, text string) report.Data {
	t.Helper()
	d := sample(t)
	n := 0
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if v.Len() > 0 { // an empty one is not shown
				v.SetString(v.String() + " " + text)
				n++
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Field(i).CanSet() {
					walk(v.Field(i))
				}
			}
		case reflect.Map:
			if v.Len() == 0 {
				return
			}
			poisonedMap := reflect.MakeMap(v.Type())
			for _, k := range v.MapKeys() {
				key := reflect.New(k.Type()).Elem()
				key.SetString(strings.TrimPrefix(k.String()+" "+text, " "))
				poisonedMap.SetMapIndex(key, v.MapIndex(k))
			}
			v.Set(poisonedMap)
		}
	}
	walk(reflect.ValueOf(&d).Elem())
	require.Greater(t, n, 500, "texts")
	return d
}

func TestTextsAreEscapedWhereverTheyStand(t *testing.T) {
	clean := page(t, sample(t))
	for _, text := range hostile {
		for name, d := range map[string]report.Data{
			"every text": poisoned(t, text),
			"why a section is missing": {Missing: map[report.Section]string{
				report.SectionQuality: text, report.SectionGains: text, report.SectionTraining: text, report.SectionFunnel: text,
				report.SectionScores: text, report.SectionCost: text, report.SectionSettings: text, report.SectionHashes: text,
			}},
		} {
			t.Run(name+" "+text, func(t *testing.T) {
				got := page(t, d)
				require.NotRegexp(t, `(?i)<script|<img|<[^>]* onerror|<[^>]* onmouseover`, stripQuoted(got))
				if strings.ContainsAny(text, `<>'"`) {
					require.NotContains(t, got, text)
				}
				require.Greater(t, strings.Count(got, "alert(1)"), 7, "the text is there")
				if name == "every text" {
					require.Equal(t, strings.Count(clean, "<svg"), strings.Count(got, "<svg"))
					require.Equal(t, strings.Count(clean, "<"), strings.Count(got, "<"), "no text became an element")
				}
			})
		}
	}
}

// stripQuoted empties attribute values in double quotes, in which an apostrophe or "onerror" is harmless.
func stripQuoted(page string) string {
	return regexp.MustCompile(`="[^"]*"`).ReplaceAllString(page, `=""`)
}

func TestWriteNamesWhatIsWrongAndWritesNothing(t *testing.T) {
	nan := math.NaN()
	for want, d := range map[string]report.Data{
		`sets[0] "s": metric "m": a mean is NaN`: {Sets: []report.QuerySet{{Name: "s", Metrics: []report.Metric{{Name: "m", After: &nan}}}}},
		`sets[0] "s": metric "m": p is 2`:        {Sets: []report.QuerySet{{Name: "s", Metrics: []report.Metric{{Name: "m", Difference: &eval.Comparison{P: 2}}}}}},
		`metric "m": difference 0, interval 1 to 0`: {
			Sets: []report.QuerySet{{Metrics: []report.Metric{{Name: "m", Difference: &eval.Comparison{Low: 1}}}}},
		},
		`query "q": +Inf before`:                  {Sets: []report.QuerySet{{Gains: []report.Gain{{ID: "q", Before: math.Inf(1)}}}}},
		`query "q": passage "p": score NaN`:       {Sets: []report.QuerySet{{Gains: []report.Gain{{ID: "q", TopAfter: []report.Hit{{ID: "p", Score: nan}}}}}}},
		`training: steps[1]: step 1, loss 0`:      {Training: &report.Training{Steps: []report.Step{{Step: 1}, {Step: 1}}}},
		`training: evaluations[0]: step 3, score`: {Training: &report.Training{Evaluations: []report.Evaluation{{Step: 3, Score: nan}}}},
		`funnel.filters[0] "f": type "t": kept -1`: {
			Funnel: mine.Funnel{Filters: []mine.FilterCount{{Name: "f", Types: map[string]mine.TypeCount{"t": {Kept: -1}}}}},
		},
		`scores[0] "d": 0 series`:                  {Scores: []report.Distribution{{Title: "d"}}},
		`scores[0] "d": series "": range 0 to 0`:   {Scores: []report.Distribution{{Title: "d", Series: []report.Series{{}}}}},
		`stages[0] "x": seconds -1`:                {Stages: []report.Stage{{Name: "x", Seconds: -1}}},
		`hashes[0] "x": bytes -1`:                  {Hashes: []report.Hash{{Name: "x", Bytes: -1}}},
		`missing: there is no section "elsewhere"`: {Missing: map[report.Section]string{"elsewhere": "x"}},
	} {
		t.Run(want, func(t *testing.T) {
			var b bytes.Buffer
			require.ErrorContains(t, report.Write(&b, d), want)
			require.Zero(t, b.Len())
		})
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteReportsThatItCouldNot(t *testing.T) {
	require.ErrorIs(t, report.Write(full{}, report.Data{}), errFull)
}

func BenchmarkWrite(b *testing.B) {
	d := sample(b)
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := report.Write(&out, d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes/page")
}
