package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/results"
)

// answers are a system's nDCG@10 of queries q1, q2, ... in a set; a negative one stands for a query that is missing.
type answers struct {
	set, system string
	ndcg        []float64
}

// saveRun writes a run folder of that name.
func saveRun(t *testing.T, dir, name string, systems ...answers) string {
	t.Helper()
	run := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(run, 0o755))
	var records []results.Record
	for _, s := range systems {
		for i, v := range s.ndcg {
			if v < 0 {
				continue
			}
			records = append(records, results.Record{
				Set: s.set, System: s.system, Query: fmt.Sprintf("q%d", i+1), Metrics: results.Metrics{"ndcg@10": v, "mrr@10": v / 2},
			})
		}
	}
	f, err := os.Create(filepath.Join(run, results.FileName))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, jsonl.Write(f, slices.Values(records)))
	return run
}

func constant(v float64, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = v
	}
	return values
}

// twoRuns returns the runs of the golden tables.
//
// judged: eight equal differences, of whose 2^8 assignments of signs two are as far from 0: p = 2/256 in all three
// lines. known items: p = 2/16; one difference, so 1; three of -.25 and one of .25, so 10/16. Holm over the six,
// sorted: 6·2/256 for the first three, 3·2/16, 2·10/16 and 1, cut at 1.
func twoRuns(t *testing.T) []string {
	dir := t.TempDir()
	return []string{
		saveRun(t, dir, "monday",
			answers{"judged", "before", constant(0, 8)}, answers{"judged", "after", constant(1, 8)},
			answers{"known items", "before", constant(.5, 4)}, answers{"known items", "after", constant(.75, 4)},
			answers{"judged", "bm25", constant(.9, 8)}),
		saveRun(t, dir, "tuesday",
			answers{"judged", "before", constant(0, 8)}, answers{"judged", "after", constant(.5, 8)},
			answers{"known items", "before", constant(.5, 4)}, answers{"known items", "after", []float64{.5, .5, .5, 1}}),
	}
}

func TestCompareTables(t *testing.T) {
	runs := twoRuns(t)
	for _, c := range []struct{ format, want string }{
		{"text", `nDCG@10, paired by query

set          run      mean    against  mean    queries  won  lost  difference  95% interval        p       p (Holm)
judged       monday   1.0000  before   0.0000  8        8    0     +1.0000     +1.0000 to +1.0000  0.0078  0.047
judged       tuesday  0.5000  before   0.0000  8        8    0     +0.5000     +0.5000 to +0.5000  0.0078  0.047
judged       tuesday  0.5000  monday   1.0000  8        0    8     -0.5000     -0.5000 to -0.5000  0.0078  0.047
known items  monday   0.7500  before   0.5000  4        4    0     +0.2500     +0.2500 to +0.2500  0.12    0.38
known items  tuesday  0.6250  before   0.5000  4        1    0     +0.1250     +0.0000 to +0.3750  1       1
known items  tuesday  0.6250  monday   0.7500  4        1    3     -0.1250     -0.2500 to +0.1250  0.62    1
`},
		{"md", `nDCG@10, paired by query

| set | run | mean | against | mean | queries | won | lost | difference | 95% interval | p | p (Holm) |
|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|
| judged | monday | 1.0000 | before | 0.0000 | 8 | 8 | 0 | +1.0000 | +1.0000 to +1.0000 | 0.0078 | 0.047 |
| judged | tuesday | 0.5000 | before | 0.0000 | 8 | 8 | 0 | +0.5000 | +0.5000 to +0.5000 | 0.0078 | 0.047 |
| judged | tuesday | 0.5000 | monday | 1.0000 | 8 | 0 | 8 | -0.5000 | -0.5000 to -0.5000 | 0.0078 | 0.047 |
| known items | monday | 0.7500 | before | 0.5000 | 4 | 4 | 0 | +0.2500 | +0.2500 to +0.2500 | 0.12 | 0.38 |
| known items | tuesday | 0.6250 | before | 0.5000 | 4 | 1 | 0 | +0.1250 | +0.0000 to +0.3750 | 1 | 1 |
| known items | tuesday | 0.6250 | monday | 0.7500 | 4 | 1 | 3 | -0.1250 | -0.2500 to +0.1250 | 0.62 | 1 |
`},
		{"csv", `metric,set,run,mean,against,against_mean,queries,won,lost,difference,low,high,p,p_holm
ndcg@10,judged,monday,1,before,0,8,8,0,1,1,1,0.0078125,0.046875
ndcg@10,judged,tuesday,0.5,before,0,8,8,0,0.5,0.5,0.5,0.0078125,0.046875
ndcg@10,judged,tuesday,0.5,monday,1,8,0,8,-0.5,-0.5,-0.5,0.0078125,0.046875
ndcg@10,known items,monday,0.75,before,0.5,4,4,0,0.25,0.25,0.25,0.125,0.375
ndcg@10,known items,tuesday,0.625,before,0.5,4,1,0,0.125,0,0.375,1,1
ndcg@10,known items,tuesday,0.625,monday,0.75,4,1,3,-0.125,-0.25,0.125,0.625,1
`},
	} {
		t.Run(c.format, func(t *testing.T) {
			code, stdout, stderr := cli(t.Context(), "compare", runs[0], "-format", c.format, runs[1])
			require.Equal(t, exitOK, code, stderr)
			require.Equal(t, c.want, stdout)
			require.Empty(t, stderr)
		})
	}
}

func TestCompareOfAnotherMetric(t *testing.T) {
	runs := twoRuns(t)
	out := succeed(t, "compare", "-metric", "mrr@10", "-format", "csv", runs[0], runs[1])
	require.Contains(t, out, "\nmrr@10,judged,tuesday,0.25,monday,0.5,8,0,8,-0.25,")
	code, _, stderr := cli(t.Context(), "compare", "-metric", "map", runs[0], runs[1])
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, `set "judged": monday has no map for query "q1"; it has mrr@10, ndcg@10`)
}

// As "retort distill" leaves them without -qrels.
func TestCompareOfRunsWithoutJudgedQueries(t *testing.T) {
	dir := runFolder(t)
	for _, name := range []string{"one", "two"} {
		_, _, err := distillFake(t, t.Context(), fakeArgs(t, dir, "-out", filepath.Join(dir, name))...)
		require.NoError(t, err)
	}
	out := succeed(t, "compare", filepath.Join(dir, "one"), filepath.Join(dir, "two"))
	require.Contains(t, out, "MRR@10, paired by query")
	require.Regexp(t, `(?m)^held-out items +two .* one `, out)
	code, _, stderr := cli(t.Context(), "compare", "-metric", "ndcg@10", filepath.Join(dir, "one"),
		filepath.Join(dir, "two"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "it has mrr@10")
}

func TestCompareTablesAreHarmlessWhereTheyAreOpened(t *testing.T) {
	dir := t.TempDir()
	set := func(name string) []answers {
		return []answers{{name, "before", []float64{.1}}, {name, "after", []float64{.2}}}
	}
	a := saveRun(t, dir, "=1+2", set("<img src=x> & [a](b) *c* `d` |")...)
	b := saveRun(t, dir, "＠sum", set("<img src=x> & [a](b) *c* `d` |")...)

	csv := succeed(t, "compare", "-format", "csv", a, b)
	require.Contains(t, csv, "|,'=1+2,0.2,before,0.1,")
	require.Contains(t, csv, "|,'＠sum,0.2,'=1+2,0.2,")

	md := succeed(t, "compare", "-format", "md", a, b)
	require.Contains(t, md, "\n| &lt;img src=x&gt; &amp; \\[a\\](b) \\*c\\* \\`d\\` \\| | =1+2 | 0.2000 |")
	require.NotContains(t, md, "<img")
}

func TestCompareSetsEachRunAgainstTheFirst(t *testing.T) {
	dir := t.TempDir()
	args := []string{"compare", "-format", "csv"}
	for i, v := range []float64{.1, .2, .3} {
		args = append(args, saveRun(t, dir, string(rune('a'+i)),
			answers{"judged", "before", []float64{.1}}, answers{"judged", "after", []float64{v}}))
	}
	require.Regexp(t, `^metric.*
ndcg@10,judged,a,0.1,before,0.1,1,0,0,0,0,0,1,1
ndcg@10,judged,b,0.2,before,0.1,.*
ndcg@10,judged,c,0.3,before,0.1,.*
ndcg@10,judged,b,0.2,a,0.1,.*
ndcg@10,judged,c,0.3,a,0.1,.*
$`, succeed(t, args...))
}

func TestCompareNamesWhatIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	a := saveRun(t, dir, "a", answers{"judged", "before", constant(0, 15)}, answers{"judged", "after", constant(1, 15)},
		answers{"known items", "after", constant(1, 2)})
	short := append(constant(1, 3), constant(-1, 12)...)
	b := saveRun(t, dir, "b", answers{"judged", "after", append([]float64{-1}, short[1:]...)})
	code, stdout, stderr := cli(t.Context(), "compare", "-format", "csv", a, b)
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, `set "known items" is omitted: b lacks it
set "judged": b lacks 13 of the 15 queries; the comparison omits q1, q10, q11, q12, q13, q14, q15, q4, q5, q6 and 3 more
set "judged": b has no results of its initial model
`, stderr)
	require.Contains(t, stdout,
		"\nndcg@10,judged,a,1,before,0,2,2,0,1,1,1,0.5,1\nndcg@10,judged,b,1,a,1,2,0,0,0,0,0,1,1\n")
}

func TestCompareKeepsDifferentStartingModelsApart(t *testing.T) {
	dir := t.TempDir()
	a := saveRun(t, dir, "a", answers{"judged", "before", []float64{.1, .2}},
		answers{"judged", "after", []float64{.3, .3}})
	b := saveRun(t, dir, "b", answers{"judged", "before", []float64{.1, .3}},
		answers{"judged", "after", []float64{.3, .3}})
	code, stdout, stderr := cli(t.Context(), "compare", "-format", "csv", a, b)
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stderr, `set "judged": the initial models differ; each run is compared with its own initial model`)
	require.Contains(t, stdout, "judged,a,0.3,a before,0.15")
	require.Contains(t, stdout, "judged,b,0.3,b before,0.2")
}

func TestCompareNamesAreKeptApartAndHarmless(t *testing.T) {
	dir := t.TempDir()
	set := "a|b\tc\nd\x1b[31m"
	one := saveRun(t, filepath.Join(dir, "x"), "run", answers{set, "after", []float64{.1}})
	two := saveRun(t, filepath.Join(dir, "y"), "run", answers{set, "after", []float64{.2}})
	out := succeed(t, "compare", "-format", "md", one, two)
	require.Contains(t, out, `| a\|b c d \[31m | `+two+" | 0.2000 | "+one+" | 0.1000 | ")
	require.Contains(t, succeed(t, "compare", one, two), "a|b c d [31m  "+two)
}

func TestCompareBadInputIsAnError(t *testing.T) {
	dir := t.TempDir()
	a := saveRun(t, dir, "a", answers{"judged", "after", []float64{.1}})
	other := saveRun(t, dir, "other", answers{"judged", "after", []float64{-1, .1}})
	unlike := saveRun(t, dir, "unlike", answers{"known items", "after", []float64{.1}})
	broken := filepath.Join(dir, "broken")
	require.NoError(t, os.MkdirAll(broken, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(broken, results.FileName), []byte("{}\n"), 0o600))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no run", nil, exitUsage, "want at least two run folders"},
		{"one run", []string{a}, exitUsage, "want at least two run folders"},
		{"the same run", []string{a, dir + "/./a"}, exitUsage, "duplicate run"},
		{"format", []string{a, other, "-format", "html"}, exitUsage, `-format is "html": want text, md or csv`},
		{"no metric", []string{a, other, "-metric", ""}, exitUsage, "-metric is missing"},
		{"no folder", []string{a, dir + "/gone"}, exitFailure, "gone holds no evaluate.jsonl"},
		{"broken", []string{a, broken}, exitFailure, `evaluate.jsonl:1: no "set"`},
		{"no shared query", []string{a, other}, exitFailure, `set "judged": the runs share no query`},
		{"no shared set", []string{a, unlike}, exitFailure, "the runs share no set of queries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := cli(t.Context(), append([]string{"compare"}, c.args...)...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.says)
			require.Empty(t, stdout)
		})
	}
}

func TestCompareHelpHasAnExample(t *testing.T) {
	out := succeed(t, "compare", "-h")
	require.Contains(t, out, "retort compare runs/monday runs/tuesday")
}
