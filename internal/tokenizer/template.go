package tokenizer

import (
	"math"
	"slices"
)

// template places the special tokens around a text or a pair of texts.
type template struct {
	parts    []templatePart
	specials int // ids of special tokens
}

// templatePart is a text, or special tokens.
type templatePart struct {
	text   int     // 0 or 1, where ids is nil
	ids    []int32 // special tokens
	typeID int32
}

// room returns how many tokens of texts maxTokens leaves.
func (t template) room(maxTokens int) int {
	if maxTokens == 0 {
		return math.MaxInt
	}
	return max(maxTokens-t.specials, 0)
}

// fill returns the ids, and with types the type ids.
func (t template) fill(a, b []int32, types bool) (ids, typeIDs []int32) {
	size := len(a) + len(b) + t.specials
	ids = make([]int32, 0, size)
	if types {
		typeIDs = make([]int32, 0, size)
	}
	for _, part := range t.parts {
		of := part.ids
		if of == nil {
			of = [][]int32{a, b}[part.text]
		}
		ids = append(ids, of...)
		if types {
			typeIDs = slices.Grow(typeIDs, len(of))
			for range of {
				typeIDs = append(typeIDs, part.typeID)
			}
		}
	}
	return ids, typeIDs
}

// longestFirst returns the lengths to which two texts of a and b tokens are cut in room: the longer text to the
// length of the shorter, then both to a half. An odd token belongs to the longer text, or to the second of equal
// ones.
func longestFirst(a, b, room int) (int, int) {
	if a+b <= room {
		return a, b
	}
	short, long := min(a, b), room-min(a, b)
	if long < short {
		short = room / 2
		long = room - short
	}
	if a > b {
		return long, short
	}
	return short, long
}
