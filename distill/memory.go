package distill

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// The choice of a graph budget.
const (
	freeMemoryShare    = 4
	largestGraphBudget = 4 << 30
	defaultGraphBudget = 1 << 30 // used if free memory is unknown
)

// graphBudget returns the number of bytes that the kept graphs of a step may take.
func (o Options) graphBudget() int64 {
	switch {
	case o.Memory.GraphBudget < 0:
		return 0
	case o.Memory.GraphBudget > 0:
		return o.Memory.GraphBudget
	}
	workers := o.workers()
	free, ok := freeMemory()
	if !ok {
		return defaultGraphBudget / int64(workers.size())
	}
	return min(free/freeMemoryShare, largestGraphBudget) / int64(workers.size()) // all workers may run on this machine
}

// freeMemory returns the number of bytes that the process can still allocate without swapping: the memory available on
// the machine or left in the container's limit, whichever is less. It knows Linux only.
func freeMemory() (int64, bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	free, ok := available(info)
	const group = "/sys/fs/cgroup/memory."
	limit, limited := readBytes(group + "max")
	if current, known := readBytes(group + "current"); ok && limited && known {
		free = min(free, max(0, limit-current))
	}
	return free, ok
}

// available reads MemAvailable of /proc/meminfo.
func available(info []byte) (int64, bool) {
	lines := bufio.NewScanner(bytes.NewReader(info))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "MemAvailable:" && fields[2] == "kB" {
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}

// readBytes reads a file that contains one number. It returns false for "max".
func readBytes(path string) (int64, bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return n, err == nil
}
