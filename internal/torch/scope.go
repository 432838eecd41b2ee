package torch

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/retort-ir/retort/internal/torch/raw"
)

// Tensor is a handle to a tensor; nil: none. The scope that made a tensor frees it, unless it is kept.
type Tensor = raw.Tensor

// Type is the type of a tensor's elements.
type Type int

// The types that Retort computes with.
const (
	Float32  Type = raw.Float32
	Float64  Type = raw.Float64
	BFloat16 Type = raw.BFloat16
	Float16  Type = raw.Float16
	Int64    Type = raw.Int64
)

// Precision returns the type of a precision: BFloat16 for "bf16", Float32 for any other.
func Precision(name string) Type {
	if name == "bf16" {
		return BFloat16
	}
	return Float32
}

// Scope makes tensors and owns them. After the first error, which Err returns, all operations return nil, so that the
// code of a model need not check every line. Use a scope only within the function that Run called.
type Scope struct {
	rt    *Runtime
	owned []Tensor
	err   error
}

// Err returns the scope's first error.
func (s *Scope) Err() error { return s.err }

// Sub runs f in a new scope and frees its tensors except the result, which s then owns and which may be nil. A long
// computation without gradients needs little memory this way.
func (s *Scope) Sub(f func(*Scope) Tensor) Tensor {
	if s.err != nil {
		return nil
	}
	sub := &Scope{rt: s.rt}
	t := f(sub)
	sub.disown(t)
	sub.free()
	s.err = sub.err
	if s.err != nil || t == nil {
		return nil
	}
	s.owned = append(s.owned, t)
	return t
}

// NoGrad runs f with the recording of gradients off.
func (s *Scope) NoGrad(f func()) {
	before := raw.SetGrad(false)
	defer raw.SetGrad(before)
	f()
}

// Recording says whether operations record gradients.
func (s *Scope) Recording() bool {
	on := raw.SetGrad(true)
	raw.SetGrad(on)
	return on
}

// OnCPU says whether the runtime computes on the CPU.
func (s *Scope) OnCPU() bool { return s.rt.OnCPU() }

// Keep removes t from the scope: the caller must free t, in any scope of the same runtime.
func (s *Scope) Keep(t Tensor) Tensor {
	s.disown(t)
	return t
}

// Free frees kept tensors. It skips nil.
func (s *Scope) Free(ts ...Tensor) {
	for _, t := range ts {
		if t != nil {
			raw.Free(t)
			s.rt.live.Add(-1)
		}
	}
}

func (s *Scope) disown(t Tensor) {
	for i := len(s.owned) - 1; i >= 0; i-- {
		if s.owned[i] == t {
			s.owned = append(s.owned[:i], s.owned[i+1:]...)
			return
		}
	}
}

func (s *Scope) free() {
	s.Free(s.owned...)
	s.owned = nil
}

// ready says whether an operation on the operands may run.
func (s *Scope) ready(name string, operands ...Tensor) bool {
	if s.err != nil {
		return false
	}
	for i, t := range operands {
		if t == nil {
			s.err = fmt.Errorf("torch: %s: operand %d is nil", name, i+1)
			return false
		}
	}
	return true
}

// own adds an operation's result to the scope; nil means that LibTorch threw.
func (s *Scope) own(name string, t Tensor) Tensor {
	if t == nil {
		s.fail(name)
		return nil
	}
	s.rt.live.Add(1)
	s.owned = append(s.owned, t)
	return t
}

// check is own for an operation without a result.
func (s *Scope) check(name string) {
	if message := raw.LastError(); message != "" {
		s.err = libtorchError(name, message)
	}
}

func (s *Scope) fail(name string) {
	message := raw.LastError()
	if message == "" {
		message = "no result and no message"
	}
	s.err = libtorchError(name, message)
}

// libtorchError drops the stack of C++ frames that LibTorch appends to its messages.
func libtorchError(name, message string) error {
	for _, frames := range []string{"\nException raised from", "\nC++ CapturedTraceback:", "\nframe #"} {
		message, _, _ = strings.Cut(message, frames)
	}
	message = strings.TrimSpace(message)
	if lack := lackOfMemory(message); lack != nil {
		return fmt.Errorf("torch: %s: %w: %s", name, lack, message)
	}
	return fmt.Errorf("torch: %s: %s", name, message)
}

// lackOfMemory returns nil for a message of something else.
func lackOfMemory(message string) error {
	for _, sign := range []string{"can't allocate memory", "not enough memory", "out of memory", "bad_alloc"} {
		if strings.Contains(message, sign) {
			return ErrMemory
		}
	}
	// oneDNN gives no reason. Lack of memory is the only one that is possible here.
	for _, sign := range []string{
		"could not create a primitive", "could not create a memory object",
		"could not execute a primitive",
	} {
		if strings.Contains(message, sign) && !strings.Contains(message, "primitive descriptor") {
			return errKernel
		}
	}
	return nil
}

// ErrMemory says that LibTorch could not allocate the memory for an operation. The runtime stays usable.
var ErrMemory = errors.New("not enough memory")

// errKernel is an ErrMemory of oneDNN.
var errKernel = fmt.Errorf("%w for a kernel", ErrMemory)

// FromFloats copies data into a float32 tensor of the given shape on the runtime's device.
func (s *Scope) FromFloats(data []float32, shape ...int64) Tensor {
	return fromData(s, data, 4, Float32, shape)
}

// FromDoubles copies data into a float64 tensor of the given shape on the runtime's device.
func (s *Scope) FromDoubles(data []float64, shape ...int64) Tensor {
	return fromData(s, data, 8, Float64, shape)
}

// FromInts copies data into an int64 tensor of the given shape on the runtime's device.
func (s *Scope) FromInts(data []int64, shape ...int64) Tensor {
	return fromData(s, data, 8, Int64, shape)
}

func fromData[T float32 | float64 | int64](s *Scope, data []T, size uint, kind Type, shape []int64) Tensor {
	if !s.ready("from data") {
		return nil
	}
	if n := elements(shape); n != int64(len(data)) || n == 0 {
		s.err = fmt.Errorf("torch: from data: %d values for shape %v", len(data), shape)
		return nil
	}
	t := s.own("from data", raw.FromData(unsafe.Pointer(&data[0]), shape, size, int(kind)))
	if t == nil || s.rt.device == raw.CPU {
		return t
	}
	return s.own("to device", raw.ToDevice(t, s.rt.device))
}

// Floats copies a tensor's elements to the host as float32, row-major.
func (s *Scope) Floats(t Tensor) []float32 {
	if !s.ready("to host", t) {
		return nil
	}
	data := make([]float32, elements(raw.Shape(t)))
	s.CopyFloats(data, t)
	return data
}

// CopyFloats copies a tensor's elements into dst, whose length must be their number.
func (s *Scope) CopyFloats(dst []float32, t Tensor) {
	if !s.ready("to host", t) {
		return
	}
	if n := elements(raw.Shape(t)); n != int64(len(dst)) {
		s.err = fmt.Errorf("torch: to host: %d elements into %d", n, len(dst))
		return
	}
	if len(dst) == 0 {
		return
	}
	t = s.As(t, Float32)
	if t == nil {
		return
	}
	raw.CopyTo(t, unsafe.Pointer(&dst[0]), uint(len(dst)), 4)
	s.check("to host")
}

// Memory returns the elements of a contiguous float32 tensor on the CPU without copying them. They are valid as long as
// the tensor is.
func (s *Scope) Memory(t Tensor) []float32 {
	if !s.ready("memory", t) {
		return nil
	}
	if !s.OnCPU() {
		s.err = errors.New("torch: memory: the tensor is not on the CPU")
		return nil
	}
	return unsafe.Slice((*float32)(raw.Memory(t)), elements(raw.Shape(t)))
}

// Doubles copies a tensor's elements to the host as float64, row-major.
func (s *Scope) Doubles(t Tensor) []float64 {
	t = s.As(t, Float64)
	if t == nil {
		return nil
	}
	data := make([]float64, elements(raw.Shape(t)))
	if len(data) > 0 {
		raw.CopyTo(t, unsafe.Pointer(&data[0]), uint(len(data)), 8)
		s.check("to host")
	}
	return data
}

// Shape returns the sizes of a tensor's dimensions.
func (s *Scope) Shape(t Tensor) []int64 {
	if !s.ready("shape", t) {
		return nil
	}
	return raw.Shape(t)
}

// Backward adds the gradients of the scalar t to those of the tensors that require them, and frees the graph.
func (s *Scope) Backward(t Tensor) {
	if !s.ready("backward", t) {
		return
	}
	raw.Backward(t)
	s.check("backward")
}

// Grad returns the gradient of t; nil if there is none.
func (s *Scope) Grad(t Tensor) Tensor {
	if !s.ready("grad", t) {
		return nil
	}
	g := s.own("grad", raw.Grad(t))
	if g == nil || !raw.Defined(g) {
		return nil
	}
	return g
}

// MakeGrad gives a tensor that requires a gradient, and has none yet, a dense gradient of zeros in its own memory.
func (s *Scope) MakeGrad(t Tensor) {
	s.Sub(func(s *Scope) Tensor {
		if s.Grad(t) == nil {
			s.Backward(s.Sum(s.Scale(t, 0)))
		}
		return nil
	})
}

// RequireGrad makes t a leaf whose gradient Backward computes.
func (s *Scope) RequireGrad(t Tensor) {
	if s.ready("require grad", t) {
		s.own("require grad", raw.SetRequiresGrad(t, true))
	}
}

// Copy writes src over dst.
func (s *Scope) Copy(dst, src Tensor) {
	if s.ready("copy", dst, src) {
		raw.Copy(dst, src)
		s.check("copy")
	}
}

// Fail sets the scope's error, if it has none yet.
func (s *Scope) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}
