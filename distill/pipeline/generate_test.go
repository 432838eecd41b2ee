package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/runfolder"
)

// shakyGenerator makes a query of each passage but those that it is to fail at, and none of the "empty" ones.
type shakyGenerator struct {
	fails func(i int) bool

	mu    sync.Mutex
	asked map[string]int
}

var errShaky = errors.New("HTTP 400\nthe passage is too long")

func (g *shakyGenerator) Fingerprint() string { return "shaky" }

func (g *shakyGenerator) Generate(_ context.Context, p retort.Passage) ([]retort.Query, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[p.ID]++
	var i int
	fmt.Sscanf(p.ID, "p%d", &i)
	if g.fails(i) {
		return nil, errShaky
	}
	if strings.Contains(p.Text, "empty") {
		return nil, nil
	}
	return []retort.Query{{ID: p.ID + "#0", Text: "about " + p.ID, Source: p.ID}}, nil
}

func shaky(t *testing.T, n int, fails func(i int) bool) (*stages, *shakyGenerator) {
	passages := make([]retort.Passage, n)
	for i := range passages {
		passages[i] = retort.Passage{ID: fmt.Sprint("p", i), Text: "text"}
		if i%7 == 6 {
			passages[i].Text = "empty"
		}
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	g := &shakyGenerator{fails: fails, asked: map[string]int{}}
	return &stages{Corpus: corpus, Generator: g}, g
}

func TestPassagesThatFailHaveNoQueriesAndAreCounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		n      int
		fails  func(i int) bool
		failed int
	}{
		{"none", 40, func(int) bool { return false }, 0},
		{"the first", 40, func(i int) bool { return i == 0 }, 1},
		{"the last ones", 40, func(i int) bool { return i >= 36 }, 4},
		{"a tenth", 300, func(i int) bool { return i%10 == 3 }, 30},
		{"19 in a row", 300, func(i int) bool { return i >= 8 && i < 27 }, 19},
		{"before, at and after empty ones", 100, func(i int) bool { return i >= 5 && i <= 7 || i == 13 }, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := shaky(t, c.n, c.fails)
			var funnel Funnel
			queries, err := p.MakeQueries(t.Context(), &funnel)
			require.NoError(t, err)
			require.Equal(t, c.failed, funnel.FailedPassages)
			if c.failed > 0 {
				require.Contains(t, funnel.FirstFailure, "HTTP 400; the passage is too long")
			}
			made := map[string]bool{}
			for _, q := range queries {
				require.Equal(t, "about "+q.Source, q.Text)
				made[q.Source] = true
			}
			for i := range c.n {
				require.Equal(t, !c.fails(i) && i%7 != 6, made[fmt.Sprint("p", i)], i)
			}
		})
	}
}

func TestTooManyPassagesThatFailAreAnError(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     int
		fails func(i int) bool
		want  string
	}{
		{"all", 1000, func(int) bool { return true }, "20 passages in a row failed, the first of them: make queries of passage \"p0\": HTTP 400"},
		{"all of few", 3, func(int) bool { return true }, "1 of 3 passages failed, more than 1 of 10"},
		{"20 in a row", 1000, func(i int) bool { return i >= 100 && i < 120 }, "20 passages in a row failed, the first of them: make queries of passage \"p100\""},
		{"more than a tenth", 300, func(i int) bool { return i%5 == 0 }, "31 of 300 passages failed, more than 1 of 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, g := shaky(t, c.n, c.fails)
			_, err := p.MakeQueries(t.Context(), nil)
			require.ErrorContains(t, err, c.want)
			require.ErrorIs(t, err, errShaky)
			require.Less(t, len(g.asked), 400, "the others are not asked for")
		})
	}
}

// A server that goes down in the middle costs no passage its queries.
func TestARunThatEndedWithAnOutageGoesOnWithItsFirstPassage(t *testing.T) {
	down := true
	p, g := shaky(t, 400, func(i int) bool { return i == 50 || i >= 200 && down })
	dir := filepath.Join(t.TempDir(), "run")
	run := func() (*Funnel, []retort.Query, error) {
		folder, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, nil)
		require.NoError(t, err)
		defer folder.Close()
		p.Folder = folder
		var funnel Funnel
		j, err := p.job(t.Context(), &funnel)
		require.NoError(t, err)
		queries, err := j.generate(t.Context())
		return &funnel, queries, err
	}
	_, _, err := run()
	require.ErrorContains(t, err, `passages in a row failed, the first of them: make queries of passage "p200"`)
	down = false
	g.asked = map[string]int{}
	funnel, queries, err := run()
	require.NoError(t, err)
	require.NotContains(t, g.asked, "p199")
	require.Contains(t, g.asked, "p200")
	require.Equal(t, 1, funnel.FailedPassages, "also where an earlier run met it")
	require.Contains(t, funnel.FirstFailure, `passage "p50"`)
	require.Len(t, queries, 400-400/7-1)
	for i := 1; i < len(queries); i++ {
		require.NotEqual(t, queries[i-1].Source, queries[i].Source)
	}
	again, _, err := run()
	require.NoError(t, err)
	require.Equal(t, funnel, again)
}
