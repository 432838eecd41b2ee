package tokenizer

// symbol is a piece of a word in a list linked by index.
type symbol struct {
	start, end int32 // bytes of the word
	id         int32 // of its token; -1: none
	prev, next int32 // -1: none
}

// candidate is a pair that may be joined.
type candidate struct {
	rank        int32 // the smallest rank is joined first, the leftmost of equal ranks
	left, right int32
	size        int32 // bytes of the pair when it was found; a later join makes it outdated
	id          int32 // of the joined token
}

func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.left < b.left
}

// pairRule says whether two neighbours may be joined, with the rank and the joined token.
type pairRule interface {
	join(word string, left, right symbol) (rank, id int32, ok bool)
}

// merger joins pairs by rank with a heap over a linked list, in O(n log n) for a word of n symbols.
type merger struct {
	symbols []symbol
	heap    []candidate
}

func (m *merger) reset() { m.symbols, m.heap = m.symbols[:0], m.heap[:0] }

func (m *merger) add(start, end int, id int32) {
	i := int32(len(m.symbols))
	if i > 0 {
		m.symbols[i-1].next = i
	}
	m.symbols = append(m.symbols, symbol{start: int32(start), end: int32(end), id: id, prev: i - 1, next: -1})
}

// run joins the symbols. The list of the remaining symbols begins at index 0.
func (m *merger) run(word string, rule pairRule) {
	for i := 1; i < len(m.symbols); i++ {
		m.consider(word, rule, int32(i-1), int32(i))
	}
	for len(m.heap) > 0 {
		c := m.pop()
		left, right := &m.symbols[c.left], &m.symbols[c.right]
		if left.next != c.right || right.end-left.start != c.size || right.prev != c.left {
			continue
		}
		left.end, left.id, left.next = right.end, c.id, right.next
		right.prev, right.next = -2, -2
		if left.next >= 0 {
			m.symbols[left.next].prev = c.left
			m.consider(word, rule, c.left, left.next)
		}
		if left.prev >= 0 {
			m.consider(word, rule, left.prev, c.left)
		}
	}
}

func (m *merger) consider(word string, rule pairRule, left, right int32) {
	l, r := m.symbols[left], m.symbols[right]
	if rank, id, ok := rule.join(word, l, r); ok {
		m.push(candidate{rank: rank, left: left, right: right, size: r.end - l.start, id: id})
	}
}

func (m *merger) push(c candidate) {
	m.heap = append(m.heap, c)
	h := m.heap
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = c
}

func (m *merger) pop() candidate {
	h := m.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	m.heap = h
	for i := 0; len(h) > 0; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if child >= len(h) || !h[child].before(last) {
			h[i] = last
			break
		}
		h[i] = h[child]
		i = child
	}
	return top
}
