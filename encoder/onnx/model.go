//go:build cgo

package onnx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

// Options are the settings of Open. The zero value uses the library that the system finds, and all processors.
type Options struct {
	// Library is the path of the shared library of onnxruntime; empty means libonnxruntime.so on the system's search path. A
	// process loads one library: the first that Open loads.
	Library string
	// Threads is the number of threads that compute one micro-batch; 0 means GOMAXPROCS.
	Threads int
}

// Model is an encoder on onnxruntime. It is safe for concurrent use.
type Model struct {
	folder *transformer.Folder

	mu             sync.RWMutex // held for reading by Encode
	query, passage *network     // the same one in a model with one tower; nil: closed
}

var (
	_ encoder.Encoder    = (*Model)(nil)
	_ encoder.Normalizer = (*Model)(nil)
)

// ErrClosed is returned by Encode of a closed model.
var ErrClosed = errors.New("onnx: the model is closed")

// batchTokens is the largest number of tokens of a micro-batch, padding included. A call that is cancelled ends with the
// micro-batch that it is in.
const batchTokens = 1024

// Open loads the networks of a folder. The caller must call Close.
func Open(ctx context.Context, dir string, o Options) (*Model, error) {
	if o.Threads < 0 {
		return nil, fmt.Errorf("onnx: Options.Threads is %d", o.Threads)
	}
	folder, err := transformer.ReadFolder(dir, transformer.Options{})
	if err != nil {
		return nil, err
	}
	if err := load(o.Library); err != nil {
		return nil, err
	}
	m := &Model{folder: folder}
	if m.query, err = openNetwork(folder.Query.Tower, o); err != nil {
		return nil, err
	}
	m.passage = m.query
	if !folder.Shared() {
		if m.passage, err = openNetwork(folder.Passage.Tower, o); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Dim returns the width of the vectors.
func (m *Model) Dim() int { return m.folder.Dim() }

// Normalized reports whether the rows of Encode have L2 norm 1.
func (m *Model) Normalized() bool { return m.folder.Normalized() }

// Encode returns one row per text, [len(texts) x Dim], row-major, L2-normalised unless Normalized returns false. It
// sorts the texts by length to reduce padding, and checks ctx between micro-batches.
func (m *Model) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	if role != encoder.Query && role != encoder.Passage {
		return blas32.General{}, fmt.Errorf("onnx: role %d is neither query nor passage", role)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	n := m.query
	if role == encoder.Passage {
		n = m.passage
	}
	if n == nil {
		return blas32.General{}, ErrClosed
	}
	d := m.Dim()
	out := blas32.General{Rows: len(texts), Cols: d, Stride: d, Data: make([]float32, len(texts)*d)}
	in := make(tokenised, len(texts))
	rows := make([]int, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return blas32.General{}, err
		}
		var err error
		if in[i], _, err = m.folder.Side(role).Tokenize(text); err != nil {
			return blas32.General{}, err
		}
		rows[i] = i
	}
	for _, batch := range encoder.MicroBatches(in, rows, batchTokens) {
		if err := ctx.Err(); err != nil {
			return blas32.General{}, err
		}
		if err := n.encode(in, batch, out); err != nil {
			return blas32.General{}, err
		}
	}
	return out, ctx.Err()
}

// Close frees the networks. It waits for calls of Encode that have begun. A second Close does nothing.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	if m.query != nil {
		errs = append(errs, m.query.session.Destroy())
	}
	if m.passage != nil && m.passage != m.query {
		errs = append(errs, m.passage.session.Destroy())
	}
	m.query, m.passage = nil, nil
	return errors.Join(errs...)
}

// tokenised are the token ids of texts. It implements encoder.Inputs.
type tokenised [][]int32

func (in tokenised) Len() int         { return len(in) }
func (in tokenised) Tokens(i int) int { return len(in[i]) }

// network is a tower on onnxruntime.
type network struct {
	session *ort.DynamicAdvancedSession
	inputs  []string
}

const output = "sentence_embedding"

func openNetwork(t *transformer.Tower, o Options) (n *network, err error) {
	path := filepath.Join(t.Dir, "onnx", "model.onnx")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("onnx: %w; retort export -onnx writes a folder that has it", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("onnx: %s: %w", path, err)
		}
	}()
	inputs, err := inputsOf(path)
	if err != nil {
		return nil, err
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	threads := o.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	// Threads that wait must not spin: they would take the processors from other callers.
	err = errors.Join(options.SetIntraOpNumThreads(threads), options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"))
	if err != nil {
		return nil, err
	}
	session, err := ort.NewDynamicAdvancedSession(path, inputs, []string{output}, options)
	if err != nil {
		return nil, err
	}
	return &network{session, inputs}, nil
}

// inputsOf returns the inputs of a network, which must be those that Retort writes.
func inputsOf(path string) (names []string, err error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	if err := options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
		return nil, err
	}
	inputs, outputs, err := ort.GetInputOutputInfoWithOptions(path, options)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(outputs, func(o ort.InputOutputInfo) bool { return o.Name == output }) {
		return nil, fmt.Errorf("the network has no output %s: was it written by retort export -onnx?", output)
	}
	for _, in := range inputs {
		if !slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids"}, in.Name) {
			return nil, fmt.Errorf("the network has an input %q, which is not known", in.Name)
		}
		names = append(names, in.Name)
	}
	return names, nil
}

// encode writes the vectors of some texts to their rows of out.
func (n *network) encode(in tokenised, rows []int, out blas32.General) (err error) {
	width := in.Tokens(rows[0])
	ids, mask := make([]int64, len(rows)*width), make([]int64, len(rows)*width)
	for i, r := range rows {
		for j, id := range in[r] {
			ids[i*width+j], mask[i*width+j] = int64(id), 1
		}
	}
	values := map[string][]int64{"input_ids": ids, "attention_mask": mask, "token_type_ids": make([]int64, len(ids))}
	var free []ort.Value
	defer func() {
		for _, v := range free {
			err = errors.Join(err, v.Destroy())
		}
	}()
	var inputs []ort.Value
	for _, name := range n.inputs {
		t, err := ort.NewTensor(ort.NewShape(int64(len(rows)), int64(width)), values[name])
		if err != nil {
			return err
		}
		inputs, free = append(inputs, t), append(free, t)
	}
	vectors, err := ort.NewEmptyTensor[float32](ort.NewShape(int64(len(rows)), int64(out.Cols)))
	if err != nil {
		return err
	}
	free = append(free, vectors)
	if err := n.session.Run(inputs, []ort.Value{vectors}); err != nil {
		return fmt.Errorf("onnx: %d texts of up to %d tokens: %w", len(rows), width, err)
	}
	for i, r := range rows {
		copy(out.Data[r*out.Stride:r*out.Stride+out.Cols], vectors.GetData()[i*out.Cols:])
	}
	return nil
}

// library guards the environment of onnxruntime, of which a process has one. It lives until the process ends.
var library struct {
	sync.Mutex
	path string
}

func load(path string) error {
	library.Lock()
	defer library.Unlock()
	if path == "" {
		path = "libonnxruntime.so"
	}
	if ort.IsInitialized() {
		if library.path != "" && library.path != path {
			return fmt.Errorf("onnx: Options.Library is %s, but the process has loaded %s", path, library.path)
		}
		return nil // by another user of onnxruntime_go, or by an earlier Open
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return fmt.Errorf("onnx: load onnxruntime: %w; set Options.Library to the path of libonnxruntime.so 1.24", err)
	}
	library.path = path
	return nil
}
