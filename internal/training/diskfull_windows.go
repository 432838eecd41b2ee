package training

import "syscall"

// DiskFull is the error of the system where a disk has no room.
const DiskFull = syscall.Errno(112) // ERROR_DISK_FULL
