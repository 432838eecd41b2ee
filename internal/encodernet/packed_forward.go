package encodernet

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/retort-ir/retort/internal/kernel"
)

// Tokens says of which tokens of each text a pass returns the last layer's hidden states.
type Tokens int

// The tokens of a pass. The last layer computes no other states than these.
const (
	AllTokens Tokens = iota
	FirstToken
	LastToken
)

// Hidden calls use with the last layer's hidden states [states x hidden size]: those of all tokens of the texts end to
// end, or one a text. They belong to use until it returns. Texts have at least one token; the tokens of text i from
// second[i] on are of the second segment, and a nil second means that all are of the first. Hidden computes on the
// calling goroutine, checks ctx every few milliseconds, and depends on the other texts in no bit.
func (n *Packed) Hidden(ctx context.Context, texts [][]int32, second []int, of Tokens, use func(states []float32)) error {
	s := n.scratch.Get().(*scratch)
	defer n.scratch.Put(s)
	p := packedPass{Packed: n, scratch: s, ctx: ctx, texts: texts}
	if err := p.embed(second); err != nil {
		return err
	}
	for i := range n.layers {
		one := of
		if i < len(n.layers)-1 {
			one = AllTokens
		}
		if err := p.layer(&n.layers[i], one); err != nil {
			return err
		}
	}
	if n.preNorm {
		p.normalize(p.x, p.x, nil, n.final)
	}
	use(p.x)
	return nil
}

// scratch is the memory of one pass.
type scratch struct {
	x      []float32 // hidden states
	in     []float32 // normalised, where the norms come first
	qkv    []float32
	mixed  []float32 // values, mixed by attention
	up     []float32
	sum    []float32 // what a half of a layer adds to the states
	scores []float32

	keys, values kernel.Packed // of one head
}

// grow returns the memory at p for n values, which are undefined.
func grow(p *[]float32, n int) []float32 {
	if cap(*p) < n {
		*p = make([]float32, n+n/4) // some room, so that texts a little longer do not need new memory
	}
	*p = (*p)[:n]
	return *p
}

// packedPass is one pass. Its texts lie end to end, without padding.
type packedPass struct {
	*Packed
	*scratch
	ctx               context.Context
	texts             [][]int32
	turned, windowed  *rotaryTable // of layers without a window and with one; nil: nothing turns
	longest, allWidth int          // tokens of the longest text, of all texts
}

// rowBlock is how many rows the feed-forward layer computes at a time: so few that its states stay in a processor's
// cache, and the context is seen soon.
const rowBlock = 128

func (p *packedPass) embed(second []int) error {
	c, h := p.Config, p.Config.HiddenSize
	for _, ids := range p.texts {
		if len(ids) == 0 {
			return errors.New("a text without tokens")
		}
		p.longest = max(p.longest, len(ids))
		p.allWidth += len(ids)
	}
	if p.positions != nil && p.longest > c.MaxTokens() {
		return fmt.Errorf("a text of %d tokens; the model has %d positions", p.longest, c.MaxTokens())
	}
	if c.Rotary.Theta > 0 {
		p.turned = p.rotary.get(c.Rotary, c.headSize(), p.longest)
		p.windowed = p.turned
	}
	if c.Local != nil {
		p.windowed = p.rotary.get(c.LocalRotary, c.headSize(), p.longest)
	}
	rows := grow(&p.x, p.allWidth*h)
	for t, ids := range p.texts {
		for i, id := range ids {
			if id < 0 || int(id) >= c.VocabSize {
				return fmt.Errorf("token %d is outside the vocabulary of %d", id, c.VocabSize)
			}
			row := rows[:h]
			rows = rows[h:]
			copy(row, p.words[int(id)*h:])
			if p.types != nil {
				segment := 0
				if second != nil && i >= second[t] {
					segment = 1
				}
				kernel.Add(row, p.types[segment*h:])
			}
			if p.positions != nil {
				kernel.Add(row, p.positions[(c.FirstPosition+i)*h:])
			}
		}
	}
	if p.norm.weight != nil {
		p.normalize(p.x, p.x, nil, p.norm)
	}
	return nil
}

// layer replaces the states by those after a layer, of all tokens or of one of each text.
func (p *packedPass) layer(l *packedLayer, of Tokens) error {
	c, h := p.Config, p.Config.HiddenSize
	in := p.x
	if p.preNorm && l.attentionNorm.weight != nil {
		in = grow(&p.in, len(p.x))
		p.normalize(in, p.x, nil, l.attentionNorm)
	}
	width := l.qkv.Out()
	qkv := grow(&p.qkv, p.allWidth*width)
	err := p.blocks(p.allWidth, func(from, to int) {
		l.qkv.Mul(qkv[from*width:to*width], in[from*h:to*h], to-from)
		p.turn(l, qkv[from*width:to*width], from)
	})
	if err == nil {
		err = p.attend(l, of)
	}
	if err != nil {
		return err
	}
	p.choose(of)
	rows := len(p.x) / h
	mixedWidth := c.Heads * c.headSize()
	sum := grow(&p.sum, rows*h)
	return p.blocks(rows, func(from, to int) {
		x, sum := p.x[from*h:to*h], sum[from*h:to*h]
		l.out.Mul(sum, p.mixed[from*mixedWidth:to*mixedWidth], to-from)
		p.plus(x, sum, l.attentionNorm)
		p.feedForward(l, x, sum)
	})
}

// blocks calls f with runs of rows until the context ends.
func (p *packedPass) blocks(rows int, f func(from, to int)) error {
	for from := 0; from < rows; from += rowBlock {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		f(from, min(from+rowBlock, rows))
	}
	return nil
}

// choose keeps the states of one token of each text. Those of attention are so few already.
func (p *packedPass) choose(of Tokens) {
	if of == AllTokens {
		return
	}
	h, first := p.Config.HiddenSize, 0
	for t, ids := range p.texts {
		copy(p.x[t*h:(t+1)*h], p.x[(first+of.index(len(ids)))*h:])
		first += len(ids)
	}
	p.x = p.x[:len(p.texts)*h]
}

// index is the place of the one token in a text.
func (of Tokens) index(length int) int {
	if of == LastToken {
		return length - 1
	}
	return 0
}

// feedForward adds the second half of a layer to x. sum is its memory, as large as x.
func (p *packedPass) feedForward(l *packedLayer, x, sum []float32) {
	h, f := p.Config.HiddenSize, p.Config.IntermediateSize
	in := x
	if p.preNorm {
		in = grow(&p.in, len(x)) // the states before attention are no longer needed
		p.normalize(in, x, nil, l.norm)
	}
	rows, width := len(x)/h, l.up.Out()
	up := grow(&p.up, rows*width)
	l.up.Mul(up, in, rows)
	if l.gated {
		for r := range rows {
			row := up[r*width : (r+1)*width]
			p.activate(row[:f])
			kernel.Multiply(row[:f], row[f:])
		}
	} else {
		p.activate(up)
	}
	l.down.MulStrided(sum, h, up, width, rows)
	p.plus(x, sum, l.norm)
}

// plus adds a half of a layer to the states, and normalises them where norms come after.
func (p *packedPass) plus(x, sum []float32, norm scale) {
	if p.preNorm {
		kernel.Add(x, sum)
		return
	}
	p.normalize(x, x, sum, norm)
}

// normalize normalises the rows of x, to which it adds those of a residual that is not nil.
func (p *packedPass) normalize(dst, x, residual []float32, s scale) {
	width, eps := len(s.weight), float32(p.Config.LayerNormEps)
	for from := 0; from < len(x); from += width {
		d, x := dst[from:from+width], x[from:from+width]
		if p.Config.Norm == RMSNorm {
			kernel.RMSNorm(d, x, s.weight, eps)
			continue
		}
		var more []float32
		if residual != nil {
			more = residual[from : from+width]
		}
		kernel.LayerNorm(d, x, more, s.weight, s.bias, eps)
	}
}

func (p *packedPass) activate(x []float32) {
	switch p.Config.Activation {
	case "relu":
		kernel.ReLU(x)
	case "gelu_new", "gelu_pytorch_tanh":
		kernel.GELUTanh(x)
	case "silu", "swish":
		kernel.SiLU(x)
	default: // ReadConfig accepts no other than "gelu"
		kernel.GELU(x)
	}
}

// turn normalises and turns the queries and keys of rows of qkv, the first of which is row first of the pass, and
// divides the queries by the square root of their width.
func (p *packedPass) turn(l *packedLayer, qkv []float32, first int) {
	c, d, width := p.Config, p.Config.headSize(), l.qkv.Out()
	queries, turning := c.Heads*d, (c.Heads+c.kvHeads())*d
	table := p.turned
	if l.local {
		table = p.windowed
	}
	positions := p.positionsFrom(first)
	for row := qkv; len(row) > 0; row = row[width:] {
		position := positions()
		if l.queryNorm.weight != nil {
			p.normalize(row[:queries], row[:queries], nil, l.queryNorm)
			p.normalize(row[queries:turning], row[queries:turning], nil, l.keyNorm)
		}
		if table != nil {
			table.turn(row[:turning], position, d)
		}
		kernel.Scale(row[:queries], float32(1/math.Sqrt(float64(d))))
	}
}

// positionsFrom returns a function that gives the positions in their texts of the rows from the given one on.
func (p *packedPass) positionsFrom(row int) func() int {
	text := 0
	for row >= len(p.texts[text]) {
		row -= len(p.texts[text])
		text++
	}
	return func() int {
		if row == len(p.texts[text]) {
			row, text = 0, text+1
		}
		row++
		return row - 1
	}
}

// turn turns the heads of one row, each d wide.
func (t *rotaryTable) turn(row []float32, position, d int) {
	cos, sin := t.cos[position*d:(position+1)*d], t.sin[position*d:(position+1)*d]
	half := d / 2
	for ; len(row) >= d; row = row[d:] {
		a, b := row[:half], row[half:d]
		for i, x := range a {
			y := b[i]
			a[i] = float32(x*cos[i]) + float32(y*sin[i])
			b[i] = float32(y*cos[half+i]) + float32(x*sin[half+i])
		}
	}
}
