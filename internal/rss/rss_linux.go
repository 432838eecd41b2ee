package rss

import (
	"bytes"
	"os"
	"strconv"
)

// Peak returns the highest resident memory that the process has had since it began, in bytes, mapped files included; 0
// where the system does not tell.
func Peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return peakOf(status)
}

// peakOf reads a line such as "VmHWM:	   10500 kB" (proc_pid_status(5)).
func peakOf(status []byte) int64 {
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" kB"))), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}
