package libtorch_test

import (
	"context"
	"fmt"
	"os"

	"github.com/retort-ir/retort/cmd/retort/internal/libtorch"
)

// A command prints the environment of what is installed, or what to do where nothing is.
func ExampleEnv() {
	home, err := os.MkdirTemp("", "retort-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(home)
	variables, err := libtorch.Env(context.Background(), home)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range variables {
		fmt.Println(v.Shell())
	}
	// Output: LibTorch is not installed: run "retort libtorch install"
}
