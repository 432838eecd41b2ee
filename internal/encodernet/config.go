package encodernet

import (
	"fmt"
	"slices"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// The files of a Hugging Face folder that hold a network.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
)

// Config is the shape of a network. Its switches are those of the architectures in the table of families; the zero
// value of each switch is BERT's. What a family never varies between folders is in its [Family].
type Config struct {
	ModelType string // of config.json, which selects the family; "" is bert

	HiddenSize       int // of a token's state
	Layers           int //
	Heads            int // of attention
	KVHeads          int // heads of keys and values, which divide Heads; 0: as many as Heads
	HeadSize         int // the width of a head; 0: HiddenSize / Heads
	IntermediateSize int // the width between the feed-forward matrices
	VocabSize        int // rows of the token embeddings
	TypeVocabSize    int // rows of the segment embeddings; a single text is all of the first. 0: none
	Pad              int // the padding token's id as config.json has it

	// MaxPositions are the rows of the position embeddings, or the length that rotary positions were trained for.
	MaxPositions int
	// FirstPosition is the row of the position embeddings of a text's first token: in RoBERTa one more than the padding
	// token's id.
	FirstPosition int
	// RelativeBuckets are the distances that MPNet's bias of attention tells apart; 0: no such bias.
	RelativeBuckets int
	Rotary          Rotary // of queries and keys
	LocalRotary     Rotary // of the layers with a window
	Dynamic         bool   // whether rotary positions beyond MaxPositions would depend on the longest text of a batch

	Causal bool   // whether a token sees only itself and the tokens before it
	Window int    // how many tokens to each side a token of a local layer sees
	Local  []bool // by layer, whether it has a window; nil: none has one

	Norm         Norm
	LayerNormEps float64
	Activation   string   // one of Activations: of the feed-forward layer or, where the layer is gated, of its gate
	Unbiased     Unbiased // linear layers without a bias
}

// Rotary says by what angles rotary position embeddings turn a pair of values (Su et al. 2021, arXiv 2104.09864):
// pair i of a head of width d at position p turns by p Theta^(-2i/d) / Divisor. The zero value does not turn.
type Rotary struct{ Theta, Divisor float64 }

// Norm is a kind of normalisation.
type Norm int

// The normalisations.
const (
	LayerNorm         Norm = iota // with scale and bias
	UnbiasedLayerNorm             // with a scale
	RMSNorm                       // by the root mean square, with a scale
)

// Unbiased lists the linear layers that have no bias.
type Unbiased struct {
	Attention bool // queries, keys, values, and the mixing of heads
	Up        bool // the first of the feed-forward layer, gates included
	Down      bool // the second
}

// Activations are the activations that networks may have, by their names in config.json.
var Activations = []string{"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}

// ReadConfig reads config.json of a network of any family. A key that the family's schema refuses is an error.
func ReadConfig(path string) (Config, error) {
	s, err := modelfolder.Read(path)
	if err != nil {
		return Config{}, err
	}
	f, err := FamilyOf(s)
	if err != nil {
		return Config{}, err
	}
	if _, err := f.Schema.Check(s); err != nil {
		return Config{}, err
	}
	r := &configReader{s: s}
	if r.flag("is_decoder", false) {
		r.fail("is_decoder", "is true; only encoders are supported")
	}
	c := f.read(r)
	r.read("model_type", &c.ModelType)
	if r.err == nil {
		r.err = c.check(s)
	}
	return c, r.err
}

// check checks what several keys say together. The keys are named as most families name them.
func (c Config) check(s modelfolder.Settings) error {
	switch {
	case c.HeadSize == 0 && c.HiddenSize%c.Heads != 0:
		return fmt.Errorf("%s: hidden_size %d is not a multiple of num_attention_heads %d", s, c.HiddenSize, c.Heads)
	case c.Heads%c.kvHeads() != 0:
		return fmt.Errorf("%s: num_attention_heads %d is not a multiple of num_key_value_heads %d", s, c.Heads, c.KVHeads)
	case c.Rotary.Theta > 0 && c.headSize()%2 != 0:
		return fmt.Errorf("%s: heads of width %d cannot be turned in pairs by rotary positions", s, c.headSize())
	case c.Pad < 0 || c.Pad >= c.VocabSize:
		return fmt.Errorf("%s: pad_token_id is %d, outside the vocabulary of %d", s, c.Pad, c.VocabSize)
	case c.MaxTokens() < 1:
		return fmt.Errorf("%s: of max_position_embeddings %d, none is left after pad_token_id %d", s, c.MaxPositions, c.Pad)
	}
	return nil
}

// MaxTokens returns how many tokens a text may have, special tokens included. A folder may allow more where Extends
// is true.
func (c Config) MaxTokens() int { return c.MaxPositions - c.FirstPosition }

// Extends reports whether positions beyond MaxTokens can be computed.
func (c Config) Extends() bool { return c.Rotary.Theta > 0 && !c.Dynamic }

func (c Config) kvHeads() int {
	if c.KVHeads == 0 {
		return c.Heads
	}
	return c.KVHeads
}

func (c Config) headSize() int {
	if c.HeadSize == 0 {
		return c.HiddenSize / c.Heads
	}
	return c.HeadSize
}

func (c Config) local(layer int) bool { return c.Local != nil && c.Local[layer] }

// configReader reads keys of config.json up to the first error.
type configReader struct {
	s       modelfolder.Settings
	aliases map[string]string // second names of keys
	err     error
}

// read reads a key, which may be missing, and returns whether it is there.
func (r *configReader) read(key string, to any) bool {
	if r.err != nil {
		return false
	}
	if other := r.aliases[key]; other != "" && !r.s.IsSet(key) {
		key = other
	}
	ok, err := r.s.Get(key, to)
	r.err = err
	return ok
}

// fail records an error about a key.
func (r *configReader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = r.s.Errorf(key, format, args...)
	}
}

// counts reads numbers of at least 1, which must be there.
func (r *configReader) counts(keys []string, to ...*int) {
	for i, key := range keys {
		*to[i] = r.count(key, 0, 1)
	}
}

// count reads a number of at least least; otherwise 0 says that it must be there.
func (r *configReader) count(key string, otherwise, least int) int {
	n := otherwise
	switch isSet := r.read(key, &n); {
	case r.err != nil:
	case !isSet && otherwise == 0 && least > 0:
		r.err = fmt.Errorf("%s: no %s", r.s, key)
	case isSet && (n < least || n > 1<<30):
		r.fail(key, "is %d", n)
	}
	return n
}

func (r *configReader) epsilon(key string, otherwise float64) float64 {
	eps := otherwise
	if r.read(key, &eps); !(eps > 0 && eps < 1) {
		r.fail(key, "is %v", eps)
	}
	return eps
}

func (r *configReader) flag(key string, otherwise bool) bool {
	r.read(key, &otherwise)
	return otherwise
}

func (r *configReader) activation(key, otherwise string) string {
	name := otherwise
	if r.read(key, &name); !slices.Contains(Activations, name) {
		r.fail(key, "is %q; %s are supported", name, listed(Activations))
	}
	return name
}
