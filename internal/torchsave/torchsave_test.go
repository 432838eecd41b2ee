package torchsave

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The golden files come from torch.save: testdata/make_golden.py.

func TestTensorsEqualTorchs(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var want map[string]struct {
		Shape []int
		Bits  []int32
	}
	require.NoError(t, json.Unmarshal(raw, &want))
	for _, file := range []string{"golden.bin", "golden-stream.bin"} {
		t.Run(file, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", file))
			require.NoError(t, err)
			defer f.Close()
			require.Len(t, f.Names(), len(want)+2)
			for name, w := range want {
				shape, values, err := f.Tensor(name)
				require.NoError(t, err, name)
				require.Equal(t, w.Shape, append([]int{}, shape...), name)
				require.Len(t, values, len(w.Bits), name)
				for i, v := range values {
					require.Equal(t, uint32(w.Bits[i]), math.Float32bits(v), "%s[%d]", name, i)
				}
			}
			require.Equal(t, "I64", f.DType("ids"))
			shape, ok := f.Shape("ids")
			require.True(t, ok)
			require.Equal(t, []int{1, 5}, shape)
			_, _, err = f.Tensor("ids")
			require.ErrorContains(t, err, file+`: tensor "ids": type I64; F64, F32, F16 and BF16 can be read`)
			ids, err := f.Ints("ids")
			require.NoError(t, err)
			require.Equal(t, []int64{0, 1, 2, 3, 4}, ids)
			_, _, err = f.Tensor("none")
			require.ErrorContains(t, err, `no tensor "none"`)
		})
	}
}

// pickled is a pickle of protocol 2.
func pickled(parts ...string) string { return "\x80\x02" + strings.Join(parts, "") + "." }

func global(module, name string) string { return "c" + module + "\n" + name + "\n" }

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func number(v int32) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(v))) }

func long(v int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(v)))
}

func storageID(kind, key, values string) string {
	return "(" + text("storage") + global("torch", kind) + text(key) + text("cpu") + values + "tQ"
}

// tensorOf is a call of _rebuild_tensor_v2.
func tensorOf(storage, offset, shape, strides string) string {
	return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + offset + "(" + shape + "t(" + strides + "t\x89" +
		global("collections", "OrderedDict") + ")RtR"
}

// dictionaryOf is {name: value}.
func dictionaryOf(name, value string) string { return "}" + text(name) + value + "s" }

// archive returns a ZIP archive of stored members.
func archive(t *testing.T, members map[string]string, method uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range members {
		m, err := w.CreateHeader(&zip.FileHeader{Name: "x/" + name, Method: method})
		require.NoError(t, err)
		_, err = m.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestNothingButTensorsIsRead(t *testing.T) {
	floats := func(n string) string { return storageID("FloatStorage", "0", n) }
	one := tensorOf(floats(number(2)), number(0), number(2), number(1))
	for name, c := range map[string]struct{ pickle, want string }{
		"a system call": {
			pickled(global("os", "system") + text("touch /tmp/x") + "\x85R"),
			`data.pkl: pickle: byte 13: names the global "os.system", which a dictionary of tensors does not need; nothing`,
		},
		"a call of a builtin":      {pickled(global("__builtin__", "eval")), `names the global "__builtin__.eval"`},
		"a class of numpy":         {pickled(global("numpy", "ndarray")), `names the global "numpy.ndarray"`},
		"a later protocol":         {"\x80\x04.", "protocol 4; 2 and 3 are supported"},
		"an instance":              {pickled("(i"), `operation 'i' is not supported`},
		"a new object":             {pickled("\x81"), `is not supported: a dictionary of tensors does not need it`},
		"a whole model":            {pickled(text("model")), "no dictionary of tensors; save the model's state_dict"},
		"a number":                 {pickled(dictionaryOf("epoch", number(3))), `the value of "epoch" is no tensor`},
		"a key that is no text":    {pickled("}" + number(1) + one + "s"), "a key of the dictionary"},
		"a dictionary in it":       {pickled(dictionaryOf("state_dict", "}")), `the value of "state_dict" is no tensor`},
		"itself":                   {pickled("}q\x00" + text("x") + "h\x00s"), `the value of "x" is no tensor`},
		"nothing on the stack":     {pickled("0"), "operation '0' is not supported"},
		"too few values":           {pickled("\x87"), "takes more values than there are"},
		"values below a mark":      {pickled("N(\x85"), "takes more values than there are"},
		"no mark":                  {pickled("t"), "takes values up to a mark, but there is none"},
		"nothing remembered":       {pickled("h\x07"), "recalls value 7, which was not remembered"},
		"nothing to remember":      {pickled("q\x07"), "remembers a value, but there is none"},
		"an end within":            {"\x80\x02X\xff\xff\xff\x7f", "unexpected EOF"},
		"no end":                   {"\x80\x02N", "unexpected EOF"},
		"a name without end":       {"\x80\x02c" + strings.Repeat("a", 10_000), "a name of more than 256 bytes"},
		"a call of a text":         {pickled(text("f") + ")R"), "calls something that is no function"},
		"a call with a text":       {pickled(global("collections", "OrderedDict") + text("x") + "R"), "calls something"},
		"arguments of a function":  {pickled(global("collections", "OrderedDict") + "N\x85R"), "OrderedDict: 1 arguments"},
		"an append to a number":    {pickled("NNa"), "appends to something that is no list"},
		"an item of a list":        {pickled("]NNs"), "sets an item of something that is no dictionary"},
		"attributes of a list":     {pickled("]Nb"), "sets the attributes of something that is no dictionary"},
		"a persistent number":      {pickled("NQ"), "a persistent id is no tuple"},
		"a persistent module":      {pickled(text("module") + "\x85Q"), "a persistent id does not describe a storage"},
		"a negative storage":       {pickled(floats(number(-1))), "a storage is described by other values"},
		"a storage of many values": {pickled(floats(long(1 << 61))), "a storage is described by other values"},
		"a storage outside":        {pickled(storageID("FloatStorage", "../../etc/passwd", number(2))), `has no x/data/../../etc/passwd`},
		"a missing storage":        {pickled(storageID("FloatStorage", "9", number(2))), `the archive has no x/data/9`},
		"a storage too large":      {pickled(floats(number(1 << 30))), `storage "0" has 8 bytes; its 1073741824 values of F32`},
		"a storage of two types": {
			pickled(floats(number(2)) + storageID("LongStorage", "0", number(1))),
			`storage "0" is described in two ways`,
		},
		"two of one name": {pickled("}(" + text("x") + one + text("x") + one + "u"), `two tensors have the name "x"`},
		"beyond the storage": {
			pickled(dictionaryOf("x", tensorOf(floats(number(2)), number(1), number(2), number(1)))),
			`tensor "x": shape [2] with strides [1] from value 1 on leaves its storage of 2 values`,
		},
		"an offset beyond": {
			pickled(dictionaryOf("x", tensorOf(floats(number(2)), long(1<<40), number(1), number(1)))),
			"leaves its storage of 2 values",
		},
		"a repeated value": {
			pickled(dictionaryOf("x", tensorOf(floats(number(2)), number(0), number(1<<30), number(0)))),
			"repeats the 2 values of its storage",
		},
		"an overflow": {
			pickled(dictionaryOf("x", tensorOf(floats(number(2)), number(0), long(1<<40)+long(1<<40), long(1<<40)+long(1<<40)))),
			"is impossible",
		},
		"a negative size":   {pickled(tensorOf(floats(number(2)), number(0), number(-1), number(1))), "shape: not a number of values"},
		"a negative stride": {pickled(tensorOf(floats(number(2)), number(1), number(2), number(-1))), "strides: not a number"},
		"a stride too few":  {pickled(tensorOf(floats(number(2)), number(0), number(1)+number(2), number(1))), "2 dimensions, but 1 strides"},
		"many dimensions": {
			pickled(tensorOf(floats(number(2)), number(0), strings.Repeat(number(1), 17), "")),
			"not a tuple of at most 16 numbers",
		},
		"many marks": {"\x80\x02" + strings.Repeat("(", maxStack+2), "more than 1048576 marks"},
		"many values": {
			"\x80\x02" + strings.Repeat("N", maxStack+2),
			"more than 1048576 values at a time",
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := archive(t, map[string]string{"data.pkl": c.pickle, "byteorder": "little", "data/0": "\x00\x00\x80?\x00\x00\x00@"}, zip.Store)
			_, err := parse(bytes.NewReader(data), int64(len(data)), "w.bin")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "w.bin: ")
		})
	}
}

func TestArchivesThatTorchDidNotWriteAreRefused(t *testing.T) {
	state := pickled(dictionaryOf("x", tensorOf(storageID("FloatStorage", "0", number(2)), number(0), number(2), number(1))))
	members := func(name, content string) map[string]string {
		m := map[string]string{"data.pkl": state, "data/0": "12345678"}
		m[name] = content
		return m
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"big-endian":   {archive(t, members("byteorder", "big"), zip.Store), `byteorder is "big"; only little is supported`},
		"compressed":   {archive(t, members("data/0", "12345678"), zip.Deflate), "is compressed; save the file again with torch.save"},
		"no pickle":    {archive(t, map[string]string{"a": "b"}, zip.Store), "the archive has no data.pkl"},
		"no archive":   {[]byte("nothing"), "not a file of torch.save"},
		"a cut stream": {[]byte(streamMagic + "\x80\x02M\xe9\x03."), "unexpected EOF"},
		"a later stream": {
			[]byte(streamMagic + "\x80\x02M\xea\x03."),
			"the format has another version than 1001",
		},
		"a big-endian stream": {
			[]byte(streamMagic + "\x80\x02M\xe9\x03.\x80\x02}" + text("little_endian") + "\x89s."),
			"was not written on a little-endian machine",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "w.bin")
			require.NoError(t, os.WriteFile(path, c.data, 0o644))
			_, err := Open(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestATruncatedStreamIsAnError(t *testing.T) {
	whole, err := os.ReadFile("testdata/golden-stream.bin")
	require.NoError(t, err)
	for _, n := range []int{20, 100, len(whole) / 2, len(whole) - 1} {
		_, err := parse(bytes.NewReader(whole[:n]), int64(n), "w.bin")
		require.ErrorContains(t, err, "w.bin: ")
	}
}

// FuzzParse makes sure that no file makes the reader panic, hang or hold more than the file is large.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"golden.bin", "golden-stream.bin"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse(bytes.NewReader(data), int64(len(data)), "w.bin")
		if err != nil {
			return
		}
		for _, name := range file.Names() {
			_, values, err := file.Tensor(name)
			if err == nil {
				require.LessOrEqual(t, len(values), len(data)) // no value has less than a byte
			}
		}
	})
}

// FuzzUnpickle is FuzzParse for the pickle alone, which the checksums of an archive would hide from the fuzzer.
func FuzzUnpickle(f *testing.F) {
	f.Add([]byte(pickled(dictionaryOf("x", tensorOf(storageID("FloatStorage", "0", number(2)), number(0), number(2), number(1))))))
	f.Add([]byte(pickled("]q\x00(N\x88K\x01M\x02\x00G\x00\x00\x00\x00\x00\x00\x00\x00eh\x00a")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		storages := map[string]*storage{}
		_, _, _ = unpickle(bytes.NewReader(data), int64(len(data)), func(id tuple) (*storage, error) {
			return newStorage(id, storages)
		})
	})
}
