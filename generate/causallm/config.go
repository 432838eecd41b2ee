package causallm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/strictjson"
)

// config is the shape of a network.
type config struct {
	arch    string // a key of families
	hidden  int    // width of the residual stream
	layers  int
	heads   int // of the queries
	kvHeads int // of the keys and values; divides heads
	headDim int // even
	inner   int // width of the feed-forward network
	vocab   int // rows of the token embeddings
	context int // positions that the model was made for
	eps     float64
	tied    bool // the output matrix is the token embeddings
	rope    rope
	eos     []int32
	bos     int32 // -1: unknown

	family
	lessOne bool // scales of normalisations are stored less one, as transformers does for Gemma

	scale        float64 // of the attention's scores; 0: 1/sqrt(headDim)
	attentionCap float64 // scores are attentionCap tanh(score/attentionCap); 0: as they are
	logitCap     float64 // and so are the logits

	// window is how many tokens, itself included, a token sees in layers that are local; 0: there are none. localRope is
	// their rotation.
	window    int
	local     []bool // of each layer; nil: none
	localRope rope
}

// family is what sets a family of networks apart from Llama.
type family struct {
	qkvBias     bool // queries, keys and values have biases
	qkNorm      bool // each head's queries and keys are normalised
	scaledInput bool // token embeddings are multiplied by sqrt(hidden)
	sandwich    bool // what attention and feed-forward add is normalised, too
	geluTanh    bool // the gate is GELU by tanh, not SiLU
	period      int  // every period-th layer sees all tokens and the others a window; 0: all layers do
}

// families are the networks that can be computed, by their names in GGUF files. transformers' names are these but for
// gemma3, whose language model is gemma3_text.
var families = map[string]family{
	"llama":  {},
	"qwen2":  {qkvBias: true},
	"qwen3":  {qkNorm: true},
	"gemma":  {scaledInput: true, geluTanh: true},
	"gemma2": {scaledInput: true, geluTanh: true, sandwich: true, period: 2},
	"gemma3": {scaledInput: true, geluTanh: true, sandwich: true, period: 6, qkNorm: true},
}

// gemma says whether a family is one of Gemma's.
func (f family) gemma() bool { return f.scaledInput }

// setPeriod makes every period-th layer see all tokens.
func (c *config) setPeriod(period int) {
	c.local = make([]bool, min(max(c.layers, 0), mostLayers))
	for i := range c.local {
		c.local[i] = period > 0 && (i+1)%period != 0
	}
}

// isLocal says whether a layer sees a window only.
func (c config) isLocal(layer int) bool { return c.local != nil && c.local[layer] }

const mostLayers = 10_000

// rope says by what angles rotary position embeddings turn (Su et al. 2021, arXiv 2104.09864): position * frequency[i].
type rope struct {
	base   float64
	factor float64   // linear: all frequencies are divided by it; 0 is 1
	llama3 *llama3   // nil: none
	divide []float64 // one divisor for each frequency, as GGUF keeps llama3's; nil: none
}

// llama3 is the scaling of Llama 3.1: frequencies of wavelengths above OriginalContext/LowFreqFactor are divided by
// Factor, those below OriginalContext/HighFreqFactor stay, and between the two it goes over smoothly.
type llama3 struct {
	factor, low, high, original float64
}

// frequencies returns headDim/2 angles per position.
func (r rope) frequencies(headDim int) []float64 {
	out := make([]float64, headDim/2)
	for i := range out {
		f := math.Pow(r.base, -2*float64(i)/float64(headDim))
		if r.factor > 0 {
			f /= r.factor
		}
		if r.llama3 != nil {
			f = r.llama3.scale(f)
		}
		if r.divide != nil {
			f /= r.divide[i]
		}
		out[i] = f
	}
	return out
}

func (l *llama3) scale(f float64) float64 {
	wavelength := 2 * math.Pi / f
	switch {
	case wavelength < l.original/l.high:
		return f
	case wavelength > l.original/l.low:
		return f / l.factor
	}
	smooth := (l.original/wavelength - l.low) / (l.high - l.low)
	return (1-smooth)*f/l.factor + smooth*f
}

const supportedArchitectures = "llama (Llama 2 and 3, SmolLM2), qwen2 (Qwen2, Qwen2.5), qwen3, gemma, gemma2 and the " +
	"text model of gemma3 are supported"

// hfRope is rope_scaling of config.json, or rope_parameters as transformers 5 writes it.
type hfRope struct {
	Type     string   `json:"rope_type"`
	OldType  string   `json:"type"`
	Theta    *float64 `json:"rope_theta"`
	Factor   *float64 `json:"factor"`
	Low      *float64 `json:"low_freq_factor"`
	High     *float64 `json:"high_freq_factor"`
	Original *float64 `json:"original_max_position_embeddings"`
	Full     *hfRope  `json:"full_attention"` // where the layers differ
	Sliding  *hfRope  `json:"sliding_attention"`
}

func readHFConfig(dir string) (config, error) {
	path := filepath.Join(dir, "config.json")
	var j struct {
		ModelType     string          `json:"model_type"`
		Hidden        int             `json:"hidden_size"`
		Layers        int             `json:"num_hidden_layers"`
		Heads         int             `json:"num_attention_heads"`
		KVHeads       *int            `json:"num_key_value_heads"`
		HeadDim       *int            `json:"head_dim"`
		Inner         int             `json:"intermediate_size"`
		Vocab         int             `json:"vocab_size"`
		Context       int             `json:"max_position_embeddings"`
		Eps           *float64        `json:"rms_norm_eps"`
		Activation    *string         `json:"hidden_act"`
		Tied          *bool           `json:"tie_word_embeddings"`
		AttentionBias bool            `json:"attention_bias"`
		MLPBias       bool            `json:"mlp_bias"`
		Sliding       bool            `json:"use_sliding_window"`
		Theta         *float64        `json:"rope_theta"`
		Scaling       *hfRope         `json:"rope_scaling"`
		Parameters    *hfRope         `json:"rope_parameters"`
		Quantization  json.RawMessage `json:"quantization_config"`
		EOS           tokenIDs        `json:"eos_token_id"`
		BOS           *int32          `json:"bos_token_id"`
		hfGemma
	}
	if err := jsonfile.Read(path, &j); err != nil {
		return config{}, err
	}
	if err := checkHFConfig(path); err != nil {
		return config{}, err
	}
	fail := func(format string, args ...any) (config, error) {
		return config{}, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	arch := j.ModelType
	if arch == "gemma3_text" {
		arch = "gemma3"
	}
	f, known := families[arch]
	activation, activationKey := "silu", "hidden_act"
	if f.gemma() {
		activation = "gelu_pytorch_tanh"
		if j.GemmaActivation != nil {
			j.Activation, activationKey = j.GemmaActivation, "hidden_activation"
		}
	}
	switch {
	case !known || j.ModelType == "gemma3":
		return fail("model_type is %q; %s", j.ModelType, supportedArchitectures)
	case len(j.Quantization) > 0 && string(j.Quantization) != "null":
		return fail("quantization_config is set; weights of F32, F16 and BF16 are supported in folders, quantised weights " +
			"in GGUF files")
	case valueOr(j.Activation, activation) != activation:
		return fail("%s is %q; %s is supported", activationKey, *j.Activation, activation)
	case j.AttentionBias || j.MLPBias:
		return fail("attention_bias or mlp_bias is true, which is not supported for model_type %s", j.ModelType)
	case j.Sliding:
		return fail("use_sliding_window is true, which is not supported")
	}
	c := config{
		arch: arch, family: f, lessOne: f.gemma(), hidden: j.Hidden, layers: j.Layers, heads: j.Heads, kvHeads: valueOr(j.KVHeads, j.Heads),
		inner: j.Inner, vocab: j.Vocab, context: j.Context, eps: valueOr(j.Eps, 1e-6),
		tied: valueOr(j.Tied, f.gemma()), eos: j.EOS, bos: valueOr(j.BOS, -1), rope: rope{base: valueOr(j.Theta, 10000)},
	}
	if c.heads > 0 {
		c.headDim = valueOr(j.HeadDim, c.hidden/c.heads)
	}
	c.localRope = rope{base: valueOr(j.LocalTheta, 10000)}
	for _, r := range []*hfRope{j.Scaling, j.Parameters} {
		if err := c.readRopes(r); err != nil {
			return fail("%v", err)
		}
	}
	if err := j.hfGemma.read(&c); err != nil {
		return fail("%v", err)
	}
	if err := c.validate(); err != nil {
		return fail("%v", err)
	}
	return c, c.readGenerationConfig(dir)
}

// hfGemma are the members of config.json that Gemma has beside Llama's.
type hfGemma struct {
	GemmaActivation *string  `json:"hidden_activation"`
	QueryScalar     *float64 `json:"query_pre_attn_scalar"`
	AttentionCap    *float64 `json:"attn_logit_softcapping"`
	LogitCap        *float64 `json:"final_logit_softcapping"`
	Window          *int     `json:"sliding_window"`
	Period          *int     `json:"sliding_window_pattern"`
	LayerTypes      []string `json:"layer_types"`
	LocalTheta      *float64 `json:"rope_local_base_freq"`
}

func (j hfGemma) read(c *config) error {
	if c.period == 0 {
		for _, layer := range j.LayerTypes {
			if layer != fullAttention {
				return fmt.Errorf("layer_types has %q; only %s is supported for model_type %s", layer, fullAttention, c.arch)
			}
		}
		return nil
	}
	if c.arch == "gemma2" {
		c.localRope = c.rope
		if j.AttentionCap == nil || j.LogitCap == nil {
			return errors.New("attn_logit_softcapping or final_logit_softcapping is missing or null, which is not supported " +
				"for model_type gemma2")
		}
	}
	c.scale = 1 / math.Sqrt(valueOr(j.QueryScalar, 256))
	c.attentionCap, c.logitCap = valueOr(j.AttentionCap, 0), valueOr(j.LogitCap, 0)
	c.window = valueOr(j.Window, 4096)
	if j.LayerTypes == nil {
		c.setPeriod(valueOr(j.Period, c.period))
		return nil
	}
	if len(j.LayerTypes) != c.layers {
		return fmt.Errorf("layer_types has %d layers, the model %d", len(j.LayerTypes), c.layers)
	}
	for _, layer := range j.LayerTypes {
		if layer != fullAttention && layer != slidingAttention {
			return fmt.Errorf("layer_types has %q; %s and %s are supported", layer, fullAttention, slidingAttention)
		}
		c.local = append(c.local, layer == slidingAttention)
	}
	return nil
}

const fullAttention, slidingAttention = "full_attention", "sliding_attention"

// configSchema refuses what would make another network of a llama or a qwen2 in transformers 5.
var configSchema = modelfolder.Schema{
	Refused: []modelfolder.Refusal{
		{Key: "auto_map", OK: []string{"{}"}, Remedy: "no code of a folder is run; remove the key if the model needs none"},
		{Key: "is_causal", OK: []string{"true"}, Remedy: "only attention to earlier tokens is"},
		{Key: "use_bidirectional_attention", OK: []string{"false"}, Remedy: "only attention to earlier tokens is"},
		{Key: "is_encoder_decoder", OK: []string{"false"}, Remedy: "only decoders are"},
		{Key: "add_cross_attention", OK: []string{"false"}, Remedy: "only decoders are"},
		{Key: "partial_rotary_factor", OK: []string{"1"}, Remedy: "a head turns as a whole"},
		{Key: "per_layer_config", OK: []string{"{}"}, Remedy: "all layers have the same shape"},
		{
			Key: "pruned_heads", OK: []string{"{}"},
			Remedy: "load and save the model with transformers 4, which cuts the heads off",
		},
	},
	Open: true,
}

func checkHFConfig(path string) error {
	s, err := modelfolder.Read(path)
	if err != nil {
		return err
	}
	_, err = configSchema.Check(s)
	return err
}

// readRopes reads the rotation of all layers, or of each kind.
func (c *config) readRopes(j *hfRope) error {
	if j == nil {
		return nil
	}
	if j.Full == nil && j.Sliding == nil {
		return c.rope.read(j)
	}
	if err := c.rope.read(j.Full); err != nil {
		return err
	}
	return c.localRope.read(j.Sliding)
}

func (r *rope) read(j *hfRope) error {
	if j == nil {
		return nil
	}
	r.base = valueOr(j.Theta, r.base)
	kind := j.Type
	if kind == "" {
		kind = j.OldType
	}
	switch kind {
	case "", "default":
	case "linear":
		if j.Factor == nil {
			return errors.New("rope scaling linear has no factor")
		}
		r.factor = *j.Factor
	case "llama3":
		if j.Factor == nil || j.Low == nil || j.High == nil || j.Original == nil {
			return errors.New("rope scaling llama3 needs factor, low_freq_factor, high_freq_factor and " +
				"original_max_position_embeddings")
		}
		r.llama3 = &llama3{*j.Factor, *j.Low, *j.High, *j.Original}
	default:
		return fmt.Errorf("rope scaling %q is not supported; default, linear and llama3 are", kind)
	}
	return nil
}

// readGenerationConfig adds the tokens that end a text by generation_config.json, which chat models have more of there.
func (c *config) readGenerationConfig(dir string) error {
	var j struct {
		EOS tokenIDs `json:"eos_token_id"`
	}
	err := jsonfile.Read(filepath.Join(dir, "generation_config.json"), &j)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.eos = append(c.eos, j.EOS...)
	return nil
}

// tokenIDs is one id, several, or null.
type tokenIDs []int32

func (t *tokenIDs) UnmarshalJSON(raw []byte) error {
	var one *int32
	if err := strictjson.Unmarshal(raw, &one); err == nil {
		if one != nil {
			*t = tokenIDs{*one}
		}
		return nil
	}
	var many []int32
	if err := strictjson.Unmarshal(raw, &many); err != nil {
		return err
	}
	*t = many
	return nil
}

func readGGUFConfig(f *gguf.File) (config, error) {
	fail := func(format string, args ...any) (config, error) {
		return config{}, fmt.Errorf("%s: %s", f.Path(), fmt.Sprintf(format, args...))
	}
	arch, ok := f.String("general.architecture")
	if !ok {
		return fail("no general.architecture")
	}
	family, known := families[arch]
	if !known {
		return fail("general.architecture is %q; %s", arch, supportedArchitectures)
	}
	integer := func(key string, otherwise int) int {
		if v, ok := f.Uint(arch + "." + key); ok && v < 1<<31 {
			return int(v)
		}
		return otherwise
	}
	float := func(key string, otherwise float64) float64 {
		if v, ok := f.Float(arch + "." + key); ok {
			return v
		}
		return otherwise
	}
	if n := integer("expert_count", 0); n > 0 {
		return fail("%s.expert_count is %d: mixtures of experts are not supported", arch, n)
	}
	c := config{
		arch: arch, family: family, hidden: integer("embedding_length", 0), layers: integer("block_count", 0),
		heads: integer("attention.head_count", 0),
		inner: integer("feed_forward_length", 0), context: integer("context_length", 0),
		eps:  float("attention.layer_norm_rms_epsilon", 0),
		rope: rope{base: float("rope.freq_base", 10000)}, bos: -1,
	}
	c.kvHeads = integer("attention.head_count_kv", c.heads)
	if c.heads > 0 {
		c.headDim = integer("attention.key_length", integer("rope.dimension_count", c.hidden/c.heads))
	}
	if n := integer("rope.dimension_count", c.headDim); n != c.headDim {
		return fail("%s.rope.dimension_count is %d, a head is %d wide: partial rotation is not supported", arch, n, c.headDim)
	}
	switch kind, _ := f.String(arch + ".rope.scaling.type"); kind {
	case "", "none":
	case "linear":
		c.rope.factor = float("rope.scaling.factor", 1)
	default:
		return fail("%s.rope.scaling.type %q is not supported; none and linear are, and llama3's rope_freqs.weight", arch,
			kind)
	}
	if err := c.readGGUFGemma(f, integer, float); err != nil {
		return fail("%v", err)
	}
	if t, ok := f.Tensor("token_embd.weight"); ok && len(t.Shape) == 2 {
		c.vocab = t.Shape[0]
	} else {
		return fail("no tensor token_embd.weight with two dimensions")
	}
	if _, ok := f.Tensor("rope_freqs.weight"); ok {
		values, err := f.Floats("rope_freqs.weight")
		if err != nil {
			return config{}, err
		}
		if len(values) != c.headDim/2 {
			return fail("rope_freqs.weight has %d values, want %d", len(values), c.headDim/2)
		}
		for _, v := range values {
			c.rope.divide = append(c.rope.divide, float64(v))
		}
	}
	_, untied := f.Tensor("output.weight")
	c.tied = !untied
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if id, ok := f.Uint("tokenizer.ggml." + key); ok && id < uint64(c.vocab) {
			c.eos = append(c.eos, int32(id))
		}
	}
	if id, ok := f.Uint("tokenizer.ggml.bos_token_id"); ok && id < uint64(c.vocab) {
		c.bos = int32(id)
	}
	if err := c.validate(); err != nil {
		return fail("%v", err)
	}
	return c, nil
}

// readGGUFGemma reads what Gemma 2 and 3 have beside Llama, as llama.cpp does: the scale of the scores is not in the file.
func (c *config) readGGUFGemma(
	f *gguf.File, integer func(string, int) int, float func(string, float64) float64,
) error {
	if c.period == 0 {
		return nil
	}
	const period = "attention.sliding_window_pattern"
	if slices.Contains(f.Keys(), c.arch+"."+period) && integer(period, 0) == 0 {
		return fmt.Errorf("%s.%s is no positive number, which is not supported", c.arch, period)
	}
	c.setPeriod(integer(period, c.period))
	largest := map[string]int{"gemma2": 46, "gemma3": 62}[c.arch] // layers of the model of 27B parameters
	if c.layers == largest && c.heads > 0 {
		c.scale = 1 / math.Sqrt(float64(c.hidden/c.heads))
	}
	c.localRope = c.rope
	if c.arch == "gemma2" {
		c.window = integer("attention.sliding_window", 4096)
		c.attentionCap, c.logitCap = float("attn_logit_softcapping", 50), float("final_logit_softcapping", 30)
		return nil
	}
	c.localRope = rope{base: float("rope.freq_base_swa", 10000)}
	c.logitCap = float("final_logit_softcapping", 0)
	if c.window = integer("attention.sliding_window", 0); c.window == 0 {
		c.local = nil
	}
	return nil
}

// validate checks what the tensors' shapes are made of, so that no shape overflows.
func (c config) validate() error {
	for _, field := range []struct {
		name        string
		value, most int
	}{
		{"the hidden size", c.hidden, 1 << 24},
		{"the number of layers", c.layers, mostLayers},
		{"the number of attention heads", c.heads, 1 << 24},
		{"the number of key/value heads", c.kvHeads, 1 << 24},
		{"the width of a head", c.headDim, 8192}, // of which tables are made before the weights are looked at
		{"the intermediate size", c.inner, 1 << 24},
		{"the vocabulary's size", c.vocab, 1 << 24},
		{"the context length", c.context, 1 << 24},
	} {
		if field.value < 1 || field.value > field.most {
			return fmt.Errorf("%s is %d or missing", field.name, field.value)
		}
	}
	switch {
	case c.heads%c.kvHeads != 0:
		return fmt.Errorf("%d attention heads are no multiple of %d key/value heads", c.heads, c.kvHeads)
	case c.headDim%2 != 0:
		return fmt.Errorf("the width of a head, %d, is odd", c.headDim)
	case !(c.eps > 0 && c.eps < 1):
		return fmt.Errorf("the epsilon of RMSNorm is %v", c.eps)
	}
	for _, field := range []struct {
		name  string
		value float64
	}{
		{"the scale of the attention's scores", c.scale},
		{"the cap of the attention's scores", c.attentionCap},
		{"the cap of the logits", c.logitCap},
	} {
		if !(field.value >= 0) || math.IsInf(field.value, 0) {
			return fmt.Errorf("%s is %v", field.name, field.value)
		}
	}
	ropes := []rope{c.rope}
	if c.local != nil {
		ropes = append(ropes, c.localRope)
		if c.window < 1 || c.window > 1<<24 {
			return fmt.Errorf("the window of local attention is %d", c.window)
		}
	}
	for _, r := range ropes {
		for _, v := range r.frequencies(c.headDim) {
			if !(v > 0) || math.IsInf(v, 0) {
				return errors.New("the frequencies of the rotary embeddings are not positive")
			}
		}
	}
	return nil
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// isGGUF says whether a path names a GGUF file.
func isGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }
