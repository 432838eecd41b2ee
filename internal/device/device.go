// Package device reads the names of the devices that models compute on, as PyTorch writes them.
package device

import (
	"fmt"
	"strconv"
	"strings"
)

// CPU is the number of the processor; CUDA devices count from 0.
const CPU = -1

// Parse returns the number of a device: CPU for "" and "cpu", 0 for "cuda", and n for "cuda:n".
func Parse(name string) (number int, err error) {
	switch name {
	case "", "cpu":
		return CPU, nil
	case "cuda":
		return 0, nil
	}
	digits, ok := strings.CutPrefix(name, "cuda:")
	n, err := strconv.ParseUint(digits, 10, 15)
	if !ok || err != nil || digits != strconv.FormatUint(n, 10) {
		return 0, fmt.Errorf("device %q is not supported; supported are cpu, cuda, and cuda:N with N from 0", name)
	}
	return int(n), nil
}
