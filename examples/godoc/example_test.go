package godoc_test

import (
	"context"
	"fmt"
	"log"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/examples/godoc"
)

// The real thing starts with goroot, err := godoc.GOROOT(ctx); here a Go with three packages stands in for it.
func Example() {
	ctx := context.Background()
	passages, err := godoc.Build(ctx, "testdata/goroot")
	if err != nil {
		log.Fatal(err)
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(corpus.Len(), "passages; the fifth:", passages[4].Content())

	examples, err := godoc.ExampleQueries(ctx, "testdata/goroot", corpus)
	if err != nil {
		log.Fatal(err)
	}
	q := examples.Queries[0]
	fmt.Println(q.Text, examples.Qrels[q.ID])
	// Output:
	// 21 passages; the fifth: box.New New returns a box of the given size.
	// opening a parcel that may be full. map[box.Box.Open:1]
}
