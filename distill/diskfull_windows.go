package distill

import "syscall"

const diskFull = syscall.Errno(112) // ERROR_DISK_FULL
