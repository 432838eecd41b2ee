package torchsave

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/safetensors"
)

// File is an open file of tensors. It is safe for concurrent use; only Close must not overlap a read.
type File struct {
	path    string
	file    *os.File
	names   []string
	tensors map[string]*tensor
}

// Open reads and checks the description of the tensors.
func Open(path string) (*File, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f, err := parse(file, info.Size(), path)
	if err != nil {
		file.Close()
		return nil, filekind.ExplainFile(err, path, filekind.PyTorch, filekind.Pickle)
	}
	f.file = file
	return f, nil
}

func parse(r io.ReaderAt, size int64, path string) (*File, error) {
	read := readArchive
	magic := make([]byte, len(streamMagic))
	if n, _ := r.ReadAt(magic, 0); bytes.Equal(magic[:n], []byte(streamMagic)) {
		read = readStream
	}
	value, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &File{path: path, tensors: map[string]*tensor{}}
	if err := f.collect(value); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// collect takes the tensors from the value of the pickle.
func (f *File) collect(value any) error {
	all, ok := value.(*dictionary)
	if !ok {
		return errors.New("the file holds no dictionary of tensors; save the model's state_dict")
	}
	for _, e := range all.entries {
		name, ok := e.key.(string)
		if !ok {
			return errors.New("a key of the dictionary of tensors is no text")
		}
		t, ok := e.value.(*tensor)
		if !ok {
			return fmt.Errorf("the value of %q is no tensor; save the model's state_dict alone", name)
		}
		if f.tensors[name] != nil {
			return fmt.Errorf("two tensors have the name %q", name)
		}
		if err := t.check(); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		f.tensors[name] = t
		f.names = append(f.names, name)
	}
	slices.Sort(f.names)
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Names returns the names of the tensors, sorted.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Shape returns the shape of a tensor, and whether there is a tensor of that name.
func (f *File) Shape(name string) ([]int, bool) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, false
	}
	return slices.Clone(t.shape), true
}

// DType returns the type of a tensor by its name in safetensors; "" for an unknown tensor.
func (f *File) DType(name string) string {
	t, ok := f.tensors[name]
	if !ok {
		return ""
	}
	return string(t.storage.kind)
}

// Tensor reads a tensor as safetensors.File does. It holds no more of the storage than the part that the tensor spans.
func (f *File) Tensor(name string) (shape []int, values []float32, err error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, nil, fmt.Errorf("%s: no tensor %q", f.path, name)
	}
	spanned, err := safetensors.Floats(t.storage.data, string(t.storage.kind), t.offset, t.span)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	return slices.Clone(t.shape), rows(t, spanned), nil
}

// Ints reads a tensor of integers as safetensors.File does.
func (f *File) Ints(name string) ([]int64, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %q", f.path, name)
	}
	spanned, err := safetensors.Ints(t.storage.data, string(t.storage.kind), t.offset, t.span)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
	}
	return rows(t, spanned), nil
}

// readArchive reads the ZIP archive that torch.save has written since PyTorch 1.6.
func readArchive(r io.ReaderAt, size int64) (any, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not a file of torch.save: %w", err)
	}
	members := map[string]*zip.File{}
	root := ""
	for _, m := range archive.File {
		if members[m.Name] != nil {
			return nil, fmt.Errorf("two members have the name %q", m.Name)
		}
		members[m.Name] = m
		if folder, ok := strings.CutSuffix(m.Name, "/data.pkl"); ok && !strings.Contains(folder, "/") {
			root = folder + "/"
		}
	}
	if root == "" {
		return nil, errors.New("not a file of torch.save: the archive has no data.pkl")
	}
	open := func(name string) (*io.SectionReader, error) {
		m := members[root+name]
		if m == nil {
			return nil, fmt.Errorf("the archive has no %s", root+name)
		}
		return stored(r, size, m)
	}
	if members[root+"byteorder"] != nil {
		if err := checkByteOrder(open); err != nil {
			return nil, err
		}
	}
	pickle, err := open("data.pkl")
	if err != nil {
		return nil, err
	}
	storages := map[string]*storage{}
	value, _, err := unpickle(pickle, pickle.Size(), func(id tuple) (*storage, error) {
		s, err := newStorage(id, storages)
		if err != nil || s.data != nil {
			return s, err
		}
		data, err := open("data/" + s.key)
		if err != nil {
			return nil, err
		}
		s.data = data
		return s, s.checkSize(data.Size())
	})
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	return value, nil
}

// stored returns the bytes of a member in the file.
func stored(r io.ReaderAt, size int64, m *zip.File) (*io.SectionReader, error) {
	if m.Method != zip.Store {
		return nil, fmt.Errorf("member %q is compressed; save the file again with torch.save", m.Name)
	}
	at, err := m.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("member %q: %w", m.Name, err)
	}
	if n := m.UncompressedSize64; at > size || n > uint64(size-at) {
		return nil, fmt.Errorf("truncated: member %q has %d bytes from byte %d of %d on", m.Name, n, at, size)
	}
	return io.NewSectionReader(r, at, int64(m.UncompressedSize64)), nil
}

func checkByteOrder(open func(string) (*io.SectionReader, error)) error {
	order, err := open("byteorder")
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(order, 16))
	if err != nil {
		return fmt.Errorf("byteorder: %w", err)
	}
	if string(text) != "little" {
		return fmt.Errorf("byteorder is %q; only little is supported", text)
	}
	return nil
}
