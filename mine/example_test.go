package mine_test

import (
	"context"
	"fmt"
	"log"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// From a corpus and generated queries to the lists that a student learns from.
func Example() {
	ctx := context.Background()
	corpus, err := retort.NewCorpus([]retort.Passage{
		{
			ID: "io.ReadAll", Title: "io.ReadAll",
			Text: "ReadAll reads from r until an error or EOF and returns the data it read.",
		},
		{ID: "os.ReadFile", Title: "os.ReadFile", Text: "ReadFile reads the named file and returns the contents."},
		{ID: "sort.Ints", Title: "sort.Ints", Text: "Ints sorts a slice of ints in increasing order."},
	})
	if err != nil {
		log.Fatal(err)
	}
	queries := []retort.Query{
		{ID: "1", Text: "read the contents of a file", Source: "os.ReadFile"},
		{ID: "2", Text: "error", Source: "sort.Ints"},
	}
	bm25, err := mine.NewBM25(ctx, corpus, mine.BM25Options{Analyzer: mine.Code()})
	if err != nil {
		log.Fatal(err)
	}
	rankings, err := bm25.Search(ctx, queries, 100)
	if err != nil {
		log.Fatal(err)
	}
	found, err := mine.RoundTrip(corpus, queries, rankings, 20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("queries that find their source:", len(found.Kept))

	lists, err := mine.Lists(corpus, queries[:1], rankings[:1], mine.ListOptions{Top: 2, Depth: 2, KeepSource: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lists[0].IDs)
	// Output:
	// queries that find their source: 1
	// [os.ReadFile io.ReadAll]
}

func ExampleCode() {
	fmt.Println(mine.Code().Terms("net/http.Server.ListenAndServe"))
	fmt.Println(mine.English().Terms("the server's connections"))
	// Output:
	// [net http server listen serv]
	// [server connect]
}

func ExampleTopK() {
	passages := blas32.General{Rows: 3, Cols: 2, Stride: 2, Data: []float32{1, 0, 0, 1, .6, .8}}
	query := blas32.General{Rows: 1, Cols: 2, Stride: 2, Data: []float32{0, 1}}
	rankings, err := mine.TopK(context.Background(), query, passages, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rankings[0])
	// Output: [{1 1} {2 0.8}]
}
