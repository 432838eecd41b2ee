//go:build !windows

package training

import "syscall"

// DiskFull is the error of the system where a disk has no room.
const DiskFull = syscall.ENOSPC
