package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/distill/pipeline/internal/report"
)

func TestLoadReadsWhatSaveWrote(t *testing.T) {
	dir := t.TempDir()
	want := poisoned(t, hostile[0])
	require.NoError(t, report.Save(dir, want))
	got, err := report.Load(filepath.Join(dir, report.DataFile))
	require.NoError(t, err)
	require.Equal(t, want, got)
	written, err := os.ReadFile(filepath.Join(dir, report.PageFile))
	require.NoError(t, err)
	require.Equal(t, page(t, got), string(written), "the page made again is the same")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

func TestSaveLeavesWhatWasThereWhenTheDataAreWrong(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, report.Save(dir, report.Data{Title: "good"}))
	require.ErrorContains(t, report.Save(dir, report.Data{Stages: []report.Stage{{Name: "x", Seconds: -1}}}), `stages[0] "x"`)
	got, err := report.Load(filepath.Join(dir, report.DataFile))
	require.NoError(t, err)
	require.Equal(t, "good", got.Title)
	require.ErrorContains(t, report.Save(filepath.Join(dir, "gone"), report.Data{}), filepath.Join(dir, "gone", report.DataFile))
}

func TestLoadNamesTheFileAndWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "line 1: malformed JSON"},
		{"torn", "{\n\"version\": 1,\n\"title\": \"x", `line 3: malformed JSON at "/title": it ends too early`},
		{"another file", `{"a": 1}`, `no "version": not the data of a report`},
		{"a list", `[]`, "line 1: an array where an object is wanted"},
		{"a later version", `{"version": 2, "shape": 3}`, "version 2, but this retort reads version 1"},
		{"a wrong type", "{\"version\": 1,\n\"title\": 3}", `line 2: "/title": a number where a string is wanted`},
		{"a misspelt field", `{"version": 1, "titel": "x"}`, `line 1: the name "titel" is unknown`},
		{"a number that is none", `{"version": 1, "stages": [{"name": "x", "seconds": 1e400}]}`, "seconds"},
		{"a number beyond the charts", `{"version": 1, "stages": [{"name": "x", "seconds": 1e300}]}`, `stages[0] "x": seconds 1e+300`},
		{"two values", `{"version": 1} {}`, "line 1: malformed JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report.json")
			require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			_, err := report.Load(path)
			require.ErrorContains(t, err, path+": ")
			require.ErrorContains(t, err, c.want)
		})
	}
	path := filepath.Join(t.TempDir(), "gone.json")
	_, err := report.Load(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, path)
}

// What Load accepts can be drawn, and saved and loaded again to the same.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	small := sample(f) // every field, few of each
	small.Sets = small.Sets[:1]
	helped, hurt := small.Sets[0].Extremes(1)
	small.Sets[0].Gains = []report.Gain{small.Sets[0].Gains[helped[0]], small.Sets[0].Gains[hurt[0]]}
	small.Training = sampleTraining(40)
	for i := range small.Scores {
		for j := range small.Scores[i].Series {
			small.Scores[i].Series[j].Histogram = report.Histogram{Low: -1, High: 1, Counts: []int{1, 0, 3}, Below: 2}
		}
	}
	require.NoError(f, report.Save(dir, small))
	saved, err := os.ReadFile(filepath.Join(dir, report.DataFile))
	require.NoError(f, err)
	f.Add(saved)
	for _, seed := range []string{
		``, `{`, `{"version":1}`, `{"version":1,"sets":[{"gains":[{"id":"a","before":0.1,"after":1e15}]}]}`,
		`{"version":1,"sets":[{"metrics":[{"name":"m","difference":{"delta":-1e15,"low":-1e15,"high":1e-300,"p":1e-300}}]}]}`,
		`{"version":1,"training":{"steps":[{"step":0,"loss":1e15},{"step":1099511627776,"loss":1e-5}],"evaluations":[{"score":-1}],"best_step":-5}}`,
		`{"version":1,"scores":[{"series":[{"histogram":{"low":1e-300,"high":2e-300,"counts":[0,3]}}]}]}`,
		`{"version":1,"stages":[{"name":"\u0000<","seconds":1e15,"peak_bytes":999999999999999}],"created":"9999-12-31T23:59:59Z"}`,
		`{"version":1,"funnel":{"filters":[{"name":"\ud800","types":{"":{"kept":1,"dropped":2}}}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, report.DataFile)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		d, err := report.Load(path)
		if err != nil {
			require.ErrorContains(t, err, path)
			return
		}
		var first bytes.Buffer
		require.NoError(t, report.Write(&first, d))
		require.NotContains(t, strings.ToLower(first.String()), "<script")
		require.NoError(t, report.Save(dir, d))
		again, err := report.Load(path)
		require.NoError(t, err)
		require.Equal(t, first.String(), page(t, again))
	})
}
