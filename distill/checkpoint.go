package distill

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/training"
)

// trainState is the trainer's part of a checkpoint.
type trainState struct {
	training.State
	// RetentionLimit is the lowest score that Retention allows.
	RetentionLimit float64 `json:"retention_limit,omitempty"`
	// GraphBudget is the budget chosen when the run began: a resumed run may find a different amount of free memory.
	GraphBudget int64 `json:"graph_budget"`
}

// loadState loads a student's state from a checkpoint file.
func loadState(f *checkpoint.File, student encoder.Trainable) error {
	if err := student.LoadState(bufio.NewReaderSize(f.Body, 1<<20)); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return nil
}

// differences describe differences between runs whose values in identity are hashes.
var differences = map[string]string{
	"lists": "other lists", "held-out lists": "other held-out lists", "passages": "other passages",
	"student": "another student; open the model that it started from",
}

// identity returns, by name, every setting that affects the bits of the result.
func identity(student encoder.Encoder, train, dev []retort.List, passages string, o Options) map[string]string {
	id := map[string]string{
		"lists":          hashLists(train),
		"held-out lists": hashLists(dev),
		"passages":       passages,
		"student":        "without a fingerprint",
		"Loss":           checkpoint.Describe(o.loss()),
		"Evaluate":       fmt.Sprint(o.Selection.Evaluate != nil),
	}
	if f, ok := student.(encoder.Fingerprinter); ok {
		id["student"] = f.Fingerprint()
	}
	s := o.Schedule
	for name, value := range map[string]any{
		"Towers": o.Towers, "CountDuplicates": o.CountDuplicates, "WholeCorpus": o.WholeCorpus, "Epochs": s.Epochs,
		"QueriesPerStep": s.QueriesPerStep, "LR": s.LR, "Warmup": s.Warmup, "MinLR": s.MinLR, "WeightDecay": s.WeightDecay,
		"ClipNorm": s.ClipNorm, "Seed": s.Seed, "MicroBatchTokens": o.Memory.MicroBatchTokens,
		"GraphBudget": o.Memory.GraphBudget,
		"EvalSteps":   o.Selection.EvalSteps, "Patience": o.Selection.Patience,
	} {
		id[name] = fmt.Sprint(value)
	}
	// Omitted if they have no effect, so that runs of earlier versions can resume.
	if o.Selection.ByLoss {
		id["ChooseBy"] = "loss"
	}
	if len(o.Widths) > 0 {
		id["Widths"] = fmt.Sprint(o.Widths)
	}
	if o.Retention.Evaluate != nil {
		id["Retention"] = fmt.Sprintf("a drop of %v, shares %v", o.Retention.MaxDrop, o.Retention.DrawBack)
	}
	return id
}

func hashLists(lists []retort.List) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, l := range lists {
		enc.Encode(l) // a hash takes every byte, and lists were checked for what JSON cannot hold
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashFloats(h hash.Hash, values []float32) {
	b := make([]byte, 0, 4*len(values)) // one write a row: a hash is slow on four bytes at a time
	for _, x := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	h.Write(b)
}
