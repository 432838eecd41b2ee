package pipeline

import (
	"sync"

	"github.com/retort-ir/retort"
)

// lookup is a corpus that remembers which index an id has. Lists name the same passages again and again, and a corpus in
// a file reads a passage for every answer.
type lookup struct {
	retort.Corpus
	mu    sync.Mutex
	known map[string]int
}

func withLookup(c retort.Corpus) retort.Corpus {
	switch c.(type) {
	case *retort.MemoryCorpus, *lookup:
		return c
	}
	return &lookup{Corpus: c, known: map[string]int{}}
}

// Index asks the corpus for what it has not found before.
func (l *lookup) Index(id string) (int, bool) {
	l.mu.Lock()
	index, ok := l.known[id]
	l.mu.Unlock()
	if ok {
		return index, true
	}
	if index, ok = l.Corpus.Index(id); !ok {
		return 0, false
	}
	l.mu.Lock()
	l.known[id] = index
	l.mu.Unlock()
	return index, true
}
