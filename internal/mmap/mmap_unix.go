//go:build unix

package mmap

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func view(f *os.File, size int) (*File, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOSYS) {
		return read(f, size) // a file system without maps
	}
	if err != nil {
		return nil, err
	}
	return &File{data: data, close: unix.Munmap, release: release}, nil
}

// release is advice to the system: what it returns does not matter.
func release(data []byte) { _ = unix.Madvise(data, unix.MADV_DONTNEED) }
