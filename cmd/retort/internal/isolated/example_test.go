package isolated_test

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/cmd/retort/internal/isolated"
)

func ExampleCommand() {
	cmd, remove, err := isolated.Command(context.Background(), "ls", "-A")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer remove()
	out, err := cmd.Output()
	fmt.Printf("%q %v\n", out, err)
	// Output: "" <nil>
}
