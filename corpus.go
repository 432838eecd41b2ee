package retort

import "fmt"

// Corpus is an ordered set of passages with unique, non-empty ids. Implementations are safe for concurrent use.
type Corpus interface {
	Len() int
	// At returns the passage with index i, 0 <= i < Len().
	At(i int) (Passage, error)
	// Index returns the index of the passage with the given id, and whether there is one.
	Index(id string) (int, bool)
}

// MemoryCorpus is a Corpus held in memory. The zero value is an empty corpus.
type MemoryCorpus struct {
	passages []Passage
	index    map[string]int
}

// NewCorpus returns a corpus of the passages. It keeps the slice: do not change it afterwards. An empty or repeated id
// is an error.
func NewCorpus(passages []Passage) (*MemoryCorpus, error) {
	c := &MemoryCorpus{passages: passages, index: make(map[string]int, len(passages))}
	for i, p := range passages {
		if err := checkPassage(p); err != nil {
			return nil, fmt.Errorf("passage %d: %w", i, err)
		}
		if first, ok := c.index[p.ID]; ok {
			return nil, fmt.Errorf("passage %d: id %q is already used by passage %d", i, p.ID, first)
		}
		c.index[p.ID] = i
	}
	return c, nil
}

func (c *MemoryCorpus) Len() int { return len(c.passages) }

func (c *MemoryCorpus) At(i int) (Passage, error) {
	if i < 0 || i >= len(c.passages) {
		return Passage{}, fmt.Errorf("passage index %d is out of range: the corpus has %d passages", i, len(c.passages))
	}
	return c.passages[i], nil
}

func (c *MemoryCorpus) Index(id string) (int, bool) {
	i, ok := c.index[id]
	return i, ok
}
