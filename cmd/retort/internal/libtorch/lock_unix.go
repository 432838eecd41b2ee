//go:build unix && !solaris && !aix

package libtorch

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks an open file. The system releases the lock when the process ends, also by a kill.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
