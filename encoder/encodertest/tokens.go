package encodertest

import (
	"context"
	"hash/fnv"
	"strings"
	"unicode"

	"github.com/retort-ir/retort/encoder"
)

type inputs struct {
	role   encoder.Role
	tokens [][]int
}

func (in *inputs) Len() int         { return len(in.tokens) }
func (in *inputs) Tokens(i int) int { return len(in.tokens[i]) }

func (e *Encoder) tokenise(ctx context.Context, role encoder.Role, texts []string) (*inputs, error) {
	limit := e.options.MaxPassageTokens
	if role == encoder.Query {
		limit = e.options.MaxQueryTokens
	}
	in := &inputs{role: role, tokens: make([][]int, len(texts))}
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		in.tokens[i] = tokens(role, text, e.options.Buckets, limit)
	}
	return in, ctx.Err()
}

// tokens returns the role's own token, 0 for a query and 1 for a passage, then one a word: 2 + FNV-1a(word) mod
// (buckets-2).
func tokens(role encoder.Role, text string, buckets, limit int) []int {
	ids := []int{int(role)}
	for word := range strings.FieldsFuncSeq(text,
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(ids) == limit {
			break
		}
		h := fnv.New32a()
		h.Write([]byte(strings.ToLower(word)))
		ids = append(ids, 2+int(h.Sum32()%uint32(buckets-2)))
	}
	return ids
}
