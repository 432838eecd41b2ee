package encodernet

import (
	"github.com/retort-ir/retort/internal/kernel"
)

// queryBlock is how many queries attention computes at a time, so that their scores stay in a processor's cache.
const queryBlock = 96

// attend mixes the values of each text into mixed, [tokens x heads x head size] or one row a text.
func (p *packedPass) attend(l *packedLayer, of Tokens) error {
	c, d := p.Config, p.Config.headSize()
	width := l.qkv.Out()
	rows := p.allWidth
	if of != AllTokens {
		rows = len(p.texts)
	}
	mixed := grow(&p.mixed, rows*c.Heads*d)
	qkv := p.qkv
	for _, ids := range p.texts {
		n := len(ids)
		t := textAttention{
			packedPass: p, local: l.local, tokens: n, qkv: qkv[:n*width], width: width, mixed: mixed, to: n,
		}
		if of != AllTokens {
			t.from = of.index(n)
			t.to = t.from + 1
		}
		for kv := range c.kvHeads() {
			if err := p.ctx.Err(); err != nil {
				return err
			}
			if err := t.heads(kv); err != nil {
				return err
			}
		}
		qkv, mixed = qkv[n*width:], mixed[(t.to-t.from)*c.Heads*d:]
	}
	return nil
}

// textAttention is the attention of the queries [from, to) of one text.
type textAttention struct {
	*packedPass
	local    bool
	tokens   int
	qkv      []float32 // [tokens x width]
	width    int
	mixed    []float32 // [to - from x heads x head size]
	from, to int
}

// heads computes the heads of queries that share a head of keys and values.
func (t *textAttention) heads(kv int) error {
	c, d := t.Config, t.Config.headSize()
	shared := c.Heads / c.kvHeads()
	keys := t.qkv[(c.Heads+kv)*d:]
	values := t.qkv[(c.Heads+c.kvHeads()+kv)*d:]
	packedFrom, packedTo := 0, 0
	for from := t.from; from < t.to; from += queryBlock {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		to := min(from+queryBlock, t.to)
		first, _ := t.sees(from)
		_, end := t.sees(to - 1)
		if first != packedFrom || end != packedTo {
			packedFrom, packedTo = first, end
			t.keys.Load(keys[first*t.width:], t.width, end-first, d)
			t.values.LoadTransposed(values[first*t.width:], t.width, d, end-first)
		}
		for head := kv * shared; head < (kv+1)*shared; head++ {
			t.block(head, from, to, first, end)
		}
	}
	return nil
}

// sees returns which tokens, [first, end), a token attends to.
func (t *textAttention) sees(token int) (first, end int) {
	switch window := t.Config.Window; {
	case t.Config.Causal:
		return 0, token + 1
	case t.local && window > 0:
		return max(0, token-window), min(t.tokens, token+window+1)
	}
	return 0, t.tokens
}

// block computes queries [from, to) of a head over the keys and values [first, end), which are packed.
func (t *textAttention) block(head, from, to, first, end int) {
	heads, d, keys := t.Config.Heads, t.Config.headSize(), end-first
	scores := grow(&t.scores, (to-from)*keys)
	t.keys.MulStrided(scores, keys, t.qkv[from*t.width+head*d:], t.width, to-from)
	for token := from; token < to; token++ {
		row := scores[(token-from)*keys:][:keys]
		if t.relative != nil {
			t.addBias(row, head, first-token)
		}
		a, b := t.sees(token)
		a, b = a-first, b-first
		clear(row[:a])
		kernel.Softmax(row[a:b])
		clear(row[b:])
	}
	t.values.MulStrided(t.mixed[(from-t.from)*heads*d+head*d:], heads*d, scores, keys, to-from)
}

// addBias adds the bias of keys at rising distances from a query.
func (t *textAttention) addBias(row []float32, head, distance int) {
	bias := t.relative[head]
	for i := range row {
		row[i] += bias[min(max(distance+i, -farthest), farthest)+farthest]
	}
}

// relativeBias returns each head's bias by the distance from a query to a key, from -farthest to farthest. weights are
// [buckets x heads]; nil: there is no bias.
func relativeBias(weights []float32, heads int) [][]float32 {
	if weights == nil {
		return nil
	}
	bias := make([][]float32, heads)
	for head := range bias {
		for distance := -farthest; distance <= farthest; distance++ {
			bias[head] = append(bias[head], weights[bucket(distance)*heads+head])
		}
	}
	return bias
}
