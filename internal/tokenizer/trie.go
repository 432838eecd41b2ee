package tokenizer

import (
	"slices"
	"sort"
)

// trie maps texts to values and finds the prefixes of a text among them. Nodes are in breadth-first order: the children
// of node i are nodes first[i] to first[i+1].
type trie struct {
	root   [256]int32 // the root's children; 0: none
	labels []byte
	first  []int32
	values []int32 // -1: no text ends here
}

// newTrie makes a trie of texts. The last of equal texts counts; the empty text is ignored.
func newTrie(texts []string, values []int32) trie {
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return texts[order[a]] < texts[order[b]] })
	type span struct{ lo, hi, depth int } // texts with a common prefix of depth bytes
	t := trie{labels: []byte{0}, values: []int32{-1}}
	queue := []span{{0, len(order), 0}}
	for i := 0; i < len(queue); i++ {
		node := queue[i]
		for node.lo < node.hi && len(texts[order[node.lo]]) == node.depth {
			if node.depth > 0 {
				t.values[i] = values[order[node.lo]]
			}
			node.lo++
		}
		t.first = append(t.first, int32(len(queue)))
		for lo := node.lo; lo < node.hi; {
			label := texts[order[lo]][node.depth]
			hi := lo + sort.Search(node.hi-lo, func(k int) bool { return texts[order[lo+k]][node.depth] > label })
			if i == 0 {
				t.root[label] = int32(len(queue))
			}
			queue = append(queue, span{lo, hi, node.depth + 1})
			t.labels = append(t.labels, label)
			t.values = append(t.values, -1)
			lo = hi
		}
	}
	t.first = append(t.first, int32(len(queue)))
	return t
}

// next returns the child of a node (0: the root) for a byte; 0 if there is none.
func (t *trie) next(node int32, b byte) int32 {
	if node == 0 {
		return t.root[b]
	}
	first := t.first[node]
	i, found := slices.BinarySearch(t.labels[first:t.first[node+1]], b)
	if !found {
		return 0
	}
	return first + int32(i)
}

// longest returns the value and the length of the longest text that is a prefix of s; length 0 if there is none.
func (t *trie) longest(s string) (value int32, n int) {
	node := int32(0)
	for i := range len(s) {
		if node = t.next(node, s[i]); node == 0 {
			break
		}
		if v := t.values[node]; v >= 0 {
			value, n = v, i+1
		}
	}
	return value, n
}
