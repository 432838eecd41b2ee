//go:build !windows

package training

import "syscall"

// DiskFull is the system's error for a full disk.
const DiskFull = syscall.ENOSPC
