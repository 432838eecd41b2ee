package crossencoder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/teacher"
)

// Options override what a model folder says. The zero value takes the folder as it is.
type Options struct {
	// MaxTokens limits the length of a pair, special tokens included; the longer text of a pair is cut first. It is
	// at least 8 and at most the model's positions. 0 means the tokenizer's model_max_length, but no more than 512.
	MaxTokens int
	// Precision is the precision of the matrix products.
	Precision retort.Precision
	// BatchTokens bounds the tokens of one micro-batch, padding included; 0 chooses by the device and Threads.
	BatchTokens int
	// Threads is how many threads the model may use; 0 means GOMAXPROCS.
	Threads int
	// Device is what the model computes on.
	Device retort.Device
	// Logger gets messages, from Open, about what the folder says and the model does without, and about downloads; nil:
	// none.
	Logger *slog.Logger
}

// Model is a cross-encoder. It is safe for concurrent use: computations queue up on LibTorch, and run in parallel in
// pure Go.
type Model struct {
	packed *packedNetwork // in pure Go; nil: on LibTorch
	rt     *torch.Runtime
	folder *folder
	net    *network
	budget int // tokens of a micro-batch, padding included

	truncated   atomic.Int64
	fingerprint func() string
}

var (
	_ teacher.BatchTeacher  = (*Model)(nil)
	_ encoder.Fingerprinter = (*Model)(nil)
)

// Open reads a model folder and puts its weights on the device. Without LibTorch a model computes in pure Go, in float32
// on the processor. Close must be called once it is no longer needed.
// dir is a folder, or the name of a repository on the Hugging Face hub, as for transformer.Open.
//
// The folder holds config.json, the weights and the tokenizer of a sequence classifier of transformers, of a family
// that docs/models.md lists as a cross-encoder. The head has one label, or two.
func Open(ctx context.Context, dir string, o Options) (*Model, error) {
	precision, err := o.validate()
	if err != nil {
		return nil, err
	}
	if dir, err = hub.Resolve(ctx, dir, o.Logger); err != nil {
		return nil, err
	}
	f, err := readFolder(dir, o.MaxTokens)
	if err != nil {
		return nil, err
	}
	if f.labels == 0 {
		return nil, fmt.Errorf("%s: the model has no classification head (%s); Train makes a cross-encoder of it", dir,
			f.head.out+".weight")
	}
	if o.Logger != nil {
		for _, note := range f.tokenizer.Notes() {
			o.Logger.Warn(note)
		}
	}
	if !torch.Available {
		return openInGo(ctx, f, o)
	}
	rt, err := torch.Open(torch.Options{Threads: o.Threads, Device: string(o.Device)})
	if err != nil {
		return nil, err
	}
	threads := cmp.Or(o.Threads, runtime.GOMAXPROCS(0))
	m := &Model{rt: rt, folder: f, budget: cmp.Or(o.BatchTokens, encodernet.BatchTokens(threads, rt.OnCPU()))}
	m.fingerprint = sync.OnceValue(m.digest)
	if m.net, err = loadNetwork(ctx, rt, f, precision, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), m.Close())
	}
	return m, nil
}

// openInGo opens a model that computes in pure Go.
func openInGo(ctx context.Context, f *folder, o Options) (*Model, error) {
	if err := encodernet.CheckPacked(string(o.Device), string(o.Precision), o.Threads); err != nil {
		return nil, fmt.Errorf("crossencoder: %w", err)
	}
	packed, err := openPacked(ctx, f, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.dir, err)
	}
	m := &Model{packed: packed, folder: f}
	m.fingerprint = sync.OnceValue(m.digest)
	return m, nil
}

func (o Options) validate() (torch.Type, error) {
	if o.BatchTokens < 0 {
		return 0, fmt.Errorf("crossencoder: Options.BatchTokens is %d", o.BatchTokens)
	}
	if err := o.Precision.Validate(); err != nil {
		return 0, fmt.Errorf("crossencoder: Options.Precision: %w", err)
	}
	if err := o.Device.Validate(); err != nil {
		return 0, fmt.Errorf("crossencoder: Options.Device: %w", err)
	}
	return torch.Precision(string(o.Precision)), nil
}

// Close frees the model and ends its thread. It waits for the current micro-batch; other calls return an error. A second
// Close does nothing.
func (m *Model) Close() error {
	if m.packed != nil {
		return m.packed.close()
	}
	err := m.rt.Run(context.Background(), func(s *torch.Scope) error {
		if m.net != nil {
			m.net.params.Free(s)
		}
		return nil
	})
	if errors.Is(err, torch.ErrClosed) {
		err = nil
	}
	return errors.Join(err, m.rt.Close())
}

// MaxTokens returns the length limit of a pair, special tokens included.
func (m *Model) MaxTokens() int { return m.folder.maxTokens }

// Truncated returns how many pairs have been cut to the length limit so far.
func (m *Model) Truncated() int64 { return m.truncated.Load() }

// Score returns the logits of the passages' Content beside the query, in their order. A pair's logit does not depend
// on the others but for rounding. The end of ctx is seen between micro-batches.
func (m *Model) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	for _, scored := range m.ScoreBatch(ctx, []teacher.Work{{Query: q, Passages: passages}}) {
		return scored.Scores, scored.Err
	}
	return nil, ctx.Err()
}

// BatchSize returns how many lists make batches with little padding.
func (m *Model) BatchSize() int { return 64 }

// ScoreBatch is Score for many lists. Pairs of up to 2,048 are sorted by length across their lists and cut into
// micro-batches of Options.BatchTokens, so that little is computed for padding, while the next ones are tokenised.
func (m *Model) ScoreBatch(ctx context.Context, lists []teacher.Work) iter.Seq2[int, teacher.Scored] {
	return func(yield func(int, teacher.Scored) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var done sync.WaitGroup
		defer done.Wait()
		defer cancel()
		windows := make(chan window, 1)
		done.Add(1)
		go func() {
			defer done.Done()
			defer close(windows)
			m.tokenise(ctx, lists, windows)
		}()
		for w := range windows {
			scores, err := []float64(nil), w.err
			if err == nil {
				scores, err = m.scorePairs(ctx, w.pairs)
			}
			if ctx.Err() != nil {
				return
			}
			for i := w.start; i < w.end; i++ {
				n := len(lists[i].Passages)
				outcome := teacher.Scored{Err: err}
				if err == nil {
					outcome = finite(lists[i], scores[:n:n])
					scores = scores[n:]
				}
				if !yield(i, outcome) {
					return
				}
			}
		}
	}
}

func (m *Model) scorePairs(ctx context.Context, all pairs) ([]float64, error) {
	if m.packed != nil {
		return m.packed.score(ctx, all)
	}
	return m.net.score(ctx, m.rt, all, m.budget)
}

// finite refuses scores that only broken weights give.
func finite(list teacher.Work, scores []float64) teacher.Scored {
	for i, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			err := fmt.Errorf("crossencoder: the model gives %v for passage %q of query %q: are its weights sound?", s,
				list.Passages[i].ID, list.Query.ID)
			return teacher.Scored{Err: err}
		}
	}
	return teacher.Scored{Scores: scores}
}

// window is the pairs of lists[start:end], end to end, that are sorted by length together.
type window struct {
	start, end int
	pairs      pairs
	err        error // in place of pairs
}

const windowPairs = 2048

// tokenise sends the lists' pairs until ctx ends.
func (m *Model) tokenise(ctx context.Context, lists []teacher.Work, windows chan<- window) {
	for start := 0; start < len(lists); {
		end, n := start, 0
		for end < len(lists) && (end == start || n+len(lists[end].Passages) <= windowPairs) {
			n += len(lists[end].Passages)
			end++
		}
		pairs, cut, err := m.folder.encode(ctx, lists[start:end])
		m.truncated.Add(int64(cut))
		select {
		case windows <- window{start, end, pairs, err}:
		case <-ctx.Done():
			return
		}
		start = end
	}
}

// Fingerprint is a digest of the weights, the tokenizer, the length limit and the precision, computed once. That of a
// model closed before is "".
func (m *Model) Fingerprint() string { return m.fingerprint() }

func (m *Model) digest() string {
	var digest string
	var err error
	if m.packed != nil {
		digest, err = m.packed.digest()
	} else {
		digest, err = m.net.digest(context.Background(), m.rt, m.folder)
	}
	if err != nil {
		return "" // the model is closed or broken; any other call says why
	}
	return digest
}
