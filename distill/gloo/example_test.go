package gloo_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/gloo"
)

// A program that trains alone, or with others where torchrun or a shell has started it so.
func Example() {
	os.Unsetenv("RANK") // of whoever runs this example
	os.Unsetenv("WORLD_SIZE")

	ctx, opts := context.Background(), distill.DefaultOptions()
	options, err := gloo.FromEnv()
	switch {
	case errors.Is(err, gloo.ErrNoGroup):
		fmt.Println("one process")
	case err != nil:
		fmt.Println(err)
		return
	default:
		group, err := gloo.Connect(ctx, options)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer group.Close()
		opts.Group = group
	}
	// distill.Train(ctx, student, corpus, lists, opts) on each of them.

	// Output: one process
}
