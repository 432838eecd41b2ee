package encodernet

import (
	"math"
	"sync"

	"github.com/retort-ir/retort/internal/torch"
)

// masked is far below every attention score, yet finite in bfloat16 too, so that a row of nothing else has no NaN.
const masked = -1e30

// mask is added to the scores of attention, in the type of attention: [rows or 1 x heads or 1 x width or 1 x width].
// It is masked for padding, for tokens beyond the window (0: none) and, in a causal network, for the tokens behind,
// and it holds the bias by distance. It exists even if it is all 0, since gotch cannot pass an absent mask; LibTorch's
// fused kernels apply a mask at little cost.
func (p *pass) mask(s *torch.Scope, window int) torch.Tensor {
	return s.Sub(func(s *torch.Scope) torch.Tensor {
		b, width := p.batch, int64(p.batch.Width)
		mask := p.relativeBias(s)
		add := func(t torch.Tensor) {
			if mask != nil {
				t = s.Add(mask, t)
			}
			mask = t
		}
		switch {
		case p.Config.Causal: // Padding is behind every token.
			add(s.FromFloats(outside(b.Width, b.Width, 0), 1, 1, width, width))
		case window > 0 && window < b.Width-1:
			add(s.FromFloats(outside(b.Width, window, window), 1, 1, width, width))
		}
		if b.padded() && !p.Config.Causal {
			values := make([]float32, b.Rows*b.Width)
			for i, length := range b.Lengths {
				for j := length; j < b.Width; j++ {
					values[i*b.Width+j] = masked
				}
			}
			add(s.FromFloats(values, int64(b.Rows), 1, 1, width))
		}
		if mask == nil {
			return s.Zeros(p.kind, 1, 1, 1, width)
		}
		return s.As(mask, p.kind)
	})
}

// outside is masked for token j in row i unless i - before <= j <= i + behind.
func outside(width, before, behind int) []float32 {
	values := make([]float32, width*width)
	for i := range width {
		for j := range width {
			if j < i-before || j > i+behind {
				values[i*width+j] = masked
			}
		}
	}
	return values
}

// relativeBias returns the bias of the scores by distance, [1 x heads x width x width], nil if the network has none.
// All layers share it. With gradients LibTorch computes attention under it by separate products and a softmax, without
// gradients by its fused kernel.
func (p *pass) relativeBias(s *torch.Scope) torch.Tensor {
	if p.relative == nil {
		return nil
	}
	width := p.batch.Width
	ids := make([]int64, width*width) // [key x query]
	for key := range width {
		for query := range width {
			ids[key*width+query] = int64(bucket(key - query))
		}
	}
	w := int64(width)
	bias := s.Transpose(s.Embedding(p.relative.Value, s.FromInts(ids, w, w)), 0, 2)
	// The copy is contiguous, as the kernel needs it.
	return s.Reshape(s.Reshape(bias, -1), 1, int64(p.Config.Heads), w, w)
}

// buckets are the distances that MPNet tells apart: half of them on each side. All from farthest on are one.
const (
	buckets  = 32
	farthest = 128
)

// bucket is the bucket of the distance from a query to a key: the nearest have one each, those farther off share
// buckets that widen logarithmically up to a distance of 128. It is T5's (Raffel et al. 2020, arXiv 1910.10683).
func bucket(distance int) int {
	const side, exact = buckets / 2, buckets / 4
	first := 0
	if distance > 0 {
		first = side
	} else {
		distance = -distance
	}
	if distance < exact {
		return first + distance
	}
	// In float32, as there: the result is cut to an integer.
	far := float32(math.Log(float64(float32(distance)/exact))) / float32(math.Log(farthest/exact)) * (side - exact)
	return first + min(exact+int(far), side-1)
}

// rotaryTables are the cosines and sines of the angles of rotary positions, for as many positions as a batch has
// needed. They stay in the host's memory: a pass copies its part, which is small beside the states that it turns. Several
// lanes compute passes at the same time.
type rotaryTables struct {
	mu sync.Mutex
	of map[Rotary]*rotaryTable
}

type rotaryTable struct {
	positions int
	cos, sin  []float32 // [positions x head size]; the sines of the first half are negative
}

// turn is a table's part for one batch, [width x 1 x head size]; the zero value turns nothing.
type turn struct {
	cos, sin torch.Tensor
	half     int64
}

func (t *rotaryTables) turn(s *torch.Scope, r Rotary, d, width int) turn {
	if r.Theta == 0 {
		return turn{}
	}
	table := t.get(r, d, width)
	part := func(values []float32) torch.Tensor { return s.FromFloats(values[:width*d], int64(width), 1, int64(d)) }
	return turn{part(table.cos), part(table.sin), int64(d / 2)}
}

// get returns a table of at least width positions.
func (t *rotaryTables) get(r Rotary, d, width int) *rotaryTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := t.of[r]
	if table == nil || table.positions < width {
		table = newRotaryTable(r, d, width)
		if t.of == nil {
			t.of = map[Rotary]*rotaryTable{}
		}
		t.of[r] = table
	}
	return table
}

// frequency is the angle by which pair i of a head of width d turns from a position to the next. It is rounded to
// float32 where transformers does: at far positions the angles depend on it.
func (r Rotary) frequency(i, d int) float32 {
	power := float32(math.Pow(r.Theta, float64(float32(2*i)/float32(d))))
	return 1 / power / float32(r.Divisor)
}

func newRotaryTable(r Rotary, d, positions int) *rotaryTable {
	t := &rotaryTable{positions: positions, cos: make([]float32, positions*d), sin: make([]float32, positions*d)}
	half := d / 2
	for i := range half {
		frequency := r.frequency(i, d)
		for p := range positions {
			angle := float64(float32(p) * frequency)
			cos, sin := float32(math.Cos(angle)), float32(math.Sin(angle))
			row := p * d
			t.cos[row+i], t.cos[row+half+i] = cos, cos
			t.sin[row+i], t.sin[row+half+i] = -sin, sin
		}
	}
	return t
}

// apply turns heads, [rows x width x heads x head size].
func (t turn) apply(s *torch.Scope, x torch.Tensor) torch.Tensor {
	if t.cos == nil {
		return x
	}
	swapped := s.Roll(x, 3, t.half)
	s.MulInPlace(swapped, t.sin)
	turned := s.Mul(x, t.cos)
	s.AddInPlace(turned, swapped)
	return turned
}
