package metrics

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/tfevents"
)

// The files of a Writer.
const (
	stepsFile       = "steps.csv"
	evaluationsFile = "evaluations.csv"
	eventsFile      = "events.out.tfevents.0.retort" // TensorBoard looks for "tfevents"
)

// The prefixes of the tags in TensorBoard.
const (
	trainTag = "train/"
	devTag   = "dev/"
)

// Writer writes one line per step to steps.csv and one line per evaluation to evaluations.csv, and the same values to
// an event file for TensorBoard. It writes each line at once, so a kill can damage only the last line. When training
// resumes, Writer removes the lines of the steps that will run again, so the files contain each step once.
//
// A Writer serves one training run. A write error does not end training; use Failed for that.
type Writer struct {
	// Failed, if not nil, is called with the first error, after which nothing more is written. Close returns the error
	// too. Set it to the cancel function of context.WithCancelCause to end training on an error.
	Failed func(error)

	dir                string
	steps, evaluations *table
	events             *tfevents.Writer
	err                error
}

// Open returns a writer for the folder. The first step or evaluation creates the folder if it does not exist. Existing
// files with other columns are an error and are not changed.
func Open(dir string) (*Writer, error) {
	for name, fits := range map[string]func([]string) bool{
		stepsFile:       func(columns []string) bool { return slices.Equal(columns, stepColumns(partsOf(columns))) },
		evaluationsFile: func(columns []string) bool { return slices.Equal(columns, evaluationColumns) },
	} {
		if err := checkColumns(filepath.Join(dir, name), fits); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return &Writer{dir: dir}, nil
}

// Events returns the callbacks that write the files.
func (w *Writer) Events() retort.Events {
	return retort.Events{
		Step:       func(s retort.Step) { w.do(func() error { return w.step(s) }) },
		Evaluation: func(e retort.Evaluation) { w.do(func() error { return w.evaluation(e) }) },
		Checkpoint: func(c retort.Checkpoint) {
			if !c.Saved { // so that the files are never behind a checkpoint
				w.do(w.sync)
			}
		},
	}
}

// Close closes the files. It returns the first error of the Writer.
func (w *Writer) Close() error {
	err := w.err
	for _, t := range []*table{w.steps, w.evaluations} {
		if t != nil {
			err = cmp.Or(err, t.file.Close())
		}
	}
	if w.events != nil {
		err = cmp.Or(err, w.events.Close())
	}
	return err
}

func (w *Writer) do(write func() error) {
	if w.err != nil {
		return
	}
	if err := write(); err != nil {
		w.err = fmt.Errorf("metrics: %w", err)
		if w.Failed != nil {
			w.Failed(w.err)
		}
	}
}

func (w *Writer) step(s retort.Step) error {
	if err := w.open(s.Step-1, s.Step-1); err != nil {
		return err
	}
	columns, values := stepValues(s)
	if w.steps == nil {
		var err error
		if w.steps, err = openTable(filepath.Join(w.dir, stepsFile), columns, s.Step-1); err != nil {
			return err
		}
	}
	return w.write(w.steps, trainTag, s.Step, values)
}

func (w *Writer) evaluation(e retort.Evaluation) error {
	if err := w.open(e.Step, e.Step-1); err != nil {
		return err
	}
	forgot := 0.0
	if e.Forgot {
		forgot = 1
	}
	values := []float64{e.Epoch, e.Score, e.TrainLoss, e.Retention, e.DrawnBack, forgot}
	return w.write(w.evaluations, devTag, e.Step, values)
}

// open opens all files except steps.csv, whose columns depend on the first step. It removes the steps after step and
// the evaluations after evaluated.
func (w *Writer) open(step, evaluated int) (err error) {
	if w.events != nil {
		return nil
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	if w.evaluations, err = openTable(filepath.Join(w.dir, evaluationsFile), evaluationColumns, evaluated); err != nil {
		return err
	}
	w.events, err = tfevents.Append(filepath.Join(w.dir, eventsFile), func(at int64, tag string) bool {
		if strings.HasPrefix(tag, devTag) {
			return at <= int64(evaluated)
		}
		return at <= int64(step)
	})
	return err
}

func (w *Writer) write(t *table, prefix string, step int, values []float64) error {
	if err := t.write(step, values); err != nil {
		return err
	}
	scalars := make([]tfevents.Scalar, len(values))
	for i, v := range values {
		scalars[i] = tfevents.Scalar{Tag: prefix + t.columns[i+1], Value: float32(v)}
	}
	return w.events.Write(int64(step), time.Now(), scalars)
}

func (w *Writer) sync() error {
	var errs []error
	for _, t := range []*table{w.steps, w.evaluations} {
		if t != nil {
			errs = append(errs, t.file.Sync())
		}
	}
	if w.events != nil {
		errs = append(errs, w.events.Sync())
	}
	return errors.Join(errs...)
}

var evaluationColumns = []string{"step", "epoch", "score", "train_loss", "retention", "drawn_back", "forgot"}

const partPrefix = "loss_"

func stepColumns(parts []string) []string {
	columns := []string{"step", "epoch", "queries", "loss"}
	for _, p := range parts {
		columns = append(columns, partPrefix+p)
	}
	return append(columns, "grad_norm", "lr", "tokens", "tokens_per_second", "distinct_share", "masked_share",
		"padding_share", "seconds", "peak_memory_bytes")
}

// partsOf returns the parts of the loss that columns name.
func partsOf(columns []string) []string {
	var parts []string
	for _, c := range columns {
		if name, ok := strings.CutPrefix(c, partPrefix); ok {
			parts = append(parts, name)
		}
	}
	return parts
}

// stepValues returns the columns of a step, and the values of all but the first.
func stepValues(s retort.Step) (columns []string, values []float64) {
	var parts []string
	values = []float64{s.Epoch, float64(s.Queries), s.Loss}
	for _, p := range s.Parts {
		parts = append(parts, p.Name)
		values = append(values, p.Value)
	}
	seconds := s.Took.Seconds()
	return stepColumns(parts), append(values, s.GradNorm, s.LR, float64(s.Tokens), share(float64(s.Tokens), seconds),
		s.DistinctShare(), s.MaskedShare(), s.PaddingShare(), seconds, float64(rss.Peak()))
}

// table is an append-only CSV file with one line per step.
type table struct {
	file    *os.File
	columns []string
}

// openTable removes an incomplete line and the lines of steps after last.
func openTable(path string, columns []string, last int) (*table, error) {
	f, err := regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	t := &table{file: f, columns: columns}
	if err := t.cut(last); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

func (t *table) cut(last int) error {
	header, err := csvLine(t.columns)
	if err != nil {
		return err
	}
	r := bufio.NewReader(t.file)
	var end int64
	for {
		line, err := r.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil { // an incomplete line, or none
			break
		}
		if end == 0 && line != header {
			return otherColumns(t.file.Name())
		}
		if end > 0 {
			number, _, _ := strings.Cut(line, ",")
			if step, err := strconv.Atoi(number); err != nil || step > last {
				break
			}
		}
		end += int64(len(line))
	}
	if err := t.file.Truncate(end); err != nil {
		return err
	}
	if _, err := t.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	if end > 0 {
		return nil
	}
	_, err = io.WriteString(t.file, header)
	return err
}

// write writes a line with one call, so that a kill can damage only the last line.
func (t *table) write(step int, values []float64) error {
	cells := []string{strconv.Itoa(step)}
	for _, v := range values {
		cells = append(cells, formatNumber(v))
	}
	line, err := csvLine(cells)
	if err == nil {
		_, err = io.WriteString(t.file, line)
	}
	return err
}

// checkColumns returns an error if the table exists and has other columns.
func checkColumns(path string, fits func([]string) bool) error {
	f, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxHeader)).ReadString('\n')
	if errors.Is(err, io.EOF) && len(line) < maxHeader { // incomplete
		return nil
	}
	columns, _ := csv.NewReader(strings.NewReader(line)).Read() // columns is nil for a line that is not CSV
	if err != nil || !fits(columns) {
		return otherColumns(path)
	}
	return nil
}

// maxHeader exceeds the header length of any loss.
const maxHeader = 64 << 10

func otherColumns(path string) error {
	return fmt.Errorf("%s has different columns from this run; remove it or use another folder", path)
}

func csvLine(cells []string) (string, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.Write(cells); err != nil {
		return "", err
	}
	w.Flush()
	return b.String(), w.Error()
}

// formatNumber writes counts without an exponent, so that readers parse the column as integers.
func formatNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
