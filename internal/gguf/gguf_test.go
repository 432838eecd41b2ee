package gguf

import (
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The golden file and its values come from ggml's Python package gguf: testdata/make_golden.py.

func TestTensorsEqualPythons(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var want map[string]struct {
		Type  string
		Shape []int
		Bits  []int32
	}
	require.NoError(t, json.Unmarshal(raw, &want))
	f := openGolden(t)
	require.Len(t, f.Tensors(), len(want)+1)
	for name, w := range want {
		entry, ok := f.Tensor(name)
		require.True(t, ok, name)
		require.Equal(t, w.Type, entry.Type.String())
		require.Equal(t, w.Shape, entry.Shape, name)
		values, err := f.Floats(name)
		require.NoError(t, err)
		require.Len(t, values, len(w.Bits), name)
		for i, v := range values {
			require.Equal(t, uint32(w.Bits[i]), math.Float32bits(v), "%s[%d]", name, i)
		}
	}
}

func TestRowsAreReadOneByOne(t *testing.T) {
	f := openGolden(t)
	for _, entry := range f.Tensors() {
		m, err := f.Matrix(entry.Name)
		if entry.Name == "iq1_s.weight" {
			require.ErrorContains(t, err, "not supported")
			continue
		}
		require.NoError(t, err)
		whole, err := f.Floats(entry.Name)
		require.NoError(t, err)
		require.Len(t, whole, m.Rows*m.Columns)
		require.Equal(t, entry.Type.Quantised(), m.Type.Quantised())
		for row := range m.Rows {
			one := make([]float32, m.Columns)
			m.Read(one, row, 1)
			require.Equal(t, whole[row*m.Columns:(row+1)*m.Columns], one, "%s row %d", entry.Name, row)
		}
	}
}

// Every group is checked, and no value behind the last one is written.
func TestExpandEqualsItsPlainForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c chunk
	for i := range c.q {
		c.q[i] = byte(rng.Uint32())
	}
	for i := range c.groups {
		c.groups[i] = group{float32(rng.NormFloat64()), float32(rng.NormFloat64())}
	}
	c.groups[3] = group{-2, none} // 0 times it is -0
	c.groups[5] = group{1e-44, 0}
	c.groups[7] = group{float32(math.Inf(1)), -1}
	c.q[3*groupValues+4], c.q[7*groupValues] = 0, 0
	for n := groupValues; n <= chunkValues; n += groupValues {
		want, got := make([]float32, chunkValues), make([]float32, chunkValues)
		expandGo(want[:n], &c)
		expand(got[:n], &c)
		for i := range want {
			require.Equal(t, math.Float32bits(want[i]), math.Float32bits(got[i]), "%d values: value %d", n, i)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	f, err := Open("testdata/golden.gguf")
	require.NoError(b, err)
	defer f.Close()
	for _, entry := range f.Tensors() {
		m, err := f.Matrix(entry.Name)
		if err != nil || !m.Type.Quantised() {
			continue
		}
		b.Run(m.Type.String(), func(b *testing.B) {
			values := make([]float32, m.Rows*m.Columns)
			for b.Loop() {
				m.Read(values, 0, m.Rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(values)), "ns/value")
		})
	}
}

func TestMetadataOfEveryType(t *testing.T) {
	f := openGolden(t)
	for key, want := range map[string]uint64{"u8": 255, "u16": 65535, "u32": 4294967295, "u64": math.MaxUint64} {
		got, ok := f.Uint(key)
		require.True(t, ok, key)
		require.Equal(t, want, got, key)
	}
	for key, want := range map[string]int64{"i8": -128, "i16": -32768, "i32": math.MinInt32, "i64": math.MinInt64} {
		require.Equal(t, want, f.metadata[key], key)
		_, ok := f.Uint(key)
		require.False(t, ok, "a negative number")
	}
	f32, ok := f.Float("f32")
	require.True(t, ok)
	require.Equal(t, float64(float32(1e-5)), f32)
	f64, ok := f.Float("f64")
	require.True(t, ok)
	require.Equal(t, 0.1, f64)
	yes, ok := f.Bool("yes")
	require.True(t, ok && yes)
	no, ok := f.Bool("no")
	require.True(t, ok && !no)
	text, ok := f.String("text")
	require.True(t, ok)
	require.Equal(t, "naïve\n<|im_start|>", text)
	strings, ok := f.Strings("strings")
	require.True(t, ok)
	require.Equal(t, []string{"Ġa", "", "b"}, strings)
	ints, ok := f.Ints("ints")
	require.True(t, ok)
	require.Equal(t, []int64{3, -1, 2147483647}, ints)
	bytes, ok := f.Ints("bytes")
	require.True(t, ok)
	require.Equal(t, []int64{1, 200}, bytes)
	floats, ok := f.FloatArray("floats")
	require.True(t, ok)
	require.Equal(t, []float64{0.5, -1.25}, floats)
	require.Equal(t, []bool{true, false}, f.metadata["bools"])
	require.Equal(t, []any{[]int64{1, 2}, []int64{3}}, f.metadata["nested"])
	require.Contains(t, f.Keys(), "general.architecture")

	_, ok = f.String("missing")
	require.False(t, ok)
	_, ok = f.String("u8")
	require.False(t, ok, "another type")
}

func TestATypeThatCannotBeReadIsNamedBesideThoseThatCan(t *testing.T) {
	f := openGolden(t)
	_, err := f.Floats("iq1_s.weight")
	require.EqualError(t, err, `testdata/golden.gguf: tensor "iq1_s.weight" has type IQ1_S, which is not supported; `+
		`use a file with types among F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16`)
	_, err = f.Floats("missing")
	require.EqualError(t, err, `testdata/golden.gguf: no tensor "missing"`)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close(), "twice")
	_, err = f.Floats("norm")
	require.ErrorContains(t, err, "read after Close")
}

func TestAFileCutAnywhereIsAnError(t *testing.T) {
	whole, err := os.ReadFile("testdata/golden.gguf")
	require.NoError(t, err)
	// The last tensor ends before the file does, whose end is padding.
	last := 0
	for _, entry := range openGolden(t).Tensors() {
		last = max(last, int(entry.begin+entry.size))
	}
	for n := range last {
		_, err := Parse(whole[:n], "dir/m.gguf")
		require.ErrorContains(t, err, "dir/m.gguf: ", "%d bytes", n)
	}
	_, err = Parse(whole[:last], "m.gguf")
	require.NoError(t, err)

	path := filepath.Join(t.TempDir(), "cut.gguf")
	require.NoError(t, os.WriteFile(path, whole[:last-1], 0o644))
	_, err = Open(path)
	require.ErrorContains(t, err, path+": cut short: tensor ")
	_, err = Open(path + ".missing")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestBadFilesAreErrorsThatNameFileAndByte(t *testing.T) {
	tensor := func(name string, kind uint32, offset uint64, dims ...uint64) file {
		return file{}.str(name).u32(uint32(len(dims))).u64(dims...).u32(kind).u64(offset)
	}
	one := header(3, 1, 0)
	two := header(3, 2, 0)
	value := header(3, 0, 1)
	data := make(file, 256)
	for name, c := range map[string]struct {
		data file
		want string
	}{
		"another format":            {file("PK\x03\x04 something"), "does not begin with GGUF"},
		"empty":                     {nil, "does not begin with GGUF"},
		"version 1":                 {header(1, 0, 0), "GGUF version 1; 2 and 3 can be read"},
		"big-endian":                {header(3<<24, 0, 0), "big-endian"},
		"many values, none there":   {header(3, 0, math.MaxUint64), "metadata 1 of 18446744073709551615: cut short at byte 24: the length of the key"},
		"many tensors, none there":  {header(3, math.MaxUint64, 0), "tensor 1 of 18446744073709551615: cut short at byte 24"},
		"endless key":               {value.u64(1 << 63), "cut short at byte 32: the key needs 9223372036854775808 bytes, the file has 0 more"},
		"unknown type of value":     {value.str("k").u32(13), `"k": byte 33: unknown type of value 13`},
		"endless array":             {value.str("k").u32(typeArray).u32(typeUint8).u64(1 << 60).u64(1), `"k": cut short at byte 41: an array of 1152921504606846976 values`},
		"endless array of strings":  {value.str("k").u32(typeArray).u32(typeString).u64(3).u64(0).u64(0), "an array of 3 values, the file has 16 more bytes"},
		"unknown type of array":     {value.str("k").u32(typeArray).u32(77).u64(0), "byte 37: unknown type of array 77"},
		"arrays without end":        {value.str("k").u32(typeArray).nest(5), "nested more than 4 deep"},
		"number beyond 63 bits":     {value.str("k").u32(typeArray).u32(typeUint64).u64(1, math.MaxUint64), "byte 49: 18446744073709551615 in an array is beyond 63 bits"},
		"key twice":                 {header(3, 0, 2).str("k").u32(typeUint32).u32(1).str("k").u32(typeUint32).u32(1), `byte 41: key "k" occurs twice`},
		"alignment of zero":         {value.str(alignmentKey).u32(typeUint32).u32(0), "general.alignment is 0, not a power of two"},
		"alignment in words":        {value.str(alignmentKey).u32(typeString).str("x"), "general.alignment is x, not a power of two"},
		"tensor twice":              {two.with(tensor("t", 0, 0, 1), tensor("t", 0, 32, 1)), `tensor 2 of 2: byte 57: tensor "t" occurs twice`},
		"no dimension":              {one.with(tensor("t", 0, 0)), "0 dimensions; 1 to 4 are supported"},
		"many dimensions":           {one.with(tensor("t", 0, 0, 1, 1, 1, 1, 1)), "5 dimensions; 1 to 4 are supported"},
		"dimension beyond memory":   {one.with(tensor("t", 0, 0, 1<<63)), "dimension 9223372036854775808 is too large"},
		"shape beyond memory":       {append(one, tensor("t", 0, 0, 1<<40, 1<<40)...), `"t": shape [1099511627776 1099511627776] is impossible`},
		"bytes beyond memory":       {append(one, tensor("t", 0, 0, 1<<62)...), `"t": shape [4611686018427387904] is impossible`},
		"half a block":              {one.with(tensor("t", 8, 0, 48, 2)), "rows of 48 values are not a multiple of the 32"},
		"more than the file has":    {one.with(tensor("t", 0, 0, 100), data), `cut short: tensor "t" takes 400 bytes from byte 64 + 0, and the file has 313`},
		"offset beyond the file":    {one.with(tensor("t", 0, 1<<40, 1), data), `cut short: tensor "t"`},
		"offset that wraps":         {one.with(tensor("t", 0, math.MaxUint64-31, 1), data), `cut short: tensor "t"`},
		"offset beside the borders": {one.with(tensor("t", 0, 4, 1), data), "offset 4, not a multiple of the alignment 32"},
		"overlap":                   {two.with(tensor("t", 0, 0, 9), tensor("u", 0, 32, 1), data), `tensors "t" and "u" overlap at byte`},
		"long name":                 {one.with(tensor(string(make([]byte, 64)), 0, 0, 1)), "the name has 64 bytes, the limit is 63"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.data, "dir/m.gguf")
			require.ErrorContains(t, err, "dir/m.gguf: ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestATypeOfTheFutureStopsOnlyItsReader(t *testing.T) {
	data := header(2, 1, 0).str("t").u32(1).u64(5).u32(99).u64(0)
	f, err := Parse(data, "m.gguf")
	require.NoError(t, err)
	_, err = f.Floats("t")
	require.ErrorContains(t, err, `tensor "t" has type number 99, which is not supported; use a file with types among F32,`)
}

// With RETORT_LLM, the demo's language model: make llm.
func TestSmolLM2(t *testing.T) {
	path := os.Getenv("RETORT_LLM")
	if path == "" {
		t.Skip("RETORT_LLM names no GGUF file; make test-torch sets it")
	}
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	arch, _ := f.String("general.architecture")
	require.Equal(t, "llama", arch)
	tokens, ok := f.Strings("tokenizer.ggml.tokens")
	require.True(t, ok)
	require.Len(t, tokens, 49152)
	require.Equal(t, "<|im_start|>", tokens[1])
	width, _ := f.Uint("llama.embedding_length")
	embeddings, ok := f.Tensor("token_embd.weight")
	require.True(t, ok)
	require.Equal(t, []int{len(tokens), int(width)}, embeddings.Shape)
	for _, entry := range f.Tensors() {
		values, err := f.Floats(entry.Name)
		require.NoError(t, err)
		var sum float64
		for _, v := range values {
			sum += math.Abs(float64(v))
		}
		mean := sum / float64(len(values))
		require.True(t, mean > 1e-4 && mean < 50, "%s: mean |value| %g", entry.Name, mean)
	}
}

// FuzzParse reads whatever it is given: no panic, and no more memory than a small multiple of the input.
func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.gguf")
	require.NoError(f, err)
	f.Add([]byte(golden))
	f.Add([]byte(header(3, 0, 1).str("k").u32(typeArray).u32(typeString).u64(1 << 60)))
	f.Add([]byte(header(3, 1, 0).str("t").u32(2).u64(32, 2).u32(8).u64(0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		g, err := Parse(data, "m.gguf")
		if err == nil {
			for _, entry := range g.Tensors() {
				if values, err := g.Floats(entry.Name); err == nil {
					n, _ := elements(entry.Shape)
					require.Len(t, values, int(n))
				}
			}
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20+200*len(data)))
	})
}

func openGolden(t *testing.T) *File {
	t.Helper()
	f, err := Open("testdata/golden.gguf")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// file builds the bytes of a GGUF file. Each method returns a longer copy.
type file []byte

func header(version uint32, tensors, values uint64) file {
	return file(magic).u32(version).u64(tensors, values)
}

func (f file) u32(v uint32) file { return binary.LittleEndian.AppendUint32(f[:len(f):len(f)], v) }

func (f file) u64(values ...uint64) file {
	for _, v := range values {
		f = binary.LittleEndian.AppendUint64(f[:len(f):len(f)], v)
	}
	return f
}

func (f file) str(s string) file { return append(f.u64(uint64(len(s))), s...) }

func (f file) with(parts ...file) file { return slices.Concat(append([]file{f}, parts...)...) }

// nest opens arrays of one array each.
func (f file) nest(depth int) file {
	for range depth {
		f = f.u32(typeArray).u64(1)
	}
	return f.u32(typeUint8).u64(0)
}
