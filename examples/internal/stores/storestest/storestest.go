// Package storestest tests the examples with a vector store.
package storestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/examples/internal/stores"
	"github.com/retort-ir/retort/mine"
)

// The models, seen from the folder of an example. The query tower and the passage tower of the student differ.
const (
	testdata = "../../encoder/transformer/testdata/"
	student  = testdata + "tiny-router"
	stranger = testdata + "tiny"
)

// RunOnServer tests a store on a server that keeps the indexes. Each test has indexes of its own, which remove removes in
// the end.
func RunOnServer(t *testing.T, open stores.Open, address string, remove func(context.Context, stores.Store) error) {
	tests, opened := 0, map[string]int{}
	t.Cleanup(func() {
		ctx := context.Background()
		for index, dim := range opened {
			s, err := open(ctx, address, index, dim)
			require.NoError(t, err)
			require.NoError(t, errors.Join(remove(ctx, s), s.Close()))
		}
	})
	own := func(ctx context.Context, address, index string, dim int) (stores.Store, error) {
		index = fmt.Sprintf("%s_test_%d_%d", index, os.Getpid(), tests)
		opened[index] = dim
		return open(ctx, address, index, dim)
	}
	Run(t, own, func(*testing.T) string {
		tests++
		return address
	})
}

// Run tests a store. newAddress returns the address of a store without passages. A folder or a server may hold several
// indexes.
func Run(t *testing.T, open stores.Open, newAddress func(t *testing.T) string) {
	s := suite{open: open, base: filepath.Join(t.TempDir(), "base")}
	folder, err := transformer.ReadFolder(student, transformer.Options{})
	require.NoError(t, err)
	require.NoError(t, folder.Export(t.Context(), s.base, encoder.Passage))
	s.collect(t, passages(300), queries)
	for name, test := range map[string]func(*testing.T, string){
		"vectors come back and are searched exactly":    s.searches,
		"the text index finds words":                    s.findsWords,
		"the encoder is swapped while queries run":      s.swaps,
		"a write that broke off goes on":                s.resumes,
		"a model with other passage vectors is refused": s.refuses,
		"a real model": s.real,
	} {
		t.Run(name, func(t *testing.T) { test(t, newAddress(t)) })
	}
}

type suite struct {
	open                        stores.Open
	base, corpusFile, queryFile string
	passages                    []retort.Passage
	corpus                      *retort.MemoryCorpus
	queries                     []retort.Query
}

// collect makes the suite use passages and queries, also as files.
func (s *suite) collect(t *testing.T, passages []retort.Passage, queries []retort.Query) {
	var err error
	s.corpus, err = retort.NewCorpus(passages)
	require.NoError(t, err)
	s.passages, s.queries = passages, queries
	dir := t.TempDir()
	s.corpusFile, s.queryFile = filepath.Join(dir, "corpus.jsonl"), filepath.Join(dir, "queries.jsonl")
	require.NoError(t, retort.SaveCorpus(s.corpusFile, s.corpus))
	require.NoError(t, retort.SaveQueries(s.queryFile, s.queries))
}

var queries = []retort.Query{
	{ID: "q1", Text: "which valve opens when the pressure rises"},
	{ID: "q2", Text: "spare part of the pump"},
	{ID: "q3", Text: "limit"},
	{ID: "q4", Text: "O'Brien said: \"NOT (the *floor*) AND\" -pump"},
	{ID: "q5", Text: "¿…?"},
}

// passages are n short texts, equal in every test.
func passages(n int) []retort.Passage {
	r := rand.New(rand.NewPCG(1, 1))
	words := strings.Fields("pump valve floor limit pressure spare filter gauge motor rotor seal shaft hose tank lamp")
	pick := func() string { return words[r.IntN(len(words))] }
	all := make([]retort.Passage, n)
	for i := range all {
		all[i] = retort.Passage{
			ID: fmt.Sprintf("unit/%03d", i), Title: fmt.Sprintf("%s of the %s", pick(), pick()),
			Text: fmt.Sprintf("The %s opens the %s where the %s rises above unit%d. O'Brien keeps a %s beside the %s.",
				pick(), pick(), pick(), i, pick(), pick()),
		}
	}
	return all
}

func (s suite) model(t *testing.T, dir string) *transformer.Model {
	m, err := transformer.Open(t.Context(), dir, transformer.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// opened returns a store with the first n passages and their vectors.
func (s suite) opened(t *testing.T, address, index string, n int) (stores.Store, blas32.General) {
	m := s.model(t, s.base)
	texts := make([]string, n)
	for i, p := range s.passages[:n] {
		texts[i] = p.Content()
	}
	vectors, err := m.Encode(t.Context(), encoder.Passage, texts)
	require.NoError(t, err)
	store, err := s.open(t.Context(), address, index, m.Dim())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Write(t.Context(), s.passages[:n], vectors))
	return store, vectors
}

func (s suite) searches(t *testing.T, address string) {
	store, vectors := s.opened(t, address, "retort_1", len(s.passages))
	n, err := store.Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(s.passages), n)
	got, err := store.Vector(t.Context(), s.passages[7].ID)
	require.NoError(t, err)
	require.Equal(t, vectors.Data[7*vectors.Stride:][:vectors.Cols], got)
	_, err = store.Vector(t.Context(), "nobody")
	require.Error(t, err)

	for _, q := range s.queries {
		v, err := s.model(t, s.base).Encode(t.Context(), encoder.Query, []string{q.Text})
		require.NoError(t, err)
		s.equal(t, store, vectors, v, 10)
		s.equal(t, store, vectors, v, 2*len(s.passages))
	}
	// A second write replaces the first one.
	require.NoError(t, store.Write(t.Context(), s.passages[:10], vectors))
	n, err = store.Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(s.passages), n)
}

// equal compares with an exact search. Passages with equal scores may come in any order.
func (s suite) equal(t *testing.T, store stores.Store, vectors, query blas32.General, k int) {
	ids, err := store.Dense(t.Context(), query.Data, k)
	require.NoError(t, err)
	want, err := mine.TopK(t.Context(), query, vectors, k)
	require.NoError(t, err)
	require.Len(t, ids, len(want[0]))
	dense, err := mine.NewDenseVectors(nil, vectors)
	require.NoError(t, err)
	seen := map[string]bool{}
	for i, id := range ids {
		require.False(t, seen[id], "%s twice", id)
		seen[id] = true
		n, ok := s.corpus.Index(id)
		require.True(t, ok, id)
		score, err := dense.Score(query.Data, []int{n})
		require.NoError(t, err)
		require.InDelta(t, want[0][i].Score, score[0], 1e-5, "rank %d", i+1)
	}
}

func (s suite) findsWords(t *testing.T, address string) {
	store, _ := s.opened(t, address, "retort_1", len(s.passages))
	searcher, ok := store.(stores.TextSearcher)
	if !ok {
		t.Skip("the store has no text index")
	}
	ids, err := searcher.Text(t.Context(), "elephants in Unit17?", 5)
	require.NoError(t, err)
	require.Equal(t, []string{"unit/017"}, ids)
	ids, err = searcher.Text(t.Context(), "valves and unit18", 5)
	require.NoError(t, err)
	require.Len(t, ids, 5)
	require.Equal(t, "unit/018", ids[0], "the rarer word counts more")
	for _, q := range s.queries {
		ids, err := searcher.Text(t.Context(), q.Text, 400)
		require.NoError(t, err, "%q", q.Text)
		require.Equal(t, q.ID == "q5", len(ids) == 0, "%q", q.Text)
	}
}

// run runs the example and returns what it prints.
func (s suite) run(t *testing.T, address, model, student string) (string, error) {
	var out bytes.Buffer
	err := stores.Run(t.Context(), stores.Options{
		Corpus: s.corpusFile, Queries: s.queryFile, Model: model, Student: student, Address: address, Open: s.open,
	}, &out)
	t.Log("\n" + out.String())
	return out.String(), err
}

func (s suite) swaps(t *testing.T, address string) {
	out, err := s.run(t, address, s.base, student)
	require.NoError(t, err)
	require.Contains(t, out, "300 passages, 300 of them written now\n")
	require.Regexp(t, `users' queries: [1-9]\d* answered before the swap, [1-9]\d* after it, 0 failed\n`, out)
	m := s.model(t, s.base)
	dense, err := mine.NewDense(t.Context(), m, s.corpus, nil)
	require.NoError(t, err)
	asked := s.queries[slices.IndexFunc(s.queries, func(q retort.Query) bool {
		return strings.Contains(out, fmt.Sprintf("%q\n", q.Text))
	})]
	for when, dir := range map[string]string{"before": s.base, "after": student} {
		query, err := s.model(t, dir).Encode(t.Context(), encoder.Query, []string{asked.Text})
		require.NoError(t, err)
		best, err := dense.SearchVectors(t.Context(), query, 1)
		require.NoError(t, err)
		require.Contains(t, out, fmt.Sprintf("%-6s  dense:  %s", when, s.passages[best[0][0].Index].ID))
	}
	out, err = s.run(t, address, s.base, student)
	require.NoError(t, err)
	require.Contains(t, out, "300 passages, 0 of them written now\n")
}

func (s suite) resumes(t *testing.T, address string) {
	whole := s.open
	s.open = func(ctx context.Context, address, index string, dim int) (stores.Store, error) {
		store, err := whole(ctx, address, index, dim)
		return &breaking{Store: store}, err
	}
	_, err := s.run(t, address, s.base, student)
	require.ErrorContains(t, err, "the power went")
	require.ErrorContains(t, err, "unit/256")
	s.open = whole
	out, err := s.run(t, address, s.base, student)
	require.NoError(t, err)
	require.Contains(t, out, "300 passages, 44 of them written now\n")
}

// breaking is a store that takes one batch.
type breaking struct {
	stores.Store
	writes int
}

func (b *breaking) Write(ctx context.Context, passages []retort.Passage, vectors blas32.General) error {
	if b.writes++; b.writes > 1 {
		return errors.New("the power went")
	}
	return b.Store.Write(ctx, passages, vectors)
}

func (s suite) refuses(t *testing.T, address string) {
	_, err := s.run(t, address, s.base, stranger)
	require.ErrorContains(t, err, "differs from the stored vector")
}

// real answers with the model of RETORT_MODEL, which serves as its own student.
func (s suite) real(t *testing.T, address string) {
	model := os.Getenv("RETORT_MODEL")
	if model == "" {
		t.Skip("no model: set RETORT_MODEL")
	}
	burning := retort.Passage{ID: "fire", Text: "What to do when something burns: leave at once."}
	s.collect(t, append(passages(300), burning), []retort.Query{{ID: "q", Text: "emergency instructions for flames"}})
	out, err := s.run(t, address, model, model)
	require.NoError(t, err)
	require.Len(t, regexp.MustCompile(`(?m)(before|after) +dense:  fire `).FindAllString(out, -1), 2)
	require.Contains(t, out, "changed the first passage of 0 of 1 ")
}
