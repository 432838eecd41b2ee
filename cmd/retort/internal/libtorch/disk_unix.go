//go:build linux || darwin

package libtorch

import "syscall"

// freeSpace returns the bytes that the user may still write on dir's disk.
func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
