package godoc

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

func smallCorpus(tb testing.TB) *retort.MemoryCorpus {
	tb.Helper()
	passages, err := buildPassages(tb.Context(), smallGOROOT)
	require.NoError(tb, err)
	corpus, err := retort.NewCorpus(passages)
	require.NoError(tb, err)
	return corpus
}

func TestExamplesBecomeQueriesForTheirSymbols(t *testing.T) {
	got, err := exampleQueries(t.Context(), smallGOROOT, smallCorpus(t))
	require.NoError(t, err)
	require.Equal(t, &querySet{
		Queries: []retort.Query{
			{ID: "box.ExampleBox_Open", Text: "opening a parcel that may be full."},
			{ID: "box.ExampleBox_twice", Text: "A parcel can be opened twice without harm."},
			{ID: "box.ExampleGone", Text: "Send two books to a friend and to a foe."},
			{ID: "box.ExamplePack", Text: "send two books to a friend. It prints nothing."},
			{ID: "box.Example_tour", Text: "look at everything there is in the package."},
		},
		Qrels: eval.Qrels{
			"box.ExampleBox_Open":  {"box.Box.Open": 1},
			"box.ExampleBox_twice": {"box.Box": 1},
			"box.ExampleGone":      {"box.New": 1},
			"box.ExamplePack":      {"box.Pack": 1},
			"box.Example_tour":     {"box": 1},
		},
		unknown: []string{"box.Gone"},
	}, got)
}

func TestExampleTextLosesTheWordsThatSayItIsAnExample(t *testing.T) {
	for _, c := range []struct{ name, comment, symbol, want string }{
		{"own name", "ExampleSum demonstrates how to add up many numbers.", "p.Sum", "add up many numbers."},
		{"this example", "This example shows the use of a list of numbers.", "p.Sum", "a list of numbers."},
		{"uses the symbol to", "This example uses a Sum to add up all numbers.", "p.Sum", "add up all numbers."},
		{"use the symbol, qualified", "This example shows how to use p.Sum for adding up many numbers.", "p.Sum", "adding up many numbers."},
		{"the method's type", "Use a List to keep some of the numbers.", "p.List.Add", "keep some of the numbers."},
		{"uses another symbol", "This example uses a List to add numbers.", "p.Sum", "uses a List to add numbers."},
		{"no boilerplate", "Numbers can be added up.", "p.Sum", "Numbers can be added up."},
		{"example later on", "Numbers, in this example, are added.", "p.Sum", "Numbers, in this example, are added."},
		{"doc links", "Pass a [List] or a [*p.List] of numbers.", "p.Sum", "Pass a List or a *p.List of numbers."},
		{"a slice is no link", "Return the numbers as a []byte.", "p.Sum", "Return the numbers as a []byte."},
		{"two sentences", "Add up numbers. Print the sum.\nThen stop.", "p.Sum", "Add up numbers. Print the sum."},
		{"a version is no end", "Reads PKCS #1 v1.5 keys. Fine.", "p.Read", "Reads PKCS #1 v1.5 keys. Fine."},
		{"first paragraph", "Add up some numbers.\n\nPrint the sum.", "p.Sum", "Add up some numbers."},
		{"too short", "This example adds numbers.", "p.Sum", ""},
		{"too short beside the name", "Sum sum p.Sum adds up numbers.", "p.Sum", ""},
		{"about the example itself", "This example is equivalent to the other one.", "p.Sum", ""},
		{"no comment", "", "p.Sum", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, exampleText(c.comment, c.symbol))
		})
	}
}

func TestExamplesOfThisMachinesGo(t *testing.T) {
	goroot, corpus := realCorpus(t)
	set, err := exampleQueries(t.Context(), goroot, corpus)
	require.NoError(t, err)
	t.Logf("%d queries, unknown symbols %v", len(set.Queries), set.unknown)
	require.Greater(t, len(set.Queries), 50)
	require.Len(t, set.Qrels, len(set.Queries))
	for _, q := range set.Queries {
		require.NotEmpty(t, set.Qrels[q.ID])
		require.False(t, strings.HasPrefix(q.Text, "Example") || strings.HasPrefix(q.Text, "This example"), q.Text)
	}
	require.Equal(t, map[string]int{"os/signal.NotifyContext": 1}, set.Qrels["os/signal.ExampleNotifyContext"])
	require.Equal(t, map[string]int{"container/heap": 1}, set.Qrels["container/heap.Example_priorityQueue"])
}

func TestExampleQueriesEndWithTheContext(t *testing.T) {
	corpus := smallCorpus(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := exampleQueries(ctx, smallGOROOT, corpus)
	require.ErrorIs(t, err, context.Canceled)
}
