package torchsave

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// streamMagic is the pickle of the number that a file of PyTorch before 1.6 begins with.
const streamMagic = "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

// streamProtocol is the version of that format.
const streamProtocol = 1001

// readStream reads what torch.save wrote before PyTorch 1.6: five pickles, which are the magic number, the version, facts
// about the machine, the value and the keys of the storages, and then each storage with its number of values.
func readStream(r io.ReaderAt, size int64) (any, error) {
	storages := map[string]*storage{}
	at := int64(len(streamMagic))
	next := func() (any, error) {
		value, n, err := unpickle(io.NewSectionReader(r, at, size-at), size-at, func(id tuple) (*storage, error) {
			return newStorage(id, storages)
		})
		at += n
		return value, err
	}
	version, err := next()
	if err != nil {
		return nil, err
	}
	if version != int64(streamProtocol) {
		return nil, fmt.Errorf("the format has another version than %d", streamProtocol)
	}
	machine, err := next()
	if err != nil {
		return nil, err
	}
	if err := checkMachine(machine); err != nil {
		return nil, err
	}
	value, err := next()
	if err != nil {
		return nil, err
	}
	keys, err := next()
	if err != nil {
		return nil, err
	}
	listed, ok := keys.(*list)
	if !ok {
		return nil, errors.New("the keys of the storages are no list")
	}
	for _, k := range listed.items {
		key, _ := k.(string)
		s := storages[key]
		if s == nil || s.data != nil {
			return nil, fmt.Errorf("the key %q of a storage is not used once", key)
		}
		if at, err = s.place(r, at, size); err != nil {
			return nil, err
		}
	}
	return value, nil
}

func checkMachine(facts any) error {
	if d, ok := facts.(*dictionary); ok {
		for _, e := range d.entries {
			if e.key == any("little_endian") && e.value == any(true) {
				return nil
			}
		}
	}
	return errors.New("the file was not written on a little-endian machine, which alone is supported")
}

// place finds the storage at a byte of the file and returns where the next one begins.
func (s *storage) place(r io.ReaderAt, at, size int64) (next int64, err error) {
	var length [8]byte
	if _, err := r.ReadAt(length[:], at); err != nil {
		return 0, fmt.Errorf("truncated: storage %q: %w", s.key, err)
	}
	if n := binary.LittleEndian.Uint64(length[:]); n != uint64(s.values) {
		return 0, fmt.Errorf("storage %q has %d values, its description says %d", s.key, n, s.values)
	}
	at += int64(len(length))
	bytes := min(s.bytes(), size-at)
	s.data = io.NewSectionReader(r, at, bytes)
	return at + bytes, s.checkSize(bytes)
}
