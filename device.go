package retort

import (
	"fmt"

	"github.com/retort-ir/retort/internal/device"
)

// Device is what a model computes on: "cpu", which "" means too, "cuda" for the first CUDA device, or "cuda:N" for the
// CUDA device N, counted from 0.
type Device string

// CPU is the processor.
const CPU Device = "cpu"

// Validate returns an error that names a device with another name. Whether the device is there is known when a model is
// opened on it.
func (d Device) Validate() error {
	_, err := device.Parse(string(d))
	return err
}

// Precision is the type of numbers in which a model's matrix products are computed. All else, weights included, stays
// float32 unless the model's documentation says otherwise. "" is FP32.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32"
	// BF16 is fast on a GPU and on processors with AMX or AVX512_BF16, and far slower elsewhere.
	BF16 Precision = "bf16"
)

// Validate returns an error that names an unknown precision.
func (p Precision) Validate() error {
	switch p {
	case "", FP32, BF16:
		return nil
	}
	return fmt.Errorf("precision %q is not supported; supported are fp32 and bf16", string(p))
}
