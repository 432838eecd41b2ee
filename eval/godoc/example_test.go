package godoc_test

import (
	"context"
	"fmt"
	"log"

	"github.com/retort-ir/retort/eval/godoc"
)

func Example() {
	ctx := context.Background()
	documentation, err := godoc.Load(ctx)
	if err != nil {
		log.Fatal(err)
	}
	dev, err := documentation.Written("dev")
	if err != nil {
		log.Fatal(err)
	}
	for _, q := range dev.Queries {
		if q.ID == "text-001" {
			fmt.Println(q.Text, dev.Qrels[q.ID]["strings.Split"])
		}
	}
	// Output:
	// cut a comma separated string into pieces 1
}
