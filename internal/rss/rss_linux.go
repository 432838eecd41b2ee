package rss

import (
	"bytes"
	"os"
	"strconv"
)

// Peak returns the highest resident memory that the process has had since it began, in bytes, mapped files included; 0
// where the system does not tell.
func Peak() int64 { return value("VmHWM:") }

// Resident returns the resident memory of the process now, in bytes, mapped files included; 0 where the system does
// not tell.
func Resident() int64 { return value("VmRSS:") }

// Anonymous returns the resident memory of the process now, in bytes, without files that are mapped or cached; 0
// where the system does not tell.
func Anonymous() int64 { return value("RssAnon:") }

func value(field string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return valueOf(status, field)
}

// valueOf reads a line such as "VmHWM:	   10500 kB" (proc_pid_status(5)).
func valueOf(status []byte, field string) int64 {
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte(field))
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
