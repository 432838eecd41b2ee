package regular_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/internal/onnx"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/tfevents"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// A length or a count that the file cannot hold is refused before anything of that size is made.
func TestNoParserMakesWhatAFileOnlyClaimsToHold(t *testing.T) {
	le := binary.LittleEndian
	header := func(n uint64, text string) []byte { return append(le.AppendUint64(nil, n), text...) }
	gguf3 := func(tensors, values uint64, rest ...byte) []byte {
		return append(le.AppendUint64(le.AppendUint64(append([]byte("GGUF"), 3, 0, 0, 0), tensors), values), rest...)
	}
	text := func(s string) []byte { return append(le.AppendUint64(nil, uint64(len(s))), s...) }
	array := func(kind uint32, n uint64) []byte {
		b := le.AppendUint32(text("k"), 9)
		return le.AppendUint64(le.AppendUint32(b, kind), n)
	}
	npy1 := func(shape string) []byte {
		h := "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n"
		return append([]byte("\x93NUMPY\x01\x00"), append(le.AppendUint16(nil, uint16(len(h))), h...)...)
	}
	field := func(b []byte, n protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
	}
	constant := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1) // of floats
	for range 2 {
		constant = protowire.AppendVarint(protowire.AppendTag(constant, 1, protowire.VarintType), math.MaxInt32)
	}
	crc := func(b []byte) uint32 {
		c := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		return (c>>15 | c<<17) + 0xa282ead8
	}
	event := le.AppendUint64(nil, 1<<40)
	event = le.AppendUint32(event, crc(event))

	tensors := func(path string) error { f, err := safetensors.Open(path); return closing(f, err) }
	ggufs := func(path string) error { f, err := gguf.Open(path); return closing(f, err) }
	matrices := func(path string) error { _, err := npy.ReadFile(path); return err }
	maps := func(path string) error { m, err := npy.Map(path); return closing(m, err) }
	models := func(path string) error {
		m, err := onnx.Open(path)
		if err == nil {
			_, err = m.Floats("")
		}
		return closing(m, err)
	}
	words := func(path string) error {
		data, err := regular.ReadFile(path, regular.MaxJSON)
		if err == nil {
			_, err = tokenizer.Parse(data)
		}
		return err
	}
	documents := func(path string) error { var v any; return jsonfile.Read(path, &v) }
	for name, c := range map[string]struct {
		data []byte
		open func(path string) error
	}{
		"safetensors: a header of 2^63 bytes": {header(1<<63, "{}"), tensors},
		"safetensors: a header of 99 MB":      {header(99_000_000, "{}"), tensors},
		"safetensors: a shape of 2^62": {header(57,
			`{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}`), tensors},
		"safetensors: nested":            {header(90_000, strings.Repeat("[", 90_000)), tensors},
		"gguf: 2^63 tensors":             {gguf3(1<<63, 0), ggufs},
		"gguf: 2^63 values":              {gguf3(0, 1<<63), ggufs},
		"gguf: a key of 2^62 bytes":      {gguf3(0, 1, le.AppendUint64(nil, 1<<62)...), ggufs},
		"gguf: an array of 2^40 numbers": {gguf3(0, 1, array(4, 1<<40)...), ggufs},
		"gguf: an array of 2^40 strings": {gguf3(0, 1, array(8, 1<<40)...), ggufs},
		"gguf: an array of 2^40 arrays":  {gguf3(0, 1, array(9, 1<<40)...), ggufs},
		"gguf: 2^31 dimensions":          {gguf3(1, 0, append(text("t"), 0, 0, 0, 0x80)...), ggufs},
		"npy: 2^40 rows":                 {npy1("(1099511627776, 384)"), matrices},
		"npy: 2^40 rows, mapped":         {npy1("(1099511627776, 384)"), maps},
		"npy: a product beyond 64 bits":  {npy1("(4611686018427387904, 4611686018427387904)"), matrices},
		"npy: a header of 4 GB":          {[]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff{"), matrices},
		"onnx: a constant of 2^62":       {field(nil, 7, field(nil, 5, constant)), models},
		"onnx: a graph of 2^60 bytes": {protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType),
			1<<60), models},
		"tokenizer.json: an id of 2 million": {
			[]byte(`{"model": {"type": "BPE", "vocab": {"a": 2000000}, "merges": []}}`),
			words,
		},
		"tokenizer.json: an id of 2^31": {
			[]byte(`{"model": {"type": "BPE", "vocab": {"a": 2147483648}, "merges": []}}`),
			words,
		},
		"tokenizer.json: nested": {[]byte(strings.Repeat(`{"model":`, 100_000)), words},
		"JSON: nested":           {[]byte(strings.Repeat("[", 1_000_000)), documents},
		"checkpoint: a header of 2^60 bytes": {
			append([]byte("retort training 1\n"), header(1<<60, "{}")...),
			func(path string) error { f, err := checkpoint.Open(path); return closing(f, err) },
		},
		"tfevents: a record of 2^40 bytes":      {event, events},
		"tfevents: a record that is cut behind": {append(bytes.Clone(event), 1, 2, 3), events},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(path, c.data, 0o600))
			var before, after runtime.MemStats
			start := time.Now()
			runtime.ReadMemStats(&before)
			err := c.open(path)
			runtime.ReadMemStats(&after)
			if !strings.HasPrefix(name, "tfevents") { // which cuts off what is no record
				require.Error(t, err)
				require.Less(t, len(err.Error()), 1000)
			}
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
}

func events(path string) error {
	w, err := tfevents.Append(path, func(int64, string) bool { return true })
	return closing(w, err)
}

func closing(c interface{ Close() error }, err error) error {
	if err == nil {
		return c.Close()
	}
	return err
}
