package retort

import (
	"fmt"

	"github.com/retort-ir/retort/internal/device"
)

// Device is the device that a model computes on: "cpu" (the default, also ""), "cuda" for the first CUDA device, or
// "cuda:N" for CUDA device N, counted from 0.
type Device string

// Validate returns an error for a malformed device name. It does not check whether the machine has the device; opening
// a model on the device does.
func (d Device) Validate() error {
	_, err := device.Parse(string(d))
	return err
}

// Precision is the number type of a model's matrix products. Everything else, weights included, stays float32 unless
// the model's documentation says otherwise. "" means FP32.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32"
	// BF16 is faster than FP32 on GPUs and on CPUs with AMX or AVX512_BF16, and much slower on other CPUs.
	BF16 Precision = "bf16"
)

// Validate returns an error for an unknown precision.
func (p Precision) Validate() error {
	switch p {
	case "", FP32, BF16:
		return nil
	}
	return fmt.Errorf("precision %q is not supported; supported are fp32 and bf16", string(p))
}
