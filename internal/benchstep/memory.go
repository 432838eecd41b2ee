package main

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// memory watches how much anonymous memory the process takes.
type memory struct {
	before, most int64 // bytes
	quit, ended  chan struct{}
}

func watchMemory() *memory {
	m := &memory{before: anonymous(), quit: make(chan struct{}), ended: make(chan struct{})}
	go m.watch()
	return m
}

func (m *memory) watch() {
	defer close(m.ended)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		m.most = max(m.most, anonymous())
		select {
		case <-tick.C:
		case <-m.quit:
			return
		}
	}
}

// stop returns the most bytes since watchMemory above those at that time.
func (m *memory) stop() int64 {
	close(m.quit)
	<-m.ended
	return m.most - m.before
}

// anonymous returns the resident anonymous memory of the process in bytes, 0 where the system does not tell.
func anonymous() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return anonymousOf(status)
}

// anonymousOf reads a line such as "RssAnon:	   10500 kB" (proc_pid_status(5)).
func anonymousOf(status []byte) int64 {
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte("RssAnon:"))
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
