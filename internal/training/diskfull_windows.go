package training

import "syscall"

// DiskFull is the system's error for a full disk.
const DiskFull = syscall.Errno(112) // ERROR_DISK_FULL
