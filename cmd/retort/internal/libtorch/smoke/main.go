//go:build libtorch

// Command smoke multiplies two matrices with LibTorch. "retort libtorch doctor" builds and runs its source in a module
// of its own, so it imports gotch and nothing else.
package main

import (
	"fmt"
	"os"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	const float32Kind = 6
	values := []float32{1, 2, 3, 4}
	a := lib.AtTensorOfData(unsafe.Pointer(&values[0]), []int64{2, 2}, 2, 4, float32Kind)
	if err := lastError(); err != nil {
		return err
	}
	defer lib.AtFree(a)
	product := lib.AtNewTensor()
	lib.AtgMatmul(&product, a, a)
	if err := lastError(); err != nil {
		return err
	}
	defer lib.AtFree(product)
	got := [4]float32(unsafe.Slice((*float32)(lib.AtDataPtr(product)), 4))
	if want := [4]float32{7, 10, 15, 22}; got != want {
		return fmt.Errorf("a matrix product is %v, it should be %v", got, want)
	}
	fmt.Println("ok")
	return nil
}

func lastError() error {
	message := lib.GetAndResetLastErr()
	if message == nil {
		return nil
	}
	return fmt.Errorf("LibTorch: %s", unsafe.String((*byte)(unsafe.Pointer(message)), length(unsafe.Pointer(message))))
}

// length counts the bytes of a C string.
func length(s unsafe.Pointer) int {
	n := 0
	for *(*byte)(unsafe.Add(s, n)) != 0 {
		n++
	}
	return n
}
