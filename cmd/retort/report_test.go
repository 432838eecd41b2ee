package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReportMakesThePageAgain(t *testing.T) {
	dir := runFolder(t)
	_, _, err := distillFake(t, t.Context(), fakeArgs(t, dir)...)
	require.NoError(t, err)
	page := filepath.Join(dir, "run", "report.html")
	want := readString(t, page)
	require.NoError(t, os.Remove(page))
	require.Equal(t, page+"\n", succeed(t, "report", filepath.Join(dir, "run")))
	require.Equal(t, want, readString(t, page))
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
		{"no folder named", "", nil, exitUsage, "RUN is missing"},
		{"two folders", "", []string{"a", "b"}, exitUsage, `unexpected argument "b"`},
		{"no data", "", []string{run}, exitFailure, data + ": no such file or directory: " + run + " is not a run folder, or"},
		{"no run", "", []string{run + "/gone"}, exitFailure, run + "/gone is not a run folder"},
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
