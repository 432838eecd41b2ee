package artifact_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact"
)

// Check refuses a file with another SHA-256.
func ExampleCheck() {
	dir, err := os.MkdirTemp("", "retort-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "p-1.0-py3-none-any.whl")
	if err := os.WriteFile(path, []byte("changed\n"), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(artifact.Check(path, "6d8c86f4"))

	err = artifact.Unpack(context.Background(), path, dir, func(member string) string { return member })
	fmt.Println(err != nil)
	// Output:
	// p-1.0-py3-none-any.whl: SHA-256 is 7f8b1dfc466b6249f06cbe55c9174df2578e7754da793fded244ef5cba2a38f1, want 6d8c86f4: the registry or a proxy changed the file
	// true
}
