package encodertest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
)

// Options of an Encoder. The zero value works.
type Options struct {
	Dim              int    // width of the vectors; 0 means 16
	Buckets          int    // rows of the embedding table, at least 3; 0 means 512
	MaxQueryTokens   int    // 0 means 32
	MaxPassageTokens int    // 0 means 128
	Seed             uint64 // of the weights
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Dim, 16}, {&o.Buckets, 512}, {&o.MaxQueryTokens, 32}, {&o.MaxPassageTokens, 128}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return o
}

// Validate returns an error that names the first invalid field.
func (o Options) Validate() error {
	o = o.withDefaults()
	switch {
	case o.Dim < 1:
		return fmt.Errorf("encodertest: Dim is %d, want at least 1", o.Dim)
	case o.Buckets < 3:
		return fmt.Errorf("encodertest: Buckets is %d, want at least 3", o.Buckets)
	case o.MaxQueryTokens < 1:
		return fmt.Errorf("encodertest: MaxQueryTokens is %d, want at least 1", o.MaxQueryTokens)
	case o.MaxPassageTokens < 1:
		return fmt.Errorf("encodertest: MaxPassageTokens is %d, want at least 1", o.MaxPassageTokens)
	}
	return nil
}

// Encoder is a trainable encoder in memory. With E the embedding table [buckets x d], W a matrix [d x d] and b a vector
// [d], the vector of a text with tokens t_1..t_n is
//
//	h = mean_i E[t_i],  a = tanh(W h + b),  y = a / |a|
//
// The tokens are one token for the role, followed by the text's lower-cased words, hashed into the buckets and
// truncated to the role's limit. It computes in float64 and stores weights, gradients and moments in float32.
//
// It implements every interface of package encoder.
type Encoder struct {
	options Options
	query   *tower
	passage *tower // the same as query until SplitTowers
	steps   int
	open    int // passes
}

// New returns an encoder with random weights, equal for equal options.
func New(o Options) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	t := newTower(o)
	t.randomise(rand.New(rand.NewPCG(o.Seed, 0)))
	return &Encoder{options: o, query: t, passage: t}, nil
}

// Dim implements encoder.Encoder.
func (e *Encoder) Dim() int { return e.options.Dim }

// OpenPasses returns the number of passes that have not been closed, to find leaks in tests.
func (e *Encoder) OpenPasses() int { return e.open }

// Encode implements encoder.Encoder.
func (e *Encoder) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	in, err := e.tokenise(ctx, role, texts)
	if err != nil {
		return blas32.General{}, err
	}
	out := matrix.New(len(texts), e.Dim())
	t := e.tower(role)
	for i, tokens := range in.tokens {
		if err := ctx.Err(); err != nil {
			return blas32.General{}, err
		}
		t.forward(tokens).writeTo(matrix.Row(out, i))
	}
	return out, nil
}

// Prepare implements encoder.Trainable.
func (e *Encoder) Prepare(ctx context.Context, role encoder.Role, texts []string) (encoder.Inputs, error) {
	return e.tokenise(ctx, role, texts)
}

// Forward implements encoder.Trainable.
func (e *Encoder) Forward(ctx context.Context, in encoder.Inputs, rows []int, keepGraph bool) (encoder.Pass, error) {
	prepared, ok := in.(*inputs)
	if !ok {
		return nil, fmt.Errorf("encodertest: inputs of type %T were not prepared by this encoder", in)
	}
	p := &pass{encoder: e, tower: e.tower(prepared.role), out: matrix.New(len(rows), e.Dim()), keepGraph: keepGraph}
	for i, r := range rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r < 0 || r >= prepared.Len() {
			return nil, fmt.Errorf("encodertest: row %d is out of range: the inputs have %d rows", r, prepared.Len())
		}
		a := p.tower.forward(prepared.tokens[r])
		a.writeTo(matrix.Row(p.out, i))
		if keepGraph {
			p.graph = append(p.graph, a)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.open++
	return p, nil
}

// GraphBytes implements encoder.GraphSizer: two float64 vectors per text.
func (e *Encoder) GraphBytes(_ encoder.Inputs, rows []int) int64 {
	return int64(len(rows)) * int64(e.Dim()) * 16
}

// Step implements encoder.Trainable.
func (e *Encoder) Step(u encoder.Update) (float64, error) {
	if err := u.Validate(); err != nil {
		return 0, fmt.Errorf("encodertest: %w", err)
	}
	norm := e.query.gradNorm()
	defer e.query.zeroGrad()
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, encoder.ErrNonFinite
	}
	scale := 1.0
	if u.ClipNorm > 0 && norm > u.ClipNorm {
		scale = u.ClipNorm / norm
	}
	e.steps++
	e.query.adamW(u, e.steps, float32(scale))
	return norm, nil
}

// ZeroGradients implements encoder.GradientZeroer.
func (e *Encoder) ZeroGradients() error {
	e.query.zeroGrad()
	return nil
}

// SplitTowers implements encoder.Splitter.
func (e *Encoder) SplitTowers() error {
	if e.open > 0 {
		return fmt.Errorf("encodertest: SplitTowers with %d open passes; close them first", e.open)
	}
	if e.query == e.passage {
		e.passage = e.query.clone()
	}
	return nil
}

// Parameters implements encoder.Parametric. It returns the parameters of the query tower, the only tower that learns
// after SplitTowers.
func (e *Encoder) Parameters() []encoder.Parameter {
	params := make([]encoder.Parameter, len(e.query.weights))
	for i := range params {
		params[i] = encoder.Parameter{
			Name:    e.query.weights[i].name,
			Shape:   e.query.weights[i].shape,
			Value:   func() ([]float32, error) { return clone(e.query.weights[i].value), nil },
			Grad:    func() ([]float32, error) { return clone(e.query.weights[i].grad), nil },
			Set:     func(values []float32) error { return e.query.weights[i].set(values) },
			SetGrad: func(grad []float32) error { return e.query.weights[i].setGrad(grad) },
		}
	}
	return params
}

// Fingerprint implements encoder.Fingerprinter.
func (e *Encoder) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "encodertest %d %d", e.options.MaxQueryTokens, e.options.MaxPassageTokens)
	for _, t := range []*tower{e.query, e.passage} {
		for _, w := range t.weights {
			fmt.Fprintf(h, " %s %v ", w.name, w.shape)
			for _, x := range w.value {
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (e *Encoder) tower(role encoder.Role) *tower {
	if role == encoder.Query {
		return e.query
	}
	return e.passage
}

type pass struct {
	encoder   *Encoder
	tower     *tower
	out       blas32.General
	graph     []activation
	keepGraph bool
	closed    bool
}

func (p *pass) Embeddings() blas32.General { return p.out }

func (p *pass) Backward(grad blas32.General) error {
	switch {
	case p.closed:
		return errors.New("encodertest: Backward after Close")
	case !p.keepGraph:
		return errors.New("encodertest: Backward after a Forward without keepGraph")
	case p.graph == nil && p.out.Rows > 0:
		return errors.New("encodertest: second Backward of a pass")
	case p.tower != p.encoder.query:
		return errors.New("encodertest: Backward through passages of an encoder whose passage tower does not learn")
	}
	if err := matrix.Check(grad, p.out.Rows, p.out.Cols); err != nil {
		return fmt.Errorf("encodertest: gradient of the embeddings: %w", err)
	}
	for i, a := range p.graph {
		p.tower.backward(a, matrix.Row(grad, i))
	}
	p.graph = nil
	return nil
}

func (p *pass) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.encoder.open--
	p.graph, p.out = nil, blas32.General{}
	return nil
}

func clone(x []float32) []float32 { return append([]float32(nil), x...) }

var (
	_ encoder.Trainable      = (*Encoder)(nil)
	_ encoder.Splitter       = (*Encoder)(nil)
	_ encoder.GradientZeroer = (*Encoder)(nil)
	_ encoder.GraphSizer     = (*Encoder)(nil)
	_ encoder.Parametric     = (*Encoder)(nil)
	_ encoder.Fingerprinter  = (*Encoder)(nil)
)
