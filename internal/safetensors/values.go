package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/retort-ir/retort/internal/half"
)

// chunk is how many bytes are converted at a time.
const chunk = 1 << 18

// widths holds the size of one value of each type, in bytes.
var widths = map[string]int{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
	"I16": 2, "U16": 2, "F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4,
	"I64": 8, "U64": 8, "F64": 8, "C64": 8,
}

// converters turn the bytes of whole values into as many float32.
var converters = map[string]func(dst []float32, src []byte){
	"F64": func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	},
	"F32": func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	},
	"F16": func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = half.Float32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	},
	"BF16": func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = half.FromBFloat16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	},
}

// integers turn the bytes of whole values into as many int64.
var integers = map[string]func(dst []int64, src []byte){
	"I64": func(dst []int64, src []byte) {
		for i := range dst {
			dst[i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
		}
	},
	"I32": func(dst []int64, src []byte) {
		for i := range dst {
			dst[i] = int64(int32(binary.LittleEndian.Uint32(src[4*i:])))
		}
	},
	"I16": func(dst []int64, src []byte) {
		for i := range dst {
			dst[i] = int64(int16(binary.LittleEndian.Uint16(src[2*i:])))
		}
	},
	"I8": func(dst []int64, src []byte) {
		for i := range dst {
			dst[i] = int64(int8(src[i]))
		}
	},
	"U8": func(dst []int64, src []byte) {
		for i := range dst {
			dst[i] = int64(src[i])
		}
	},
}

// Width returns the bytes of a value of a type; 0 for an unknown type.
func Width(dtype string) int { return widths[dtype] }

// Floats reads n values of a type that Tensor reads, which follow the first values of r, and returns them as float32.
func Floats(r io.ReaderAt, dtype string, first int64, n int) ([]float32, error) {
	convert, ok := converters[dtype]
	if !ok {
		return nil, fmt.Errorf("type %s; F64, F32, F16 and BF16 can be read", dtype)
	}
	return read(r, widths[dtype], first, n, convert)
}

// Ints is Floats for the types I64, I32, I16, I8 and U8.
func Ints(r io.ReaderAt, dtype string, first int64, n int) ([]int64, error) {
	convert, ok := integers[dtype]
	if !ok {
		return nil, fmt.Errorf("type %s; I64, I32, I16, I8 and U8 can be read as integers", dtype)
	}
	return read(r, widths[dtype], first, n, convert)
}

func read[T any](r io.ReaderAt, width int, first int64, n int, convert func(dst []T, src []byte)) ([]T, error) {
	values := make([]T, n)
	buf := make([]byte, min(chunk, n*width))
	for done := 0; done < n; {
		part := buf[:min(len(buf), (n-done)*width)]
		if _, err := r.ReadAt(part, (first+int64(done))*int64(width)); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // the file has shrunk since it was opened
			}
			return nil, err
		}
		convert(values[done:done+len(part)/width], part)
		done += len(part) / width
	}
	return values, nil
}

func writeValues(w io.Writer, values []float32) error {
	buf := make([]byte, 0, min(chunk, 4*len(values)))
	for len(values) > 0 {
		n := min(len(values), chunk/4)
		buf = buf[:0]
		for _, v := range values[:n] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
