package causallm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/device"
	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/torch"
)

// Options are the settings of a model. The zero value is valid.
type Options struct {
	// Name is what Model returns; "" means the name of the folder or of the file without its extension.
	Name string
	// Chat asks by the model's chat template and the prompt's messages, as instruction-tuned models want it;
	// otherwise the model goes on with the prompt's raw text, which small models do better.
	Chat bool
	// TopP draws from the likeliest tokens whose probabilities sum up to it (Holtzman et al. 2020, arXiv 1904.09751),
	// in (0,1]; 0 means 1, all tokens.
	TopP float64
	// Precision is the precision of the weights and of the matrix products: retort.BF16 takes half the memory.
	Precision retort.Precision
	// ContextLength is the most tokens of a prompt and its answer; 0 means the model's own, but at most 8192. A
	// passage that is too long for it is cut; Truncated says how often.
	ContextLength int
	// Rows is at most how many answers are written at the same time; 0 means 64. There are fewer where their keys and
	// values would take more than an eighth of what the weights take, and more than 64 MiB.
	Rows int
	// BatchTokens is about how many tokens of prompts are computed at once; 0 means 512, and 16384 on a GPU.
	BatchTokens int
	// Threads is how many threads one operation may use; 0 means GOMAXPROCS.
	Threads int
	// Device is what the model computes on.
	Device retort.Device
	// Logger is told by Open of a download; nil logs nothing.
	Logger *slog.Logger
}

// Validate returns an error that names the field with a value out of range.
func (o Options) Validate() error {
	switch {
	case !(o.TopP >= 0 && o.TopP <= 1):
		return fmt.Errorf("causallm: Options.TopP is %v, want it in (0,1]", o.TopP)
	case o.ContextLength < 0:
		return fmt.Errorf("causallm: Options.ContextLength is %d, want it >= 0", o.ContextLength)
	case o.Rows < 0:
		return fmt.Errorf("causallm: Options.Rows is %d, want it >= 0", o.Rows)
	case o.BatchTokens < 0:
		return fmt.Errorf("causallm: Options.BatchTokens is %d, want it >= 0", o.BatchTokens)
	case o.Threads < 0:
		return fmt.Errorf("causallm: Options.Threads is %d, want it >= 0", o.Threads)
	}
	if err := o.Precision.Validate(); err != nil {
		return fmt.Errorf("causallm: Options.Precision: %w", err)
	}
	if err := o.Device.Validate(); err != nil {
		return fmt.Errorf("causallm: Options.Device: %w", err)
	}
	return nil
}

const longestContext = 8192

// withDefaults fills in what is 0, for a model made for context positions.
func (o Options) withDefaults(context int) Options {
	o.TopP = cmp.Or(o.TopP, 1)
	o.ContextLength = cmp.Or(o.ContextLength, min(context, longestContext))
	o.Rows = cmp.Or(o.Rows, 64)
	if !onCPU(o.Device) {
		o.BatchTokens = cmp.Or(o.BatchTokens, 16384)
	}
	o.BatchTokens = cmp.Or(o.BatchTokens, 512)
	return o
}

// onCPU says whether a valid device is the CPU.
func onCPU(d retort.Device) bool {
	number, err := device.Parse(string(d))
	return err != nil || number == device.CPU
}

// Model is a language model on LibTorch. It is safe for concurrent use: calls queue up.
type Model struct {
	rt       *torch.Runtime
	options  Options
	name     string
	text     *text
	network  *network
	prefixes *prefixes  // touched on the runtime's thread only
	file     *gguf.File // of the weights that stay quantised; nil: none do
	cuts     atomic.Int64
}

var _ generate.BatchCompleter = (*Model)(nil)

// Open reads a model from a Hugging Face folder (config.json, tokenizer.json, model.safetensors or its shards) or a
// GGUF file and puts its weights on the device. Close must be called once it is no longer needed.
//
// path is a path, or the name of a repository on the Hugging Face hub, as for transformer.Open. A GGUF file in a
// repository is named after a colon, such as org/model:model.Q4_K_M.gguf.
//
// Quantised matrices of a GGUF file stay in the mapped file, which must not shrink while the model is open, if the
// device is the CPU. A GPU gets them dequantised.
func Open(ctx context.Context, path string, o Options) (_ *Model, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := cmp.Or(o.Name, nameOf(path))
	if path, err = hub.Resolve(ctx, path, o.Logger); err != nil {
		return nil, err
	}
	d, err := describe(path)
	if err != nil {
		return nil, err
	}
	m := &Model{options: o.withDefaults(d.config.context), name: name, text: d.text}
	defer func() {
		if m.file == nil {
			err = errors.Join(err, d.close())
		}
	}()
	if o.ContextLength > d.config.context {
		return nil, fmt.Errorf("%s: Options.ContextLength is %d; the model has %d positions", path, o.ContextLength,
			d.config.context)
	}
	if o.Chat && d.text.templateErr != nil {
		return nil, fmt.Errorf("%w; without Options.Chat (-llm-api completions) the model is asked without its template",
			d.text.templateErr)
	}
	if o.Chat && d.text.template == nil {
		return nil, fmt.Errorf("%s: Options.Chat is set, and the model has no chat template; unset it (-llm-api completions)",
			path)
	}
	m.prefixes = newPrefixes()
	threads := o.Threads
	if d.quantised() && onCPU(o.Device) {
		threads = 1 // OpenMP's threads would wait in loops on the cores of the team that multiplies by packed matrices
	}
	if m.rt, err = torch.Open(torch.Options{Threads: threads, Device: string(o.Device)}); err != nil {
		return nil, err
	}
	if m.network, err = newNetwork(ctx, m.rt, d.config, d.weights, torch.Precision(string(o.Precision)),
		m.options.ContextLength, o.Threads); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), m.Close())
	}
	if m.network.team != nil {
		m.file = d.file
		// Not all of what was read to be hashed is read again: of the token embeddings a few rows are.
		m.file.Release()
	}
	return m, nil
}

// Close frees the model and ends its thread, once the calls in hand are done. Closing twice is harmless.
func (m *Model) Close() error {
	err := m.rt.Run(context.Background(), func(s *torch.Scope) error {
		if m.network != nil {
			m.network.free(s)
		}
		m.prefixes.free(s)
		return nil
	})
	if errors.Is(err, torch.ErrClosed) {
		return nil
	}
	err = errors.Join(err, m.rt.Close())
	if m.file != nil {
		err = errors.Join(err, m.network.team.close(), m.file.Close())
	}
	return err
}

// Model implements generate.Completer: Options.Name, or the name of the folder or file.
func (m *Model) Model() string { return m.name }

// Fingerprint is a digest of all that an answer depends on but the request: the weights as they were read (so a
// quantised file differs from its original), the network's shape, the tokenizer, the chat template and the options
// that matter.
func (m *Model) Fingerprint() string {
	o := m.options
	h := sha256.New()
	fmt.Fprintf(h, "retort causallm 2\n%s\n%s %v\n%s\n", m.network.digest, m.network.config.shape(), m.network.config.eos,
		m.text.fingerprint())
	fmt.Fprintf(h, "%v %v %d %v\n", o.Chat, o.TopP, o.ContextLength, m.network.precision)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Truncated returns how many passages have been cut so far, since their prompts were longer than Options.ContextLength.
func (m *Model) Truncated() int64 { return m.cuts.Load() }

// nameOf is the last part of a path, without a file's extension.
func nameOf(path string) string {
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	name := filepath.Base(absolute)
	if isGGUF(name) {
		name = name[:len(name)-len(filepath.Ext(name))]
	}
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == '#' {
			return '-'
		}
		return r
	}, name)
}

// shape is what of a configuration enters the fingerprint.
func (c config) shape() string {
	out := fmt.Sprintf("%s %d %d %d %d %d %g %v %x", c.arch, c.layers, c.heads, c.kvHeads, c.headDim, c.context, c.eps,
		c.tied, math.Float64bits(weightedSum(c.rope.frequencies(c.headDim))))
	if c.period > 0 {
		out += fmt.Sprintf(" %g %g %g %d %v %x", c.scoreScale(), c.attentionCap, c.logitCap, c.window, c.local,
			math.Float64bits(weightedSum(c.localRope.frequencies(c.headDim))))
	}
	return out
}

// weightedSum differs where the frequencies do, in any place.
func weightedSum(values []float64) float64 {
	total := 0.0
	for i, v := range values {
		total += v * float64(i+1)
	}
	return total
}
