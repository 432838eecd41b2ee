package generate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// named makes one query of a passage; a batch generator of that size where that is above 0.
type named struct {
	name  string
	fails string // the id of the passage
	asked []int  // sizes of batches
}

func (n *named) Fingerprint() string { return n.name }

func (n *named) Generate(_ context.Context, p retort.Passage) ([]retort.Query, error) {
	if p.ID == n.fails {
		return nil, errors.New(n.name + " fails")
	}
	return []retort.Query{{ID: p.ID + "#" + n.name, Text: n.name, Source: p.ID}}, nil
}

type namedBatch struct {
	*named
	size int
}

func (n namedBatch) BatchSize() int { return n.size }

func (n namedBatch) GenerateBatch(ctx context.Context, ps []retort.Passage) iter.Seq2[int, Made] {
	n.asked = append(n.asked, len(ps))
	made := make([]Made, len(ps))
	for i, p := range ps {
		made[i].Queries, made[i].Err = n.Generate(ctx, p)
	}
	return slices.All(made)
}

func mixturePassages(t *testing.T, n int) *retort.MemoryCorpus {
	var ps []retort.Passage
	for i := range n {
		ps = append(ps, retort.Passage{ID: fmt.Sprint("p", i), Text: "text"})
	}
	corpus, err := retort.NewCorpus(ps)
	require.NoError(t, err)
	return corpus
}

func idsOf(t *testing.T, g QueryGenerator, corpus retort.Corpus) (ids, errs []string) {
	for q, err := range All(t.Context(), g, corpus, 1) {
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		ids = append(ids, q.ID)
	}
	return ids, errs
}

func TestAMixtureMakesWhatEachGeneratorMakes(t *testing.T) {
	batch := namedBatch{&named{name: "b", fails: "p1"}, 2}
	m, err := Mixture(&named{name: "a"}, batch)
	require.NoError(t, err)
	require.Equal(t, 2, m.BatchSize())
	require.Equal(t, "a + b", fingerprintOf(m))
	ids, errs := idsOf(t, m, mixturePassages(t, 3))
	require.Equal(t, []string{"p0#a", "p0#b", "p2#a", "p2#b"}, ids)
	require.Equal(t, []string{`make queries of passage "p1": b fails`}, errs)
	require.Equal(t, []int{2, 1}, batch.asked)
	one, err := m.Generate(t.Context(), retort.Passage{ID: "x"})
	require.NoError(t, err)
	require.Len(t, one, 2)

	_, err = Mixture()
	require.ErrorContains(t, err, "no generators")
	_, err = Mixture(m, nil)
	require.ErrorContains(t, err, "generator 1 of the mixture is nil")
}

func TestASampleAsksAboutSomePassagesOnly(t *testing.T) {
	corpus := mixturePassages(t, 1000)
	of := func(n int, seed uint64) map[string]bool {
		batch := namedBatch{&named{name: "b"}, 8}
		s, err := Sample(batch, n, corpus.Len(), seed)
		require.NoError(t, err)
		ids, errs := idsOf(t, s, corpus)
		require.Empty(t, errs)
		set := map[string]bool{}
		for _, id := range ids {
			set[id] = true
		}
		if n == 100 {
			require.Equal(t, 80, s.BatchSize(), "so that the model's batch is full")
		}
		return set
	}
	hundred, again, more, other := of(100, 1), of(100, 1), of(300, 1), of(100, 2)
	require.InDelta(t, 100, len(hundred), 40)
	require.Equal(t, hundred, again)
	require.NotEqual(t, hundred, other)
	for id := range hundred {
		require.True(t, more[id], "those of a smaller number are among those of a larger")
	}
	require.Len(t, of(0, 1), 1000)
	require.Len(t, of(5000, 1), 1000)

	whole, err := Sample(&named{name: "a"}, 0, 10, 1)
	require.NoError(t, err)
	require.Equal(t, "a", fingerprintOf(whole))
	part, err := Sample(&named{name: "a"}, 5, 10, 1)
	require.NoError(t, err)
	require.Equal(t, "0.5 of the passages, seed 1: a", fingerprintOf(part))
	_, err = Sample(nil, 1, 1, 1)
	require.Error(t, err)
}
