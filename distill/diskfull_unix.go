//go:build !windows

package distill

import "syscall"

const diskFull = syscall.ENOSPC
