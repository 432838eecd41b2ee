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
)

// trainState is the trainer's part of a checkpoint. The order of the lists and the schedule follow from Step.
type trainState struct {
	Run       map[string]string   `json:"run"` // all that decides the result: see identity
	Step      int                 `json:"step"`
	PartDone  bool                `json:"part_done"` // the steps up to an evaluation are made, the evaluation is not
	Done      bool                `json:"done"`
	Best      retort.Evaluation   `json:"best"`
	Worse     int                 `json:"worse"` // evaluations since the best one
	History   []retort.Evaluation `json:"history"`
	LossSum   float64             `json:"loss_sum"` // of the steps since the last evaluation
	LossSteps int                 `json:"loss_steps"`
	// For watchLoss.
	StartLoss    float64   `json:"start_loss"`
	RecentLosses []float64 `json:"recent_losses"`
	// RetentionLimit is the least score that Retention allows.
	RetentionLimit float64 `json:"retention_limit,omitempty"`
	Stopped        Stop    `json:"stopped,omitempty"`
	// GraphBudget is what was chosen when the run began: free memory may be another when it goes on.
	GraphBudget int64 `json:"graph_budget"`
}

// best returns the step of the best student, -1 before the first evaluation.
func (s *trainState) best() int {
	if len(s.History) == 0 {
		return -1
	}
	return s.Best.Step
}

// lastCheckpoint opens the last good checkpoint of a folder, as checkpoint.Last does.
func lastCheckpoint(dir string) (f *checkpoint.File, state trainState, damage, err error) {
	if f, damage, err = checkpoint.Last(dir); err != nil {
		return nil, state, nil, fmt.Errorf("distill: %w", err)
	}
	if err := f.State(&state); err != nil {
		f.Close()
		return nil, state, nil, fmt.Errorf("distill: %w", err)
	}
	return f, state, damage, nil
}

// loadState gives a student what SaveState wrote into a file.
func loadState(path string, student encoder.Trainable) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	defer f.Close()
	if err := student.LoadState(bufio.NewReaderSize(f.Body, 1<<20)); err != nil {
		return fmt.Errorf("distill: %s: %w", path, err)
	}
	return nil
}

// identity holds, by name, everything that decides the bits of the result.
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
		"ClipNorm": s.ClipNorm, "Seed": s.Seed, "MicroBatchTokens": o.Memory.MicroBatchTokens, "GraphBudget": o.Memory.GraphBudget,
		"EvalSteps": o.Selection.EvalSteps, "Patience": o.Selection.Patience,
	} {
		id[name] = fmt.Sprint(value)
	}
	// Left out where they have no say, so that an older run goes on.
	if o.Selection.ChooseBy != ByNDCG {
		id["ChooseBy"] = o.Selection.ChooseBy.String()
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

// checkSameRun returns an error that names what differs between the run of a checkpoint and this one.
func checkSameRun(path string, theirs, ours map[string]string) error {
	err := checkpoint.CheckSameRun(theirs, ours, map[string]string{
		"lists": "other lists", "held-out lists": "other held-out lists", "passages": "other passages",
		"student": "another student; open the model that it started from",
	})
	if err != nil {
		return fmt.Errorf("distill: %s belongs to another run (%w): remove it, or take another Options.Checkpoints.Dir", path, err)
	}
	return nil
}
