package causallm

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/retort-ir/retort/internal/torch"
)

// prefixes keeps the keys and values of shared prefixes, the most recently used ones. It belongs to the runtime's
// thread.
type prefixes struct {
	entries map[string]*keyValues
	recent  []string // keys, the least recently used first
}

func newPrefixes() *prefixes { return &prefixes{entries: map[string]*keyValues{}} }

// get returns the keys and values of a prefix, nil for an empty one, computing them where they are not there. They
// stay valid until trim.
func (p *prefixes) get(ctx context.Context, s *torch.Scope, n *network, ids []int32) *keyValues {
	if len(ids) == 0 {
		return nil
	}
	key := keyOf(ids)
	if i := slices.Index(p.recent, key); i >= 0 {
		p.recent = append(slices.Delete(p.recent, i, i+1), key)
		return p.entries[key]
	}
	b := newBlock([][]int32{ids}, nil)
	b.keep = true
	var kv *keyValues
	s.Sub(func(s *torch.Scope) torch.Tensor {
		_, kv = n.forward(ctx, s, b)
		return nil
	})
	if kv == nil {
		return nil
	}
	p.entries[key] = kv
	p.recent = append(p.recent, key)
	return kv
}

// trim drops the least recently used prefixes down to most tokens.
func (p *prefixes) trim(s *torch.Scope, most int) {
	total := 0
	for _, kv := range p.entries {
		total += kv.length
	}
	for total > most && len(p.recent) > 1 {
		kv := p.entries[p.recent[0]]
		total -= kv.length
		kv.free(s)
		delete(p.entries, p.recent[0])
		p.recent = p.recent[1:]
	}
}

func (p *prefixes) free(s *torch.Scope) {
	for _, kv := range p.entries {
		kv.free(s)
	}
	p.entries, p.recent = map[string]*keyValues{}, nil
}

func keyOf(ids []int32) string {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return string(b)
}
