package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/report"
)

func TestReportMakesThePageAgain(t *testing.T) {
	run := t.TempDir()
	require.NoError(t, report.Save(run, report.Data{Title: "mine", Stages: []report.Stage{{Name: "train", Seconds: 12}}}))
	page := filepath.Join(run, "report.html")
	want, err := os.ReadFile(page)
	require.NoError(t, err)
	require.NoError(t, os.Remove(page))
	require.Equal(t, page+"\n", succeed(t, "report", run))
	got, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestReportNamesWhatIsWrong(t *testing.T) {
	run := t.TempDir()
	data := filepath.Join(run, "report.json")
	for _, c := range []struct {
		name    string
		content string // of report.json; none where empty
		args    []string
		code    int
		want    string
	}{
		{"no folder named", "", nil, exitUsage, "name the folder of a run"},
		{"two folders", "", []string{"a", "b"}, exitUsage, `what is "b"?`},
		{"no data", "", []string{run}, exitFailure, data + ": no such file or directory: " + run + " is no run, or one that"},
		{"no run", "", []string{run + "/gone"}, exitFailure, run + "/gone is no run"},
		{"torn data", "{\n\"version\": 1", []string{run}, exitFailure, data + ": line 2: malformed JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.content != "" {
				require.NoError(t, os.WriteFile(data, []byte(c.content), 0o600))
			}
			code, stdout, stderr := cli(context.Background(), append([]string{"report"}, c.args...)...)
			require.Equal(t, c.code, code)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.want)
			require.NoFileExists(t, filepath.Join(run, "report.html"))
		})
	}
}
