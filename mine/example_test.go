package mine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
	"gonum.org/v1/gonum/blas/blas32"
)

// From a corpus and generated queries to the lists that a student learns from.
func Example() {
	ctx := context.Background()
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "io.ReadAll", Title: "io.ReadAll", Text: "ReadAll reads from r until an error or EOF and returns the data it read."},
		{ID: "os.ReadFile", Title: "os.ReadFile", Text: "ReadFile reads the named file and returns the contents."},
		{ID: "sort.Ints", Title: "sort.Ints", Text: "Ints sorts a slice of ints in increasing order."},
		{ID: "x", Text: "empty"},
	})
	if err != nil {
		log.Fatal(err)
	}
	cleaned, selection, err := mine.Clean(ctx, corpus, mine.DefaultCleanOptions())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("dropped:", selection.Counts())

	queries := []retort.Query{
		{ID: "1", Text: "read the contents of a file", Source: "os.ReadFile"},
		{ID: "2", Text: "error", Source: "sort.Ints"},
	}
	bm25, err := mine.NewBM25(ctx, cleaned, mine.BM25Options{Analyzer: mine.Code()})
	if err != nil {
		log.Fatal(err)
	}
	rankings, err := bm25.Search(ctx, queries, 100)
	if err != nil {
		log.Fatal(err)
	}
	found, err := mine.RoundTrip(cleaned, queries, rankings, 20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("queries that find their source:", len(found.Kept))

	lists, err := mine.Lists(cleaned, queries[:1], rankings[:1], mine.ListOptions{Top: 2, Depth: 2, KeepSource: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lists[0].IDs)
	// Output:
	// dropped: map[too short:1]
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

func ExampleRRF() {
	words := [][]mine.Hit{{{Index: 4, Score: 12}, {Index: 7, Score: 9}}}
	vectors := [][]mine.Hit{{{Index: 7, Score: .8}, {Index: 2, Score: .7}}}
	fused, err := mine.RRF(60, 3, words, vectors)
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range fused[0] {
		fmt.Printf("%d %.4f\n", h.Index, h.Score)
	}
	// Output:
	// 7 0.0325
	// 4 0.0164
	// 2 0.0161
}
