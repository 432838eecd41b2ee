package main

import (
	"time"

	"github.com/retort-ir/retort/internal/rss"
)

// memory watches how much anonymous memory the process takes.
type memory struct {
	before, most int64 // bytes
	quit, ended  chan struct{}
}

func watchMemory() *memory {
	m := &memory{before: rss.Anonymous(), quit: make(chan struct{}), ended: make(chan struct{})}
	go m.watch()
	return m
}

func (m *memory) watch() {
	defer close(m.ended)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		m.most = max(m.most, rss.Anonymous())
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
