package distill

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/strictjson"
)

// workers wraps the group of a run. The zero value is a single worker.
type workers struct {
	group Group
	flat  []float32 // the student's gradients, concatenated
}

func (o Options) workers() workers {
	if o.Group == nil || o.Group.Size() == 1 {
		return workers{}
	}
	return workers{group: o.Group}
}

func (w *workers) size() int {
	if w.group == nil {
		return 1
	}
	return w.group.Size()
}

func (w *workers) rank() int {
	if w.group == nil {
		return 0
	}
	return w.group.Rank()
}

// leads reports whether this worker evaluates, decides and writes.
func (w *workers) leads() bool { return w.rank() == 0 }

func (w *workers) check(student encoder.Encoder) error {
	if w.group == nil {
		return nil
	}
	if w.rank() < 0 || w.rank() >= w.size() {
		return fmt.Errorf("distill: Options.Group has rank %d of %d", w.rank(), w.size())
	}
	params, err := parameters(student)
	if err != nil {
		return fmt.Errorf("%w, which Options.Group needs", err)
	}
	for _, p := range params {
		if p.SetGrad == nil {
			return fmt.Errorf("distill: Options.Group needs a student whose gradients can be set; parameter %s of %T has no "+
				"SetGrad", p.Name, student)
		}
	}
	return nil
}

// withoutOutput removes the options that only rank 0 uses.
func (o Options) withoutOutput() Options {
	o.Checkpoints.Dir, o.Events = "", retort.Events{Warning: func(retort.Warning) {}}
	return o
}

// shares assigns rows to workers, longest first, each to the worker with the fewest tokens so far.
func shares(in encoder.Inputs, rows []int, size int) [][]int {
	if size == 1 {
		return [][]int{rows}
	}
	longest := slices.Clone(rows)
	slices.SortStableFunc(longest, func(a, b int) int { return cmp.Compare(in.Tokens(b), in.Tokens(a)) })
	shares, tokens := make([][]int, size), make([]int, size)
	for _, r := range longest {
		least := 0
		for w := range tokens {
			if tokens[w] < tokens[least] {
				least = w
			}
		}
		shares[least] = append(shares[least], r)
		tokens[least] += in.Tokens(r)
	}
	return shares
}

// gatherRows completes a matrix without gaps of which each worker holds counts[rank] consecutive rows.
func (w *workers) gatherRows(ctx context.Context, m blas32.General, counts []int) error {
	parts := make([][]float32, w.size())
	start := 0
	for r, n := range counts {
		end := start + n*m.Stride
		parts[r] = m.Data[start:end]
		start = end
	}
	return w.gather(ctx, parts)
}

// reduceGradients sets the student's gradients to the sum over all workers.
func (w *workers) reduceGradients(ctx context.Context, student encoder.Encoder) error {
	params, err := parameters(student)
	if err != nil {
		return err
	}
	w.flat = w.flat[:0]
	for _, p := range params {
		grad, err := p.Grad()
		if err != nil {
			return fmt.Errorf("gradient of %s: %w", p.Name, err)
		}
		w.flat = append(w.flat, grad...)
	}
	if err := w.group.AllReduce(ctx, w.flat); err != nil {
		return w.lost(ctx, err)
	}
	sum := w.flat
	for _, p := range params {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		if err := p.SetGrad(sum[:n]); err != nil {
			return fmt.Errorf("gradient of %s: %w", p.Name, err)
		}
		sum = sum[n:]
	}
	return nil
}

func (w *workers) gather(ctx context.Context, parts [][]float32) error {
	if err := w.group.AllGather(ctx, parts); err != nil {
		return w.lost(ctx, err)
	}
	return nil
}

// lost distinguishes the end of this worker's context from the loss of another worker.
func (w *workers) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("rank %d of %d: %w: %w", w.rank(), w.size(), ErrWorkerLost, err)
}

// leave makes the pending calls of the other workers fail.
func (w *workers) leave() error {
	if a, ok := w.group.(Aborter); ok {
		return a.Abort()
	}
	return nil
}

// broadcastFloats is the number of values sent at a time, 16 MiB.
const broadcastFloats = 4 << 20

// gatherBytes returns the data of every worker, by rank.
func (w *workers) gatherBytes(ctx context.Context, own []byte) ([][]byte, error) {
	sizes := make([]byte, 8*w.size())
	binary.LittleEndian.PutUint64(sizes[8*w.rank():], uint64(len(own)))
	floats := toFloats(sizes)
	parts := make([][]float32, w.size())
	for r := range parts {
		parts[r] = floats[2*r : 2*r+2]
	}
	if err := w.gather(ctx, parts); err != nil {
		return nil, err
	}
	all, lengths := make([][]byte, w.size()), make([]int, w.size())
	for r, p := range parts {
		lengths[r] = int(binary.LittleEndian.Uint64(fromFloats(nil, p, 8)))
	}
	for sent := 0; sent < slices.Max(lengths); sent += 4 * broadcastFloats {
		for r := range parts {
			n := min(max(0, lengths[r]-sent), 4*broadcastFloats)
			if r == w.rank() {
				parts[r] = toFloats(own[min(sent, len(own)):][:n])
			} else {
				parts[r] = make([]float32, (n+3)/4)
			}
		}
		if err := w.gather(ctx, parts); err != nil {
			return nil, err
		}
		for r, part := range parts {
			if r != w.rank() {
				all[r] = fromFloats(all[r], part, lengths[r])
			}
		}
	}
	all[w.rank()] = own
	return all, nil
}

// broadcast returns the data of rank 0.
func (w *workers) broadcast(ctx context.Context, data []byte) ([]byte, error) {
	if !w.leads() {
		data = nil
	}
	all, err := w.gatherBytes(ctx, data)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// broadcastJSON sends the value of rank 0 to all workers.
func (w *workers) broadcastJSON(ctx context.Context, value any) error {
	if w.group == nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if data, err = w.broadcast(ctx, data); err != nil || w.leads() {
		return err
	}
	return strictjson.Unmarshal(data, value)
}

// toFloats stores four bytes in the bits of each float32.
func toFloats(data []byte) []float32 {
	floats := make([]float32, (len(data)+3)/4)
	for i := range floats {
		var word [4]byte
		copy(word[:], data[4*i:])
		floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(word[:]))
	}
	return floats
}

// fromFloats appends to data until it has limit bytes.
func fromFloats(data []byte, floats []float32, limit int) []byte {
	for _, f := range floats {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return data[:min(len(data), limit)]
}

// sameRun returns an error if the settings that affect the result differ between workers.
func (w *workers) sameRun(ctx context.Context, run map[string]string, student encoder.Trainable) error {
	if w.group == nil {
		return nil
	}
	if _, ok := student.(encoder.Fingerprinter); !ok {
		h := sha256.New()
		if err := student.SaveState(h); err != nil {
			return err
		}
		run = maps.Clone(run)
		run["student"] = hex.EncodeToString(h.Sum(nil))
	}
	own, err := json.Marshal(run)
	if err != nil {
		return err
	}
	all, err := w.gatherBytes(ctx, own)
	if err != nil {
		return err
	}
	runs := make([]map[string]string, len(all))
	for r, data := range all {
		if err := strictjson.Unmarshal(data, &runs[r]); err != nil {
			return fmt.Errorf("distill: read the settings of worker %d: %w", r, err)
		}
	}
	for r, other := range runs[1:] {
		if what := difference(runs[0], other); what != "" {
			return fmt.Errorf("distill: the run of worker %d differs from the run of worker 0: %s", r+1, what)
		}
	}
	return nil
}

// difference describes the first difference between two runs.
func difference(a, b map[string]string) string {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a[name] == b[name] {
			continue
		}
		switch name {
		case "lists", "held-out lists", "passages", "student":
			return "other " + name
		}
		return fmt.Sprintf("%s is %q, want %q", name, b[name], a[name])
	}
	return ""
}

// shareStudent sends the student of rank 0, moments included, to all workers.
func (w *workers) shareStudent(ctx context.Context, student encoder.Trainable) error {
	if w.group == nil {
		return nil
	}
	var state bytes.Buffer
	if w.leads() {
		if err := student.SaveState(&state); err != nil {
			return err
		}
	}
	data, err := w.broadcast(ctx, state.Bytes())
	if err != nil || w.leads() {
		return err
	}
	return student.LoadState(bytes.NewReader(data))
}

// encodeAll divides the texts among the workers, encodes this worker's share and gathers all vectors.
func (w *workers) encodeAll(ctx context.Context, e encoder.Encoder, role encoder.Role, texts []string,
	report func(done, total int),
) (blas32.General, error) {
	if w.group == nil {
		return encodeAll(ctx, e, role, texts, report)
	}
	all := matrix.New(len(texts), e.Dim())
	counts := make([]int, w.size())
	start := func(rank int) int { return rank * len(texts) / w.size() }
	for r := range counts {
		counts[r] = start(r+1) - start(r)
	}
	own, err := encodeAll(ctx, e, role, texts[start(w.rank()):start(w.rank()+1)], report)
	if err != nil {
		return blas32.General{}, err
	}
	for i := range own.Rows {
		copy(matrix.Row(all, start(w.rank())+i), matrix.Row(own, i))
	}
	return all, w.gatherRows(ctx, all, counts)
}
