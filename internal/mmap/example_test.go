package mmap_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/mmap"
)

func Example() {
	dir, err := os.MkdirTemp("", "mmap")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("a file"), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	f, err := mmap.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", f.Bytes())
	fmt.Println(f.Close())
	// Output:
	// a file
	// <nil>
}
