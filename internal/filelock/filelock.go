// Package filelock locks files for one holder. The system frees a lock when the file is closed or the process ends,
// however the process ends.
package filelock

import "errors"

// ErrLocked says that another handle holds the lock, in this process or another.
var ErrLocked = errors.New("locked by another process, or opened twice by this one")
