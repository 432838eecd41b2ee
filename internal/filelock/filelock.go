// Package filelock locks files for one holder. The system frees a lock when its file is closed or its process ends,
// however it ends, so a dead process holds none.
package filelock

import "errors"

// ErrLocked says that another handle holds the lock, in this process or another.
var ErrLocked = errors.New("locked by another process, or opened twice by this one")
