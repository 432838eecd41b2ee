package causallm

import (
	"slices"

	"github.com/retort-ir/retort/internal/torch"
)

// group is a run of rows of a decoding batch that follow the same prefix; nil is none.
type group struct {
	prefix *keyValues
	rows   int
}

// cache holds what the rows of a decoding batch have read and written behind their prefixes. Each row's own part
// begins at column 0 and what it writes at column begin, so that all rows write into one column; between the two lies
// a hole that the mask hides. Its tensors belong to the caller of free.
type cache struct {
	groups   []group
	rows     int
	capacity int // columns
	begin    int // where writing begins
	used     int // columns in use
	own      []int
	position []int // of the next token
	k, v     []torch.Tensor
	mask     torch.Tensor // [rows x 1 x 1 x capacity], in the model's precision
}

// newCache makes room for rows of these own lengths and for some tokens to be written behind them. The rows' keys and
// values are filled in by put.
func (n *network) newCache(s *torch.Scope, groups []group, own []int, write int) *cache {
	c := &cache{groups: groups, rows: len(own), own: own}
	for _, length := range own {
		c.begin = max(c.begin, length)
	}
	c.used, c.capacity = c.begin, c.begin+write
	kv, d := int64(n.config.kvHeads), int64(n.config.headDim)
	for range n.layers {
		k, v := s.Zeros(n.stored, int64(c.rows), kv, int64(c.capacity), d), s.Zeros(n.stored, int64(c.rows), kv,
			int64(c.capacity), d)
		if s.Err() != nil {
			c.free(s)
			return nil
		}
		c.k, c.v = append(c.k, s.Keep(k)), append(c.v, s.Keep(v))
	}
	row := 0
	for _, g := range groups {
		for range g.rows {
			c.position = append(c.position, own[row])
			if g.prefix != nil {
				c.position[row] += g.prefix.length
			}
			row++
		}
	}
	if c.mask = n.holes(s, c); c.mask == nil {
		c.free(s)
		return nil
	}
	return c
}

func (n *network) holes(s *torch.Scope, c *cache) torch.Tensor {
	values := make([]float32, c.rows*c.capacity)
	for r, length := range c.own {
		for j := length; j < c.begin; j++ {
			values[r*c.capacity+j] = masked
		}
	}
	t := s.As(s.FromFloats(values, int64(c.rows), 1, 1, int64(c.capacity)), n.precision)
	if t == nil {
		return nil
	}
	return s.Keep(t)
}

// put copies the keys and values of a computed block to the rows from first on.
func (c *cache) put(s *torch.Scope, first int, kv *keyValues, rows int) {
	s.Sub(func(s *torch.Scope) torch.Tensor {
		for i := range c.k {
			for _, pair := range [][2]torch.Tensor{{c.k[i], kv.k[i]}, {c.v[i], kv.v[i]}} {
				s.Copy(s.Narrow(s.Narrow(pair[0], 0, int64(first), int64(rows)), 2, 0, int64(kv.length)), pair[1])
			}
		}
		return nil
	})
}

func (c *cache) free(s *torch.Scope) {
	s.Free(c.k...)
	s.Free(c.v...)
	s.Free(c.mask)
	c.k, c.v, c.mask = nil, nil, nil
}

// keepRows drops all rows but these, which are in order.
func (c *cache) keepRows(s *torch.Scope, rows []int) {
	indices := make([]int64, len(rows))
	own, position := make([]int, len(rows)), make([]int, len(rows))
	var groups []group
	last := -1
	for i, r := range rows {
		indices[i], own[i], position[i] = int64(r), c.own[r], c.position[r]
		if g := c.groupOf(r); g != last {
			groups = append(groups, group{prefix: c.groups[g].prefix})
			last = g
		}
		groups[len(groups)-1].rows++
	}
	s.Sub(func(s *torch.Scope) torch.Tensor {
		at := s.FromInts(indices, int64(len(rows)))
		take := func(t torch.Tensor) torch.Tensor {
			kept := s.IndexSelect(t, 0, at)
			if kept == nil {
				return t
			}
			s.Free(t)
			return s.Keep(kept)
		}
		for i := range c.k {
			c.k[i], c.v[i] = take(c.k[i]), take(c.v[i])
		}
		c.mask = take(c.mask)
		return nil
	})
	c.groups, c.rows, c.own, c.position = groups, len(rows), own, position
}

// groupOf returns the group that a row belongs to.
func (c *cache) groupOf(row int) int {
	for i, g := range c.groups {
		if row < g.rows {
			return i
		}
		row -= g.rows
	}
	return len(c.groups)
}

// step reads one token a row, writes its keys and values into the cache, and returns the logits of the next, [rows x
// vocab] in float32.
func (n *network) step(s *torch.Scope, c *cache, tokens []int64) torch.Tensor {
	positions := make([]int64, c.rows)
	for i, p := range c.position {
		// A row that is done may run on beside longer ones until the cache is compacted; what it computes is thrown away.
		positions[i] = int64(min(p, n.positions-1))
	}
	logits := s.Sub(func(s *torch.Scope) torch.Tensor {
		x := n.embed(s, tokens)
		a := n.angles(s, s.FromInts(positions, int64(c.rows)))
		column := int64(c.used)
		all := stepMask{own: s.Narrow(c.mask, 3, 0, column+1)}
		local := all
		if w := n.config.window; n.config.local != nil && slices.Max(c.position) >= w {
			local = n.localMask(s, c, w)
		}
		for i, l := range n.layers {
			x = replace(s, x, func(s *torch.Scope) torch.Tensor {
				q, k, v := n.project(s, l, x, a)
				rows, kv, d := int64(c.rows), int64(n.config.kvHeads), int64(n.config.headDim)
				s.Copy(s.Narrow(c.k[i], 2, column, 1), s.Reshape(k, rows, kv, 1, d))
				s.Copy(s.Narrow(c.v[i], 2, column, 1), s.Reshape(v, rows, kv, 1, d))
				mask := all
				if l.local {
					mask = local
				}
				return n.finish(s, l, x, n.attendCached(s, c, i, s.Scale(q, n.config.scoreScale()), mask))
			})
		}
		return n.logits(s, x)
	})
	c.used++
	for i := range c.position {
		c.position[i]++
	}
	return logits
}

// stepMask is 0 or masked for what one token a row sees: of its own part [rows x 1 x 1 x columns] and of each group's
// prefix [rows x 1 x 1 x length], nil where all of it.
type stepMask struct {
	own    torch.Tensor
	before []torch.Tensor
}

// localMask hides all that is as far as the window from the tokens that are read now.
func (n *network) localMask(s *torch.Scope, c *cache, window int) stepMask {
	columns := c.used + 1
	own := make([]float32, c.rows*columns)
	var m stepMask
	row := 0
	for _, g := range c.groups {
		length := 0
		if g.prefix != nil {
			length = g.prefix.length
		}
		before := make([]float32, g.rows*length)
		for i := range g.rows {
			oldest := c.position[row] - window + 1 // that the row sees
			for p := range min(max(oldest, 0), length) {
				before[i*length+p] = masked
			}
			line := own[row*columns:][:columns]
			for j := range line {
				position := length + j
				if j >= c.begin {
					position += c.own[row] - c.begin
				}
				if position < oldest || j >= c.own[row] && j < c.begin {
					line[j] = masked
				}
			}
			row++
		}
		var t torch.Tensor
		if g.prefix != nil {
			t = s.As(s.FromFloats(before, int64(g.rows), 1, 1, int64(length)), n.precision)
		}
		m.before = append(m.before, t)
	}
	m.own = s.As(s.FromFloats(own, int64(c.rows), 1, 1, int64(columns)), n.precision)
	return m
}

// attendCached is the attention of one token a row, [rows x heads headDim], over the group's prefix and the row's own
// part. The queries of all rows of a group meet the prefix in one matrix product.
func (n *network) attendCached(s *torch.Scope, c *cache, layer int, q torch.Tensor, mask stepMask) torch.Tensor {
	heads, kv, d := int64(n.config.heads), int64(n.config.kvHeads), int64(n.config.headDim)
	share := heads / kv
	used := s.Shape(mask.own)
	if used == nil {
		return nil
	}
	columns := used[3]
	var parts []torch.Tensor
	first := int64(0)
	for i, g := range c.groups {
		rows := int64(g.rows)
		mine := s.Reshape(s.Narrow(q, 0, first, rows), rows, kv, share, d)
		k := s.As(s.Narrow(s.Narrow(c.k[layer], 0, first, rows), 2, 0, columns), n.precision)
		v := s.As(s.Narrow(s.Narrow(c.v[layer], 0, first, rows), 2, 0, columns), n.precision)
		scores := capped(s, s.MatMul(mine, s.Transpose(k, 2, 3)), n.config.attentionCap)
		scores = s.Add(scores, s.Narrow(mask.own, 0, first, rows))
		first += rows
		if g.prefix == nil {
			parts = append(parts, s.Reshape(s.MatMul(s.Softmax(scores, 3), v), rows, heads*d))
			continue
		}
		length := int64(g.prefix.length)
		together := s.Reshape(s.Transpose(mine, 0, 1), kv, rows*share, d)
		before := s.MatMul(together, s.Transpose(s.As(s.Reshape(g.prefix.k[layer], kv, length, d), n.precision), 1, 2))
		before = capped(s, s.Transpose(s.Reshape(before, kv, rows, share, length), 0, 1), n.config.attentionCap)
		if mask.before != nil {
			before = s.Add(before, mask.before[i])
		}
		weights := s.Softmax(s.Cat(3, before, scores), 3)
		own := s.MatMul(s.Narrow(weights, 3, length, columns), v)
		together = s.Reshape(s.Transpose(s.Narrow(weights, 3, 0, length), 0, 1), kv, rows*share, length)
		shared := s.MatMul(together, s.As(s.Reshape(g.prefix.v[layer], kv, length, d), n.precision))
		shared = s.Transpose(s.Reshape(shared, kv, rows, share, d), 0, 1)
		parts = append(parts, s.Reshape(s.Add(own, shared), rows, heads*d))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return s.Cat(0, parts...)
}
