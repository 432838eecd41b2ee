package distill

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
)

// trainState is the trainer's part of a checkpoint. The order of the lists and the schedule follow from Step.
type trainState struct {
	Run       map[string]string `json:"run"` // all that decides the result: see identity
	Step      int               `json:"step"`
	PartDone  bool              `json:"part_done"` // the steps up to an evaluation are made, the evaluation is not
	Done      bool              `json:"done"`
	Best      Evaluation        `json:"best"`
	Worse     int               `json:"worse"` // evaluations since the best one
	History   []Evaluation      `json:"history"`
	LossSum   float64           `json:"loss_sum"` // of the steps since the last evaluation
	LossSteps int               `json:"loss_steps"`
	// For watchLoss.
	StartLoss    float64   `json:"start_loss"`
	RecentLosses []float64 `json:"recent_losses"`
	// For the floor.
	FloorLimit float64 `json:"floor_limit,omitempty"`
	Stopped    Stop    `json:"stopped,omitempty"`
	// GraphBudget is what was chosen when the run began: free memory may be another when it goes on.
	GraphBudget int64 `json:"graph_budget"`
}

// The names of the last checkpoint and of the one before, the last good one where the last is damaged.
const (
	checkpointName = "checkpoint"
	previousName   = "checkpoint.previous"
)

// bestName names the file of the student that was best after a step. The step is in the name so that a checkpoint never
// finds the best student of a later time.
func bestName(step int) string { return fmt.Sprintf("best-%d.state", step) }

func bestPath(dir string, step int) string { return filepath.Join(dir, bestName(step)) }

// removeOtherBests removes the best students that no checkpoint needs any more.
func removeOtherBests(dir string, needed ...int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	var errs []error
	for _, e := range entries {
		var step int
		if _, err := fmt.Sscanf(e.Name(), "best-%d.state", &step); err != nil || e.Name() != bestName(step) {
			continue
		}
		if !slices.Contains(needed, step) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// removeTemporary removes what kills have left in the folder.
func removeTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	errs := []error{atomicfile.RemoveTemporary(filepath.Join(dir, checkpointName))}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".best-") && strings.Contains(e.Name(), ".state.tmp-") {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// lastCheckpoint opens the last checkpoint of the folder that is whole with its best student, os.ErrNotExist where there
// is none. damage says what is wrong with a later one that had to be passed over.
func lastCheckpoint(dir string) (f *stateFile, damage, err error) {
	f, err = openCheckpoint(dir, checkpointName)
	if err == nil {
		return f, nil, nil
	}
	good, goodErr := openCheckpoint(dir, previousName)
	missing, goodMissing := errors.Is(err, os.ErrNotExist), errors.Is(goodErr, os.ErrNotExist)
	switch {
	case goodErr == nil && missing: // killed between two renames
		return good, nil, nil
	case goodErr == nil:
		return good, err, nil
	case goodMissing:
		return nil, nil, err
	case missing:
		return nil, nil, goodErr
	}
	return nil, nil, fmt.Errorf("%w; nor is the one before whole: %w", err, goodErr)
}

func openCheckpoint(dir, name string) (*stateFile, error) {
	f, err := openState(filepath.Join(dir, name))
	if err != nil || len(f.header.History) == 0 {
		return f, err
	}
	best, err := openState(bestPath(dir, f.header.Best.Step))
	if err == nil {
		return f, best.close()
	}
	path := f.file.Name()
	f.close()
	// Not wrapped: a best student that is missing is damage, not a folder without a checkpoint.
	return nil, fmt.Errorf("distill: %s is worth nothing without its best student: %v", path, err)
}

// identity holds, by name, everything that decides the bits of the result.
func identity(student encoder.Encoder, train, dev []retort.List, passages string, o Options) map[string]string {
	id := map[string]string{
		"lists":          hashLists(train),
		"held-out lists": hashLists(dev),
		"passages":       passages,
		"student":        "without a fingerprint",
		"Loss":           describe(o.loss()),
		"Evaluate":       fmt.Sprint(o.Evaluate != nil),
	}
	if f, ok := student.(encoder.Fingerprinter); ok {
		id["student"] = f.Fingerprint()
	}
	for name, value := range map[string]any{
		"Towers": o.Towers, "CountDuplicates": o.CountDuplicates, "WholeCorpus": o.WholeCorpus, "Epochs": o.Epochs,
		"QueriesPerStep": o.QueriesPerStep, "LR": o.LR, "Warmup": o.Warmup, "MinLR": o.MinLR, "WeightDecay": o.WeightDecay,
		"ClipNorm": o.ClipNorm, "Seed": o.Seed, "MicroBatchTokens": o.MicroBatchTokens, "GraphBudget": o.GraphBudget,
		"EvalSteps": o.EvalSteps, "Patience": o.Patience,
	} {
		id[name] = fmt.Sprint(value)
	}
	// Left out where they have no say, so that an older run goes on.
	if o.ChooseBy != ByNDCG {
		id["ChooseBy"] = o.ChooseBy.String()
	}
	if o.Floor.Evaluate != nil {
		id["Floor"] = fmt.Sprintf("a drop of %v, shares %v", o.Floor.MaxDrop, o.Floor.DrawBack)
	}
	return id
}

// describe tells losses apart by their type and exported fields.
func describe(l any) string {
	fields, err := json.Marshal(l)
	if err != nil {
		return fmt.Sprintf("%T", l)
	}
	return fmt.Sprintf("%T %s", l, fields)
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
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if theirs[name] == ours[name] {
			continue
		}
		what := fmt.Sprintf("%s is %s there and %s here", name, theirs[name], ours[name])
		switch name {
		case "lists", "held-out lists", "passages":
			what = "other " + name
		case "student":
			what = "another student; open the model that it started from"
		}
		return fmt.Errorf("distill: %s belongs to another run (%s): remove it, or take another Options.Dir", path, what)
	}
	return nil
}

var stateMagic = []byte("retort distill 1\n")

// writeState writes a file that a stateFile reads.
func writeState(path string, header trainState, student encoder.Trainable) error {
	return writeStateWith(atomicfile.Write, path, header, student)
}

// writeCheckpoint leaves the checkpoint before under previousName.
func writeCheckpoint(dir string, header trainState, student encoder.Trainable) error {
	rotate := func(path string, write func(io.Writer) error) error {
		return atomicfile.Rotate(path, filepath.Join(dir, previousName), write)
	}
	return writeStateWith(rotate, filepath.Join(dir, checkpointName), header, student)
}

// writeStateWith writes magic, the header's length (8 bytes) and JSON, the student's state, SHA-256 of all that.
func writeStateWith(
	file func(string, func(io.Writer) error) error, path string, header trainState, student encoder.Trainable,
) error {
	head, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("distill: write %s: %w", path, err)
	}
	err = file(path, func(w io.Writer) error {
		sum := sha256.New()
		bw := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<20)
		bw.Write(stateMagic)
		bw.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(head))))
		bw.Write(head)
		if err := student.SaveState(bw); err != nil {
			return err
		}
		if err := bw.Flush(); err != nil {
			return err
		}
		_, err := w.Write(sum.Sum(nil))
		return err
	})
	if err != nil {
		return fmt.Errorf("distill: %w", err)
	}
	return nil
}

// stateFile is an open file of writeState's, found whole.
type stateFile struct {
	file   *os.File
	header trainState
	state  *io.SectionReader
}

// openState returns os.ErrNotExist where there is no file.
func openState(path string) (*stateFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	s := &stateFile{file: f}
	if err := s.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("distill: %s is damaged (%w): remove it to start anew", path, err)
	}
	return s, nil
}

func (s *stateFile) read() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	body := info.Size() - sha256.Size
	start := int64(len(stateMagic)) + 8
	if body < start {
		return errors.New("too short")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(s.file, 0, body)); err != nil {
		return err
	}
	stored := make([]byte, sha256.Size)
	if _, err := s.file.ReadAt(stored, body); err != nil {
		return err
	}
	if !bytes.Equal(stored, sum.Sum(nil)) {
		return errors.New("its checksum does not fit")
	}
	prefix := make([]byte, start)
	if _, err := s.file.ReadAt(prefix, 0); err != nil {
		return err
	}
	if !bytes.HasPrefix(prefix, stateMagic) {
		return errors.New("not a checkpoint of this version")
	}
	n := binary.LittleEndian.Uint64(prefix[len(stateMagic):])
	if n > uint64(body-start) {
		return errors.New("too short")
	}
	head := make([]byte, n)
	if _, err := s.file.ReadAt(head, start); err != nil {
		return err
	}
	if err := json.Unmarshal(head, &s.header); err != nil {
		return err
	}
	s.state = io.NewSectionReader(s.file, start+int64(n), body-start-int64(n))
	return nil
}

func (s *stateFile) load(student encoder.Trainable) error {
	if err := student.LoadState(bufio.NewReaderSize(s.state, 1<<20)); err != nil {
		return fmt.Errorf("distill: %s: %w", s.file.Name(), err)
	}
	return nil
}

func (s *stateFile) close() error { return s.file.Close() }
