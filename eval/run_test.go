package eval

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadRunTakesBlanksAndLineEndsAsTheyCome(t *testing.T) {
	text := "\ufeffq1 Q0 b 7 1.5 tag\r\n\r\n  q2\tQ0\ta 1 -2e-3 tag \n\nq1 Q0 a 1 3 other"
	run, err := readRun(strings.NewReader(text), "run")
	require.NoError(t, err)
	require.Equal(t, Run{"q1": {{"b", 1.5}, {"a", 3}}, "q2": {{"a", -2e-3}}}, run)
}

func TestReadRunRefusesBadInput(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "run: no hits"},
		"blank":               {"\r\n \n", "run: no hits"},
		"five columns":        {"q Q0 a 1 2\n", "run:1: 5 columns, want 6"},
		"seven columns":       {"\nq Q0 a 1 2 tag x\n", "run:2: 7 columns, want 6"},
		"score no number":     {"q Q0 a 1 2 t\nq Q0 b 1 high t\n", `run:2: score "high" is not a finite number`},
		"NaN":                 {"q Q0 a 1 NaN t\n", `run:1: score "NaN"`},
		"infinite":            {"q Q0 a 1 -inf t\n", `run:1: score "-inf"`},
		"beyond single":       {"q Q0 a 1 1e39 t\n", `run:1: score "1e39"`},
		"beyond double":       {"q Q0 a 1 1e400 t\n", `run:1: score "1e400"`},
		"repeated passage":    {"q Q0 a 1 2 t\np Q0 a 1 2 t\nq Q0 a 2 1 t\n", `run:3: passage "a" occurs twice for query "q"`},
		"invalid UTF-8":       {"q Q0 a 1 2 t\nq Q0 \xff 1 2 t\n", "run:2: invalid UTF-8"},
		"a line without ends": {"q Q0 a 1 2 t\n" + strings.Repeat("x", maxLine+1), "run:2: line longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readRun(strings.NewReader(c.text), "run")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestWriteRunOrdersByQueryAndRank(t *testing.T) {
	var b bytes.Buffer
	run := Run{"q2": {{"a", 1}}, "q1": {{"a", .1}, {"b", 2}, {"c", .1}}, "empty": nil}
	require.NoError(t, writeRun(&b, run, "tag"))
	require.Equal(t, "q1 Q0 b 1 2 tag\nq1 Q0 c 2 0.1 tag\nq1 Q0 a 3 0.1 tag\nq2 Q0 a 1 1 tag\n", b.String())
}

func TestSavedRunComesBackWhole(t *testing.T) {
	_, run := bigRun(20, 50)
	run["query-0"][0].Score = math.MaxFloat32
	run["query-0"][49].Score = -math.SmallestNonzeroFloat32
	for _, hits := range run {
		rankHits(hits)
	}
	path := filepath.Join(t.TempDir(), "a.trec")
	require.NoError(t, SaveRun(path, run, "tag"))
	got, err := LoadRun(path)
	require.NoError(t, err)
	require.Equal(t, run, got)
}

func TestRefusedRunLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.trec")
	good := Run{"q": {{"a", 1}}}
	require.NoError(t, SaveRun(path, good, "tag"))
	for name, c := range map[string]struct {
		run       Run
		tag, want string
	}{
		"no hits":             {Run{"q": nil}, "t", "no hits"},
		"empty tag":           {good, "", "empty tag"},
		"tag of two words":    {good, "a b", `tag "a b" contains white space`},
		"empty query id":      {Run{"": {{"a", 1}}}, "t", "empty query id"},
		"passage of two rows": {Run{"q": {{"a\nb", 1}}}, "t", `query "q": passage id "a\nb" contains white space`},
		"passage no UTF-8":    {Run{"q": {{"\xff", 1}}}, "t", `is invalid UTF-8`},
		"repeated passage":    {Run{"q": {{"a", 1}, {"a", 1}}}, "t", `query "q": passage "a" occurs twice`},
		"NaN":                 {Run{"q": {{"a", float32(math.NaN())}}}, "t", "has score NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			err := SaveRun(path, c.run, c.tag)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			got, err := LoadRun(path)
			require.NoError(t, err)
			require.Equal(t, good, got)
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, files, 1, "nothing is left behind")
		})
	}
	require.Error(t, SaveRun(filepath.Join(dir, "absent", "a.trec"), good, "tag"))
}

func TestLoadRunNamesTheFile(t *testing.T) {
	_, err := LoadRun(filepath.Join(t.TempDir(), "absent.trec"))
	require.ErrorContains(t, err, "absent.trec")
}

func FuzzReadRun(f *testing.F) {
	f.Add([]byte("q1 Q0 a 1 0.5 tag\nq1 Q0 b 2 0.25 tag\r\n"))
	f.Add([]byte("\ufeffq\t0\td 1 1e-45 t\n\n"))
	f.Add([]byte("q Q0 a 1 NaN t\n"))
	f.Add([]byte("q Q0 a 1 0x1p3 t\nq Q0 \xff 1 1 t"))
	f.Fuzz(func(t *testing.T, text []byte) {
		run, err := readRun(bytes.NewReader(text), "run")
		if err != nil {
			require.ErrorContains(t, err, "run:")
			return
		}
		require.NotEmpty(t, run)
		if bytes.Count(text, []byte("\ufeff")) > 0 {
			return // at the start of a file it is a byte order mark, elsewhere part of an id
		}
		var written bytes.Buffer
		require.NoError(t, writeRun(&written, run, "tag"))
		again, err := readRun(&written, "again")
		require.NoError(t, err)
		for _, hits := range run {
			rankHits(hits)
		}
		require.Equal(t, run, again)
	})
}

func BenchmarkReadRun(b *testing.B) {
	_, run := bigRun(100, 1000)
	var text bytes.Buffer
	if err := writeRun(&text, run, "tag"); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := readRun(bytes.NewReader(text.Bytes()), "run"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteRun(b *testing.B) {
	_, run := bigRun(100, 1000)
	var text bytes.Buffer
	for b.Loop() {
		text.Reset()
		if err := writeRun(&text, run, "tag"); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(text.Len()))
}

func TestRankIsATotalOrder(t *testing.T) {
	hits := []Hit{{"a", 1}, {"é", 1}, {"z", 1}, {"top", 2}, {"zz", 1}}
	rankHits(hits)
	require.Equal(t, []Hit{{"top", 2}, {"é", 1}, {"zz", 1}, {"z", 1}, {"a", 1}}, hits)
	shuffled := slices.Clone(hits)
	slices.Reverse(shuffled)
	rankHits(shuffled)
	require.Equal(t, hits, shuffled)
}
