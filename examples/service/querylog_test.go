package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func TestOnlyTheOwnerReadsTheQueries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.jsonl")
	require.NoError(t, os.WriteFile(path, nil, 0o644)) // of an earlier version
	l, _, err := openQueryLog(path)
	require.NoError(t, err)
	defer l.close()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestQueriesAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.jsonl")
	l, torn, err := openQueryLog(path)
	require.NoError(t, err)
	require.Zero(t, torn)
	for i, text := range []string{"open a file", "quote \"and\"\nnewline", "Open a file!", "…"} {
		n, err := l.add(text, time.Now())
		require.NoError(t, err)
		require.Equal(t, i+1, n)
	}
	queries, asked, err := l.distinct(10)
	require.NoError(t, err)
	require.Equal(t, 4, asked)
	texts := []string{}
	for _, q := range queries {
		texts = append(texts, q.Text)
	}
	require.Equal(t, []string{"Open a file!", "quote \"and\"\nnewline"}, texts,
		"the latest first, each once, none without words")
	queries, _, err = l.distinct(1)
	require.NoError(t, err)
	require.Len(t, queries, 1)
	require.NoError(t, l.close())

	all, err := retort.LoadQueries(path)
	require.NoError(t, err, "what retort distill -queries reads")
	require.Len(t, all, 4)
}

func TestATornLineIsCutOffAndADamagedOneRefused(t *testing.T) {
	whole := `{"_id":"asked1","text":"a"}` + "\n" + `{"_id":"asked2","text":"b"}` + "\n"
	for _, test := range []struct {
		name, content string
		torn          int64
		count         int
		want          string
	}{
		{"empty", "", 0, 0, ""},
		{"whole", whole, 0, 2, ""},
		{"torn", whole + `{"_id":"asked3","te`, 19, 2, ""},
		{"torn first line", `{"_id"`, 6, 0, ""},
		{"long torn line", whole + strings.Repeat("x", 200_000), 200_000, 2, ""},
		{"damaged", strings.Replace(whole, `"a"`, `"a`, 1), 0, 0, "queries.jsonl:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queries.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(test.content), 0o644))
			l, torn, err := openQueryLog(path)
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.torn, torn)
			require.Equal(t, test.count, l.asked())
			n, err := l.add("c", time.Now())
			require.NoError(t, err)
			require.Equal(t, test.count+1, n)
			require.NoError(t, l.close())
			l, torn, err = openQueryLog(path)
			require.NoError(t, err)
			require.Zero(t, torn)
			require.Equal(t, test.count+1, l.asked())
			require.NoError(t, l.close())
		})
	}
}

// The test's own binary adds queries until it is killed; every one that it said it had added is there.
func TestAKilledProcessLosesNoQuery(t *testing.T) {
	if path := os.Getenv("QUERYLOG_TEST"); path != "" {
		l, _, err := openQueryLog(path)
		require.NoError(t, err)
		for {
			n, err := l.add(strings.Repeat("word ", 50), time.Now())
			require.NoError(t, err)
			fmt.Println("added", n)
		}
	}
	path := filepath.Join(t.TempDir(), "queries.jsonl")
	said := 0
	for round := range 5 {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), "QUERYLOG_TEST="+path)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(out)
		for range 100 * (round + 1) {
			require.True(t, lines.Scan())
			_, err := fmt.Sscanf(lines.Text(), "added %d", &said)
			require.NoError(t, err)
		}
		require.NoError(t, c.Process.Kill())
		_ = c.Wait() // it was killed
	}
	l, _, err := openQueryLog(path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, l.asked(), said)
	require.NoError(t, l.close())
}

func TestQueriesAreAddedWhileTheyAreRead(t *testing.T) {
	l, _, err := openQueryLog(filepath.Join(t.TempDir(), "queries.jsonl"))
	require.NoError(t, err)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				if _, err := l.add(fmt.Sprintf("query %d of %d", i, w), time.Now()); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 20 {
		queries, asked, err := l.distinct(1000)
		require.NoError(t, err)
		require.Len(t, queries, asked)
	}
	wg.Wait()
	queries, asked, err := l.distinct(1000)
	require.NoError(t, err)
	require.Len(t, queries, 200)
	require.Equal(t, 200, asked)
	require.NoError(t, l.close())
}
