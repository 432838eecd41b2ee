package teacher

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lock takes the file for this store alone until it is closed or the process ends. The locked byte lies far behind the
// data, which Windows would otherwise keep from every other handle.
func lock(f *os.File) error {
	at := windows.Overlapped{OffsetHigh: math.MaxInt32}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return fmt.Errorf("%w by another process, or opened twice by this one", ErrLocked)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}
