//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package teacher

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the file for this store alone until it is closed or the process ends.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("%w by another process, or opened twice by this one", ErrLocked)
		default:
			return fmt.Errorf("lock: %w", err)
		}
	}
}
