package distill

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/tfevents"
)

// The files of Options.MetricsDir.
const (
	metricsSteps       = "steps.csv"
	metricsEvaluations = "evaluations.csv"
	metricsEvents      = "events.out.tfevents.0.retort" // TensorBoard goes by the middle of the name
)

// devTag begins the tags of evaluations in TensorBoard.
const devTag = "dev/"

// metrics writes what Options.MetricsDir says; nil writes nothing.
type metrics struct {
	parts              []string
	steps, evaluations *table
	events             *tfevents.Writer
}

// openMetrics goes on behind what the files say of the steps of the state. What they say of later steps, which are made
// again, is cut off.
func openMetrics(dir string, parts []string, state trainState) (*metrics, error) {
	if dir == "" {
		return nil, nil
	}
	m, err := newMetrics(dir, parts, state)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("distill: Options.MetricsDir: %w", err), m.close())
	}
	return m, nil
}

func newMetrics(dir string, parts []string, state trainState) (m *metrics, err error) {
	m = &metrics{parts: parts}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return m, err
	}
	evaluated := -1
	if n := len(state.History); n > 0 {
		evaluated = state.History[n-1].Step
	}
	if m.steps, err = openTable(filepath.Join(dir, metricsSteps), stepColumns(parts), state.Step); err != nil {
		return m, err
	}
	if m.evaluations, err = openTable(filepath.Join(dir, metricsEvaluations), evaluationColumns, evaluated); err != nil {
		return m, err
	}
	m.events, err = tfevents.Append(filepath.Join(dir, metricsEvents), func(step int64, tag string) bool {
		if strings.HasPrefix(tag, devTag) {
			return step <= int64(evaluated)
		}
		return step <= int64(state.Step)
	})
	return m, err
}

func stepColumns(parts []string) []string {
	columns := []string{"step", "epoch", "queries", "loss"}
	for _, p := range parts {
		columns = append(columns, "loss_"+p)
	}
	return append(columns, "grad_norm", "lr", "tokens", "tokens_per_second", "distinct_share", "masked_share", "padding_share",
		"seconds", "peak_memory_bytes")
}

// step writes a step that took a time.
func (m *metrics) step(step int, epoch float64, r StepReport, took time.Duration) error {
	if m == nil {
		return nil
	}
	values := []float64{epoch, float64(r.Queries), r.Loss}
	for i := range m.parts {
		value := 0.0
		if i < len(r.Parts) {
			value = r.Parts[i]
		}
		values = append(values, value)
	}
	values = append(values, r.GradNorm, r.LR, float64(r.Tokens), share(float64(r.Tokens), took.Seconds()), r.DistinctShare(),
		r.MaskedShare(), share(float64(r.Padded-r.Tokens), float64(r.Padded)), took.Seconds(), float64(rss.Peak()))
	if err := m.steps.write(step, values); err != nil {
		return err
	}
	return m.write(step, "train/", m.steps.columns, values)
}

var evaluationColumns = []string{"step", "epoch", "score", "train_loss", "floor", "drawn_back", "below_floor"}

func (m *metrics) evaluation(e Evaluation) error {
	if m == nil {
		return nil
	}
	below := 0.0
	if e.BelowFloor {
		below = 1
	}
	values := []float64{e.Epoch, e.Score, e.TrainLoss, e.Floor, e.DrawnBack, below}
	if err := m.evaluations.write(e.Step, values); err != nil {
		return err
	}
	return m.write(e.Step, devTag, m.evaluations.columns, values)
}

func (m *metrics) write(step int, prefix string, columns []string, values []float64) error {
	scalars := make([]tfevents.Scalar, len(values))
	for i, v := range values {
		scalars[i] = tfevents.Scalar{Tag: prefix + columns[i+1], Value: float32(v)}
	}
	if err := m.events.Write(int64(step), time.Now(), scalars); err != nil {
		return fmt.Errorf("distill: metrics: %w", err)
	}
	return nil
}

// sync comes before a checkpoint, so that the files are never behind it.
func (m *metrics) sync() error {
	if m == nil {
		return nil
	}
	if err := errors.Join(m.steps.file.Sync(), m.evaluations.file.Sync(), m.events.Sync()); err != nil {
		return fmt.Errorf("distill: metrics: %w", err)
	}
	return nil
}

func (m *metrics) close() error {
	if m == nil {
		return nil
	}
	var errs []error
	for _, t := range []*table{m.steps, m.evaluations} {
		if t != nil {
			errs = append(errs, t.file.Close())
		}
	}
	if m.events != nil {
		errs = append(errs, m.events.Close())
	}
	return errors.Join(errs...)
}

// table is a CSV file with a line a step, appended to.
type table struct {
	file    *os.File
	columns []string
}

// openTable cuts off a torn line and those of later steps than last.
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
		if err != nil { // a torn line, or none
			break
		}
		if end == 0 && line != header {
			return fmt.Errorf("%s has other columns than this run's: remove it, or name another folder", t.file.Name())
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

// write writes a line at once, so that a kill tears the last one at most.
func (t *table) write(step int, values []float64) error {
	cells := []string{strconv.Itoa(step)}
	for _, v := range values {
		cells = append(cells, formatNumber(v))
	}
	line, err := csvLine(cells)
	if err == nil {
		_, err = io.WriteString(t.file, line)
	}
	if err != nil {
		return fmt.Errorf("distill: metrics: %w", err)
	}
	return nil
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

// formatNumber writes counts without an exponent, so that readers take their column for one of integers.
func formatNumber(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
