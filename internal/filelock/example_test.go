package filelock_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/filelock"
)

func ExampleLock() {
	dir, err := os.MkdirTemp("", "retort-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	first, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer first.Close()
	second, err := os.Open(first.Name())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()

	fmt.Println(filelock.Lock(first))
	fmt.Println(errors.Is(filelock.Lock(second), filelock.ErrLocked))
	first.Close()
	fmt.Println(filelock.Lock(second))
	// Output:
	// <nil>
	// true
	// <nil>
}
