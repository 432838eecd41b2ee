package weights

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/safetensors"
)

// The golden files come from torch.save and Python's safetensors: testdata/make_golden.py.

func TestEveryFormHoldsTheSame(t *testing.T) {
	for _, form := range []string{"one", "shards", "bin", "bin-shards"} {
		t.Run(form, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", form))
			require.NoError(t, err)
			defer f.Close()
			require.Equal(t, []string{"a.bias", "a.weight", "b.ids", "b.weight"}, f.Names())
			require.Equal(t, form == "one", f.IsSafetensors())
			for name, want := range map[string]struct {
				kind   string
				shape  []int
				values []float32
			}{
				"a.weight": {"F32", []int{2, 3}, []float32{0, 1. / 7, 2. / 7, 3. / 7, 4. / 7, 5. / 7}},
				"a.bias":   {"F16", []int{2}, []float32{.5, -.25}},
				"b.weight": {"BF16", []int{1, 1}, []float32{1.5}},
			} {
				require.Equal(t, want.kind, f.DType(name))
				shape, ok := f.Shape(name)
				require.True(t, ok)
				require.Equal(t, want.shape, shape)
				values, err := f.Read(name, shape)
				require.NoError(t, err)
				require.Equal(t, want.values, values)
			}
			require.Equal(t, "I64", f.DType("b.ids"))
			_, err = f.Read("b.ids", []int{3})
			require.ErrorContains(t, err, `tensor "b.ids": type I64`)
			ids, err := f.ReadInts("b.ids", []int{3})
			require.NoError(t, err)
			require.Equal(t, []int64{0, 1, 2}, ids)
			_, err = f.ReadInts("a.bias", []int{2})
			require.ErrorContains(t, err, `tensor "a.bias": type F16; I64, I32, I16, I8 and U8 can be read as integers`)
			_, err = f.Read("b.weight", []int{2, 1})
			require.EqualError(t, err, f.Path("b.weight")+`: tensor "b.weight" has shape [1 1]; by config.json it is [2 1]`)
			_, err = f.Read("c", []int{2})
			require.EqualError(t, err, f.Path("c")+`: no tensor "c"; by config.json there is one of shape [2]`)
			require.Empty(t, f.DType("c"))
		})
	}
}

func TestTheFirstFormCounts(t *testing.T) {
	dir := t.TempDir()
	for _, form := range []string{"bin-shards", "bin", "shards", "one"} {
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", form))))
		f, err := Open(dir)
		require.NoError(t, err)
		want := map[string]string{
			"bin-shards": "pytorch_model.bin.index.json", "bin": "pytorch_model.bin",
			"shards": "model.safetensors.index.json", "one": "model.safetensors",
		}[form]
		require.Equal(t, filepath.Join(dir, want), f.Path(""), "as transformers prefers them")
		require.NoError(t, f.Close())
	}
}

func TestFoldersOfShardsThatDoNotFitAreNamedErrors(t *testing.T) {
	const first, second, index = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"
	for name, c := range map[string]struct {
		index string // "" is unchanged
		harm  func(dir string) error
		want  string
	}{
		"a missing shard": {"", func(dir string) error { return os.Remove(filepath.Join(dir, second)) }, second + ": no such file"},
		"a cut shard":     {"", func(dir string) error { return os.Truncate(filepath.Join(dir, second), 100) }, second},
		"a cycle of links": {"", func(dir string) error {
			path := filepath.Join(dir, second)
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink(path, path)
		}, second},
		"a shard outside":     {`{"weight_map": {"a.weight": "../` + first + `"}}`, nil, `"../` + first + `", which is no file of weights`},
		"an absolute path":    {`{"weight_map": {"a.weight": "/etc/passwd"}}`, nil, `"/etc/passwd", which is no file of weights`},
		"the folder":          {`{"weight_map": {"a.weight": "."}}`, nil, "not a regular file"},
		"no name":             {`{"weight_map": {"a.weight": ""}}`, nil, `"", which is no file of weights`},
		"itself":              {`{"weight_map": {"a.weight": "` + index + `"}}`, nil, `"` + index + `", which is no file of weights`},
		"a tensor elsewhere":  {`{"weight_map": {"a.bias": "` + first + `"}}`, nil, `no tensor "a.bias", which ` + index + ` says it holds`},
		"a tensor not listed": {`{"weight_map": {"a.bias": "` + second + `"}}`, nil, second + ` holds tensor "b.ids", which ` + index + ` does not say`},
		"no map":              {`{}`, nil, index + ": weight_map is missing or empty"},
		"no JSON":             {`x`, nil, index},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/shards")))
			if c.index != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, index), []byte(c.index), 0o644))
			}
			if c.harm != nil {
				require.NoError(t, c.harm(dir))
			}
			_, err := Open(dir)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, dir)
		})
	}
}

func TestValuesThatAreNotFiniteAreDamage(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		dir := t.TempDir()
		file, err := os.Create(filepath.Join(dir, SafetensorsFile))
		require.NoError(t, err)
		require.NoError(t, safetensors.Write(file, []safetensors.Tensor{
			{Name: "a", Shape: []int{3}, Values: []float32{math.MaxFloat32, float32(bad), 0}},
		}, nil))
		require.NoError(t, file.Close())
		f, err := Open(dir)
		require.NoError(t, err)
		defer f.Close()
		_, err = f.Read("a", []int{3})
		require.EqualError(t, err, fmt.Sprintf("%s: value 1 of tensor \"a\" is %v: the weights are damaged; download or train "+
			"them again", f.Path("a"), bad))
	}
}

// Whatever the index says, the folder is refused, or every tensor of it can be read.
func FuzzIndex(f *testing.F) {
	const index = SafetensorsFile + indexSuffix
	raw, err := os.ReadFile(filepath.Join("testdata/shards", index))
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte(`{"weight_map": {"a.weight": "../x", "b": 1}}`))
	shards, err := filepath.Abs("testdata/shards")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		for _, name := range []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"} {
			require.NoError(t, os.Symlink(filepath.Join(shards, name), filepath.Join(dir, name)))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, index), raw, 0o644))
		w, err := Open(dir)
		if err != nil {
			require.ErrorContains(t, err, dir)
			return
		}
		for _, name := range w.Names() {
			shape, ok := w.Shape(name)
			require.True(t, ok)
			require.NoError(t, w.Check(name, shape))
		}
		require.NoError(t, w.Close())
	})
}

func TestFoldersWithoutWeightsSayWhatIsWanted(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, dir+": no model.safetensors or pytorch_model.bin")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m.gguf"), nil, 0o644))
	_, err = Open(dir)
	require.ErrorContains(t, err, "but a GGUF file: give its path")
}
