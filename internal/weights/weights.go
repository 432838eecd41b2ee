// Package weights reads the tensors of a model folder: one safetensors file, several with an index, or the same of
// PyTorch's .bin files. As in transformers, the first form of these that a folder has is the one that counts.
package weights

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torchsave"
)

// The names of a folder's weights.
const (
	SafetensorsFile = "model.safetensors"
	PyTorchFile     = "pytorch_model.bin"
	indexSuffix     = ".index.json"
)

// File is an open file of tensors.
type File interface {
	Names() []string
	Shape(name string) ([]int, bool)
	DType(name string) string
	Tensor(name string) (shape []int, values []float32, err error)
	Ints(name string) ([]int64, error)
	Close() error
}

// Folder is the open weights of a folder. It is safe for concurrent use; only Close must not overlap a read.
type Folder struct {
	path  string          // of the one file, or of the index
	files map[string]File // by their paths
	in    map[string]string
	names []string
}

// Open opens the weights of a folder. A folder without any is an error that wraps fs.ErrNotExist.
func Open(dir string) (*Folder, error) {
	for _, form := range []struct {
		file string
		open func(path string) (File, error)
	}{
		{SafetensorsFile, func(path string) (File, error) { return safetensors.Open(path) }},
		{PyTorchFile, func(path string) (File, error) { return torchsave.Open(path) }},
	} {
		for _, name := range []string{form.file, form.file + indexSuffix} {
			path := filepath.Join(dir, name)
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			f := &Folder{path: path, files: map[string]File{}, in: map[string]string{}}
			var err error
			if name == form.file {
				err = f.add(path, form.open)
			} else {
				err = f.addShards(dir, form.open)
			}
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			f.names = slices.Sorted(maps.Keys(f.in))
			return f, nil
		}
	}
	return nil, missing(dir)
}

// missing says what the folder may hold instead.
func missing(dir string) error {
	either := SafetensorsFile + " or " + PyTorchFile
	if others, _ := filepath.Glob(filepath.Join(dir, "*.gguf")); len(others) > 0 {
		return fmt.Errorf("%s: no %s, but a GGUF file: give its path, %s: %w", dir, either, others[0], fs.ErrNotExist)
	}
	return fmt.Errorf("%s: no %s: %w", dir, either, fs.ErrNotExist)
}

// add opens a file, all of whose tensors belong to the folder.
func (f *Folder) add(path string, open func(string) (File, error)) error {
	file, err := open(path)
	if err != nil {
		return err
	}
	f.files[path] = file
	for _, name := range file.Names() {
		f.in[name] = path
	}
	return nil
}

// addShards opens the files that the index names. Each must hold the tensors that the index says, and no other.
func (f *Folder) addShards(dir string, open func(string) (File, error)) error {
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := jsonfile.Read(f.path, &index); err != nil {
		return err
	}
	if len(index.Map) == 0 {
		return fmt.Errorf("%s: weight_map is missing or empty", f.path)
	}
	for _, name := range slices.Sorted(maps.Keys(index.Map)) {
		shard := index.Map[name]
		path := filepath.Join(dir, shard)
		if !filepath.IsLocal(shard) || filepath.Base(shard) != shard || path == f.path {
			return fmt.Errorf("%s: tensor %q is said to be in %q, which is no file of weights in the folder",
				f.path, name, shard)
		}
		if f.files[path] == nil {
			if err := f.add(path, open); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
			}
		}
		if _, ok := f.files[path].Shape(name); !ok {
			return fmt.Errorf("%s: no tensor %q, which %s says it holds", path, name, filepath.Base(f.path))
		}
	}
	for path, file := range f.files {
		for _, name := range file.Names() {
			if shard := index.Map[name]; filepath.Join(dir, shard) != path {
				return fmt.Errorf("%s holds tensor %q, which %s does not say", path, name, filepath.Base(f.path))
			}
		}
	}
	return nil
}

// Close closes the files.
func (f *Folder) Close() error {
	var err error
	for _, file := range f.files {
		err = errors.Join(err, file.Close())
	}
	return err
}

// Path returns the path of the file that holds a tensor; of an unknown tensor that of the one file, or of the index.
func (f *Folder) Path(name string) string {
	if path, ok := f.in[name]; ok {
		return path
	}
	return f.path
}

// IsSafetensors reports whether one safetensors file holds all weights, so that a copy of it is a copy of the weights.
func (f *Folder) IsSafetensors() bool { return filepath.Base(f.path) == SafetensorsFile }

// Names returns the names of the tensors, sorted.
func (f *Folder) Names() []string { return slices.Clone(f.names) }

// Shape returns the shape of a tensor, and whether there is a tensor of that name.
func (f *Folder) Shape(name string) ([]int, bool) {
	file, ok := f.files[f.in[name]]
	if !ok {
		return nil, false
	}
	return file.Shape(name)
}

// DType returns the type of a tensor by its name in safetensors: F32, BF16, I64, ...; "" for an unknown tensor.
func (f *Folder) DType(name string) string {
	file, ok := f.files[f.in[name]]
	if !ok {
		return ""
	}
	return file.DType(name)
}

// Read returns the values of a tensor, row-major, which must have this shape and be finite. It reads the types F64, F32,
// F16 and BF16. F64 rounds to the nearest; all other types convert exactly.
func (f *Folder) Read(name string, shape []int) ([]float32, error) {
	if err := f.Check(name, shape); err != nil {
		return nil, err
	}
	_, values, err := f.files[f.in[name]].Tensor(name)
	if err != nil {
		return nil, err
	}
	return values, f.checkFinite(name, values)
}

// View is Read, without a copy where the file can be mapped and holds float32. The values must not be changed, and are
// gone after Close.
func (f *Folder) View(name string, shape []int) ([]float32, error) {
	file, ok := f.files[f.in[name]].(*safetensors.File)
	if !ok {
		return f.Read(name, shape)
	}
	if err := f.Check(name, shape); err != nil {
		return nil, err
	}
	_, values, err := file.View(name)
	if err != nil {
		return nil, err
	}
	return values, f.checkFinite(name, values)
}

// Release gives the memory of views back to the system. They stay valid: what is used again is read again.
func (f *Folder) Release() {
	for _, file := range f.files {
		if file, ok := file.(*safetensors.File); ok {
			file.Release()
		}
	}
}

func (f *Folder) checkFinite(name string, values []float32) error {
	var sum float32 // 0, or NaN
	for _, v := range values {
		sum += v * 0
	}
	if sum == 0 {
		return nil
	}
	i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
	return fmt.Errorf("%s: value %d of tensor %q is %v: the weights are damaged; download or train them again",
		f.Path(name), i, name, values[i])
}

// ReadInts is Read for the types I64, I32, I16, I8 and U8.
func (f *Folder) ReadInts(name string, shape []int) ([]int64, error) {
	if err := f.Check(name, shape); err != nil {
		return nil, err
	}
	return f.files[f.in[name]].Ints(name)
}

// Check returns an error if there is no tensor of this name and shape. want is what config.json makes of it.
func (f *Folder) Check(name string, want []int) error {
	got, ok := f.Shape(name)
	switch {
	case !ok:
		return fmt.Errorf("%s: no tensor %q; by config.json there is one of shape %v", f.path, name, want)
	case !slices.Equal(got, want):
		return fmt.Errorf("%s: tensor %q has shape %v; by config.json it is %v", f.Path(name), name, got, want)
	}
	return nil
}
