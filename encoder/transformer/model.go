package transformer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/nolibtorch"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// Model is a bi-encoder with one tower for both roles, or two. It implements every interface of package encoder. In a
// program built without LibTorch it encodes, and the methods of training return retort.ErrNoLibTorch.
type Model struct {
	packed    *packedModel   // computes Encode in pure Go; nil: LibTorch computes
	rt        *torch.Runtime // nil: there is no LibTorch
	folder    *Folder
	precision torch.Type
	budget    int // tokens of a micro-batch of Encode, padding included
	shared    *shared

	weights        sync.RWMutex  // held for reading by Encode, which may run concurrently
	query, passage *network      // the same one in a model with one tower
	frozen         bool          // the passage tower does not learn
	steps          int           // completed AdamW steps
	card           *encoder.Card // for Save; nil: Describe was not called

	fingerprints sync.Mutex
	fingerprint  string // "" after a change of weights
}

var (
	_ encoder.Trainable       = (*Model)(nil)
	_ encoder.Splitter        = (*Model)(nil)
	_ encoder.GradientZeroer  = (*Model)(nil)
	_ encoder.GraphSizer      = (*Model)(nil)
	_ encoder.Parametric      = (*Model)(nil)
	_ encoder.Fingerprinter   = (*Model)(nil)
	_ encoder.Describer       = (*Model)(nil)
	_ encoder.TrainingChecker = (*Model)(nil)
)

// Open reads a model folder and copies its weights to the device. The caller must call Close. In a program built without
// LibTorch, the model computes in pure Go, on the CPU and in fp32. Token embeddings then stay in the mapped file: it may
// be replaced or removed while the model is open, but must not be written to.
//
// dir is a folder, or the name of a repository on the Hugging Face hub, such as BAAI/bge-small-en-v1.5 or, with a
// revision, BAAI/bge-small-en-v1.5@main. Open downloads what is missing to the cache that Python's huggingface_hub uses.
// The environment variables HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE apply.
func Open(ctx context.Context, dir string, o Options) (*Model, error) {
	dir, err := hub.Resolve(ctx, dir, o.Logger)
	if err != nil {
		return nil, err
	}
	folder, err := ReadFolder(dir, o)
	if err != nil {
		return nil, err
	}
	precision, err := o.precision()
	if err != nil {
		return nil, err
	}
	if o.BatchTokens < 0 {
		return nil, fmt.Errorf("transformer: Options.BatchTokens is %d", o.BatchTokens)
	}
	if o.Logger != nil {
		for _, note := range folder.notes {
			o.Logger.Warn(note)
		}
	}
	if !torch.Available {
		return openInGo(ctx, folder, o)
	}
	rt, err := torch.Open(torch.Options{Threads: o.Threads, Device: string(o.Device)})
	if err != nil {
		return nil, err
	}
	threads := cmp.Or(o.Threads, runtime.GOMAXPROCS(0))
	m := &Model{rt: rt, folder: folder, precision: precision}
	m.budget = cmp.Or(o.BatchTokens, encodernet.BatchTokens(threads, rt.OnCPU()))
	m.shared = newShared(m, threads)
	if err := m.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", dir, err), m.Close())
	}
	return m, nil
}

// openInGo opens a model that computes in pure Go.
func openInGo(ctx context.Context, folder *Folder, o Options) (*Model, error) {
	if err := encodernet.CheckPacked(string(o.Device), string(o.Precision), o.Threads); err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	packed, err := openPacked(ctx, folder, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", folder.Dir, err)
	}
	return &Model{packed: packed, folder: folder, precision: torch.Float32}, nil
}

// errTraining is returned by what only LibTorch computes.
var errTraining = fmt.Errorf("transformer: training needs LibTorch: %w", nolibtorch.Err)

// run calls f on LibTorch's thread.
func (m *Model) run(ctx context.Context, f func(*torch.Scope) error) error {
	if m.rt == nil {
		return errTraining
	}
	return m.rt.Run(ctx, f)
}

func (o Options) precision() (torch.Type, error) {
	if err := o.Precision.Validate(); err != nil {
		return 0, fmt.Errorf("transformer: Options.Precision: %w", err)
	}
	if err := o.Device.Validate(); err != nil {
		return 0, fmt.Errorf("transformer: Options.Device: %w", err)
	}
	return torch.Precision(string(o.Precision)), nil
}

func (m *Model) load(ctx context.Context) (err error) {
	if m.query, err = m.folder.Query.Tower.load(ctx, m.rt); err != nil {
		return err
	}
	if m.folder.Shared() {
		m.passage = m.query
		return nil
	}
	m.passage, err = m.folder.Passage.Tower.load(ctx, m.rt)
	return err
}

// Close frees the model and ends its threads. It waits for the current micro-batch; other calls of Encode return an
// error. A second Close does nothing.
func (m *Model) Close() error {
	if m.packed != nil {
		return m.packed.close()
	}
	shared := m.shared.close()
	m.weights.Lock()
	defer m.weights.Unlock()
	err := m.rt.Run(context.Background(), func(s *torch.Scope) error {
		for _, n := range m.networks() {
			n.Params.Free(s)
		}
		return nil
	})
	m.query, m.passage = nil, nil
	if errors.Is(err, torch.ErrClosed) {
		err = nil
	}
	return errors.Join(shared, err, m.rt.Close())
}

// Dim returns the width of the vectors.
func (m *Model) Dim() int { return m.settings().Dim() }

// settings returns what the folder says. It may be called as side may.
func (m *Model) settings() *Folder {
	m.weights.RLock()
	defer m.weights.RUnlock()
	return m.folder
}

// side returns what a role needs. It may be called beside SplitTowers, but not by a holder of the lock.
func (m *Model) side(role encoder.Role) *Side {
	m.weights.RLock()
	defer m.weights.RUnlock()
	return m.folder.Side(role)
}

// Normalized reports whether the rows of Encode have L2 norm 1. It can be false for a model that ranks by dot product.
func (m *Model) Normalized() bool { return m.settings().Normalized() }

// CheckTraining implements encoder.TrainingChecker. It returns an error without LibTorch, and for a model that ranks
// unnormalised vectors by dot product, because the temperatures and thresholds of training assume cosine similarities.
func (m *Model) CheckTraining() error {
	if m.Normalized() {
		if m.rt == nil {
			return errTraining
		}
		return nil
	}
	return fmt.Errorf("%s: similarity_fn_name is dot and the vectors are not normalised: Retort can encode and "+
		"rank with this model, but not train it; add a Normalize module, or set similarity_fn_name to cosine",
		filepath.Join(m.settings().Dir, sentenceTransformersJSON))
}

// Encode returns one row per text, [len(texts) x d], row-major, L2-normalised unless Normalized returns false. It sorts
// the texts by length and cuts them into micro-batches of Options.BatchTokens to reduce padding. The row of a text
// depends on the other texts only by rounding. Encode checks ctx between micro-batches or more often.
//
// Encode is safe for concurrent use. In pure Go calls run in parallel, each micro-batch on one thread; a call of several
// texts uses all of Options.Threads, and a text's row depends on no other text in any bit. On LibTorch and a CPU, one
// thread computes a call of up to 32 tokens, so several such calls run in parallel; calls of up to 512 tokens that wait
// for a thread are batched together, unless ctx comes from [encoder.Alone].
func (m *Model) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	in, err := m.prepare(ctx, role, texts)
	if err != nil {
		return blas32.General{}, err
	}
	if err := in.tokenise(ctx); err != nil {
		return blas32.General{}, err
	}
	if len(texts) == 0 {
		return matrix.New(0, m.Dim()), nil
	}
	if m.packed != nil {
		return m.packed.encode(ctx, in)
	}
	return m.shared.encode(ctx, in, func() (blas32.General, error) { return m.encodeAll(ctx, in) })
}

// encodeAll computes the micro-batches one by one, each on all threads.
func (m *Model) encodeAll(ctx context.Context, in *inputs) (blas32.General, error) {
	rows := make([]int, in.Len())
	for i := range rows {
		rows[i] = i
	}
	out := matrix.New(in.Len(), m.Dim())
	for _, rows := range encoder.MicroBatches(in, rows, m.budget) {
		values, err := m.encodeTexts(ctx, m.rt, in.role, in.some(rows))
		if err != nil {
			return blas32.General{}, err
		}
		for i, r := range rows {
			copy(matrix.Row(out, r), values[i*out.Cols:])
		}
	}
	return out, nil
}

// encodeTexts returns the embeddings of tokenised texts, computed as one micro-batch without a graph.
func (m *Model) encodeTexts(ctx context.Context, rt *torch.Runtime, role encoder.Role,
	texts [][]int32,
) (values []float32, err error) {
	m.weights.RLock()
	defer m.weights.RUnlock()
	if m.query == nil {
		return nil, torch.ErrClosed
	}
	err = rt.Run(ctx, func(s *torch.Scope) error {
		s.NoGrad(func() { values = s.Floats(m.compute(s, role, texts, false)) })
		return s.Err()
	})
	return values, sized(err, len(texts), widest(texts))
}

func widest(texts [][]int32) int {
	width := 0
	for _, ids := range texts {
		width = max(width, len(ids))
	}
	return width
}

// sized adds to an out-of-memory error the size of the micro-batch and the settings that reduce it.
func sized(err error, rows, width int) error {
	if !errors.Is(err, torch.ErrMemory) {
		return err
	}
	return fmt.Errorf("transformer: a micro-batch of %d texts, %d tokens with padding: %w: reduce the tokens of a micro-batch "+
		"(Options.BatchTokens where texts are encoded, MicroBatchTokens and -micro-batch-tokens where a model is trained), "+
		"or the length limits of texts (Options.QueryTokens, PassageTokens)", rows, rows*width, err)
}

// Prepare implements encoder.Trainable. It tokenises each text once, on first use.
func (m *Model) Prepare(ctx context.Context, role encoder.Role, texts []string) (encoder.Inputs, error) {
	return m.prepare(ctx, role, texts)
}

func (m *Model) prepare(ctx context.Context, role encoder.Role, texts []string) (*inputs, error) {
	if role != encoder.Query && role != encoder.Passage {
		return nil, fmt.Errorf("transformer: role %d is neither query nor passage", role)
	}
	return newInputs(role, m.side(role), texts), ctx.Err()
}

// Forward implements encoder.Trainable: it computes the embeddings of the given rows of in as one micro-batch.
func (m *Model) Forward(ctx context.Context, in encoder.Inputs, rows []int, keepGraph bool) (encoder.Pass, error) {
	prepared, ok := in.(*inputs)
	if !ok {
		return nil, fmt.Errorf("transformer: Forward: inputs of type %T do not come from Prepare", in)
	}
	for _, r := range rows {
		if r < 0 || r >= prepared.Len() {
			return nil, fmt.Errorf("transformer: Forward: row %d is out of range: the inputs have %d rows", r, prepared.Len())
		}
	}
	if keepGraph {
		if err := m.CheckTraining(); err != nil {
			return nil, err
		}
	}
	p := &pass{m: m, embeddings: matrix.New(len(rows), m.Dim())}
	if len(rows) == 0 {
		return p, nil
	}
	keepGraph = keepGraph && !(m.frozen && prepared.role == encoder.Passage)
	texts := prepared.some(rows)
	if err := prepared.err(); err != nil {
		return nil, err
	}
	p.width = widest(texts)
	err := m.run(ctx, func(s *torch.Scope) error {
		if !keepGraph {
			s.NoGrad(func() { s.CopyFloats(p.embeddings.Data, m.compute(s, prepared.role, texts, true)) })
			return s.Err()
		}
		t := m.compute(s, prepared.role, texts, true)
		s.CopyFloats(p.embeddings.Data, t)
		if s.Err() == nil {
			p.graph = s.Keep(t)
		}
		return s.Err()
	})
	if err != nil {
		return nil, sized(err, len(rows), p.width)
	}
	return p, nil
}

// GraphBytes implements encoder.GraphSizer.
func (m *Model) GraphBytes(in encoder.Inputs, rows []int) int64 {
	prepared, ok := in.(*inputs)
	if !ok || m.rt == nil {
		return math.MaxInt64 // Forward returns an error for them
	}
	return m.folder.Side(prepared.role).Tower.config.GraphBytes(len(rows), widest(prepared.some(rows)), m.precision,
		m.rt.OnCPU())
}

// compute returns the embeddings of tokenised texts [len(texts) x d]. Training uses the same kernels for both passes
// over a micro-batch, so that they agree to the bit.
func (m *Model) compute(s *torch.Scope, role encoder.Role, texts [][]int32, training bool) torch.Tensor {
	side := m.folder.Side(role)
	b := encodernet.NewBatch(texts, side.Tower.pad)
	if training {
		b = b.ForTraining()
	}
	return embed(s, m.network(role), b, m.folder, side, m.precision)
}

// Step implements encoder.Trainable: one step of AdamW on every trainable parameter.
func (m *Model) Step(u encoder.Update) (float64, error) {
	if err := u.Validate(); err != nil {
		return 0, err
	}
	m.weights.Lock()
	defer m.weights.Unlock()
	var norm float64
	err := m.run(context.Background(), func(s *torch.Scope) error {
		for _, n := range m.learning() {
			norm = math.Hypot(norm, n.Params.GradNorm(s))
		}
		if s.Err() != nil {
			return s.Err()
		}
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			m.zeroGradients(s)
			return errors.Join(s.Err(), encoder.ErrNonFinite)
		}
		adamW := encodernet.AdamW{LR: u.LR, WeightDecay: u.WeightDecay, Beta1: u.Beta1, Beta2: u.Beta2, Eps: u.Eps, Scale: 1}
		if u.ClipNorm > 0 && norm > u.ClipNorm {
			adamW.Scale = u.ClipNorm / norm
		}
		m.steps++
		m.changed()
		for _, n := range m.learning() {
			n.Params.Step(s, m.steps, adamW)
		}
		return s.Err()
	})
	return norm, err
}

// ZeroGradients implements encoder.GradientZeroer.
func (m *Model) ZeroGradients() error {
	return m.run(context.Background(), func(s *torch.Scope) error {
		m.zeroGradients(s)
		return s.Err()
	})
}

func (m *Model) zeroGradients(s *torch.Scope) {
	for _, n := range m.learning() {
		n.Params.ZeroGradients(s)
	}
}

// SplitTowers implements encoder.Splitter: it gives the query role its own tower, and the passage tower no longer
// learns.
func (m *Model) SplitTowers() error {
	if m.rt == nil {
		return errTraining
	}
	m.weights.Lock()
	defer m.weights.Unlock()
	if m.query == nil {
		return torch.ErrClosed
	}
	if m.folder.Shared() {
		twin, err := m.folder.Query.Tower.clone(context.Background(), m.rt, m.query)
		if err != nil {
			return err
		}
		m.passage = m.query
		m.query = twin
		tower := *m.folder.Query.Tower
		folder := *m.folder
		folder.Query.Tower = &tower
		m.folder = &folder
	}
	m.frozen = true
	return nil
}

// Save writes the model to a folder that sentence-transformers and Open can load: one tower, or a Router with the
// routes query and document. If training has changed the weights, Save writes them as float32 and sets the type in
// config.json. It copies an unchanged model, with one tower if the model was opened with one. The folder that the model
// was opened from must still exist. dir must not exist, or be empty or written by an earlier Save; Save replaces it
// atomically. Save writes the content of Describe to the model card, README.md; without Describe a copy keeps its card.
func (m *Model) Save(dir string) error {
	weights, err := m.copyWeights()
	if err != nil {
		return fmt.Errorf("transformer: save: %w", err)
	}
	folder, trained, err := m.folder.changed(weights)
	if err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	return saveFolder(dir, folder, trained, m.card)
}

// copyWeights copies the weights of the towers to the host, none where they cannot have changed.
func (m *Model) copyWeights() (map[*Tower][]safetensors.Tensor, error) {
	if m.packed != nil {
		return nil, nil
	}
	all := map[*Tower][]safetensors.Tensor{}
	err := m.rt.Run(context.Background(), func(s *torch.Scope) error {
		for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
			tower := m.folder.Side(role).Tower
			if all[tower] != nil {
				continue
			}
			for _, p := range m.network(role).Params {
				all[tower] = append(all[tower], safetensors.Tensor{Name: p.Name, Shape: p.Shape, Values: s.Floats(p.Value)})
			}
		}
		return s.Err()
	})
	return all, err
}

// Describe implements encoder.Describer: it sets the content of the model card that Save writes.
func (m *Model) Describe(card encoder.Card) { m.card = &card }

// Parameters returns the trainable parameters in a fixed order. If two towers learn, the names begin with "query." and
// "passage.".
func (m *Model) Parameters() []encoder.Parameter {
	var all []encoder.Parameter
	for i, n := range m.learning() {
		prefix := ""
		if len(m.learning()) > 1 {
			prefix = [...]string{"query.", "passage."}[i]
		}
		for _, p := range n.Params {
			all = append(all, m.parameter(prefix, p))
		}
	}
	return all
}

func (m *Model) parameter(prefix string, p *encodernet.Parameter) encoder.Parameter {
	read := func(f func(*torch.Scope) torch.Tensor) ([]float32, error) {
		values := make([]float32, p.Size())
		err := m.rt.Run(context.Background(), func(s *torch.Scope) error {
			if t := f(s); t != nil {
				s.CopyFloats(values, t)
			}
			return s.Err()
		})
		return values, err
	}
	return encoder.Parameter{
		Name:  prefix + p.Name,
		Shape: slices.Clone(p.Shape),
		Value: func() ([]float32, error) { return read(func(*torch.Scope) torch.Tensor { return p.Value }) },
		Grad:  func() ([]float32, error) { return read(func(s *torch.Scope) torch.Tensor { return s.Grad(p.Value) }) },
		Set: func(values []float32) error {
			m.weights.Lock()
			defer m.weights.Unlock()
			m.changed()
			return m.rt.Run(context.Background(), func(s *torch.Scope) error { return p.Set(s, values) })
		},
		SetGrad: func(grad []float32) error {
			return m.rt.Run(context.Background(), func(s *torch.Scope) error { return p.SetGrad(s, grad) })
		},
	}
}

// Fingerprint returns a digest of the weights, tokenizers, prompts, limits, pooling and precision. It is computed once
// per change of the weights. On a closed model it returns "" unless it was computed before Close.
func (m *Model) Fingerprint() string {
	m.fingerprints.Lock()
	defer m.fingerprints.Unlock()
	if m.fingerprint != "" {
		return m.fingerprint
	}
	h := sha256.New()
	fmt.Fprintf(h, "retort bert 1 %d\n", m.precision)
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		side := m.folder.Side(role)
		fmt.Fprintf(h, "%q %d %s %s %+v\n", side.Prompt, side.Tokens, side.Tower.Pooling, side.Tower.tokenizer.Fingerprint(),
			side.Tower.config)
	}
	if m.folder.similarity != modelfolder.Cosine || m.folder.Dim() < m.folder.Query.Tower.width() {
		fmt.Fprintf(h, "%s %d %t\n", m.folder.similarity, m.folder.Dim(), m.folder.Query.Tower.Normalize)
	}
	for _, side := range []*Side{&m.folder.Query, &m.folder.Passage} {
		if len(side.Tower.head) > 0 || side.promptTokens > 0 {
			fmt.Fprintf(h, "%d", side.promptTokens)
			for _, module := range side.Tower.head {
				fmt.Fprintf(h, " %s %s %d", module.kind, module.activation, module.out)
			}
		}
	}
	each := m.eachWeight
	if m.packed != nil {
		each = m.packed.eachWeight
	}
	if err := each(func(values []float32) { encodernet.HashValues(h, values) }); err != nil {
		return "" // the model is closed, or any other call says what is wrong
	}
	m.fingerprint = hex.EncodeToString(h.Sum(nil))
	return m.fingerprint
}

// eachWeight calls f with the values of each parameter.
func (m *Model) eachWeight(f func([]float32)) error {
	if m.query == nil {
		return torch.ErrClosed
	}
	for _, n := range m.networks() {
		for _, p := range n.Params {
			values, err := m.parameter("", p).Value()
			if err != nil {
				return err
			}
			f(values)
		}
	}
	return nil
}

// changed discards the fingerprint of the previous weights.
func (m *Model) changed() {
	m.fingerprints.Lock()
	defer m.fingerprints.Unlock()
	m.fingerprint = ""
}

func (m *Model) network(role encoder.Role) *network {
	if role == encoder.Query {
		return m.query
	}
	return m.passage
}

// networks returns the model's one or two networks, the query's first; none once it is closed.
func (m *Model) networks() []*network {
	switch {
	case m.query == nil && m.passage == nil:
		return nil
	case m.passage == nil || m.passage == m.query:
		return []*network{m.query}
	default:
		return []*network{m.query, m.passage}
	}
}

// learning returns the networks that Step changes.
func (m *Model) learning() []*network {
	all := m.networks()
	if m.frozen && len(all) > 0 {
		return all[:1]
	}
	return all
}
