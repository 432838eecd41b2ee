package safetensors

import (
	"encoding/binary"
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

func readValues(data io.ReaderAt, e entry, convert func([]float32, []byte)) ([]float32, error) {
	width := int64(widths[e.dtype])
	values := make([]float32, (e.end-e.begin)/width)
	buf := make([]byte, min(chunk, e.end-e.begin))
	done := 0
	for at := e.begin; at < e.end; {
		part := buf[:min(int64(len(buf)), e.end-at)]
		if _, err := data.ReadAt(part, at); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF // the file has shrunk since it was opened
			}
			return nil, err
		}
		n := len(part) / int(width)
		convert(values[done:done+n], part)
		done += n
		at += int64(len(part))
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
