package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/loss/losstorch"
)

// measured is what a row found: of the median step.
type measured struct {
	Steps      int     `json:"steps"` // measured; 0: not one was done in time
	Seconds    float64 `json:"seconds"`
	Loss       float64 `json:"loss"`   // seconds of it
	Update     float64 `json:"update"` // seconds of the optimiser
	Listed     int     `json:"listed"`
	Passages   int     `json:"passages"`
	Tokens     int     `json:"tokens"`
	Padded     int     `json:"padded"`
	Recomputed int     `json:"recomputed"`
	Anonymous  int64   `json:"anonymous"` // bytes; 0: unknown
	Flops      float64 `json:"flops"`
}

// run measures the row in this process.
func (r row) run(ctx context.Context) (m measured, err error) {
	dir := r.Model
	if dir == "" {
		if dir, err = os.MkdirTemp("", "benchstep-*"); err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if err := writeModel(dir, shapes[r.Shape]); err != nil {
			return m, err
		}
	}
	config, err := encodernet.ReadConfig(filepath.Join(dir, encodernet.ConfigFile))
	if err != nil {
		return m, err
	}
	words, err := vocabulary(dir)
	if err != nil {
		return m, err
	}
	work, err := newWork(r, words)
	if err != nil {
		return m, err
	}
	student, err := transformer.Open(ctx, dir, transformer.Options{
		QueryTokens: queryTokens, PassageTokens: r.Tokens, Threads: r.Threads,
		Device: retort.Device(r.Device), Precision: retort.Precision(r.Precision),
	})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, student.Close()) }()
	if m, err = r.measure(ctx, student, work); err != nil || m.Steps == 0 {
		return m, err
	}
	m.Flops = flops(config, work.lengths, m.Listed/r.List, m.Passages)
	return m, nil
}

// measure trains. A row that is out of time has what it did until then.
func (r row) measure(ctx context.Context, student encoder.Trainable, w *work) (m measured, err error) {
	opts := distill.DefaultOptions()
	opts.Towers = distill.Both
	opts.CountDuplicates = true
	// Every step is an epoch of the same lists.
	opts.Schedule.Epochs, opts.Schedule.QueriesPerStep, opts.Selection.EvalSteps = 1+r.Steps, r.Queries, 1<<30
	opts.Selection.DevFraction, opts.Selection.Patience, opts.Schedule.MaxLossRise, opts.Checkpoints.Every = 0, 0, 0, 24*time.Hour
	opts.Memory.GraphBudget, opts.Memory.MicroBatchTokens = r.GraphBudget, r.MicroBatchTokens
	opts.Loss = loss.Paper()
	if r.Loss == "libtorch" {
		l, err := losstorch.New(loss.Paper(), losstorch.Options{Threads: r.Threads, Device: r.Device})
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		opts.Loss = l
	}
	var steps []retort.Step
	opts.Events.Step = func(s retort.Step) { steps = append(steps, s) }
	memory := watchMemory()
	_, err = distill.Train(ctx, student, w.corpus, w.lists, opts)
	anonymous := memory.stop()
	if err != nil && !errors.Is(context.Cause(ctx), errTooLong) {
		return m, err
	}
	if len(steps) < 2 {
		return m, nil
	}
	if err := w.check(steps[0]); err != nil {
		return m, err
	}
	m = median(steps[1:])
	m.Anonymous = anonymous
	return m, nil
}

// check makes sure that the texts are what the row says.
func (w *work) check(s retort.Step) error {
	want := 0
	for _, n := range w.lengths {
		want += n
	}
	if s.Tokens != want {
		return fmt.Errorf("a step has %d tokens, want %d: a word of the vocabulary is not one token", s.Tokens, want)
	}
	return nil
}

func median(steps []retort.Step) measured {
	slices.SortFunc(steps, func(a, b retort.Step) int { return cmp.Compare(total(a), total(b)) })
	s := steps[len(steps)/2]
	return measured{
		Steps: len(steps), Seconds: total(s).Seconds(), Loss: s.Similarity.Seconds(), Update: s.Update.Seconds(),
		Listed: s.Listed, Passages: s.Passages, Tokens: s.Tokens, Padded: s.Padded, Recomputed: s.Recomputed,
	}
}

func total(s retort.Step) time.Duration {
	return s.Prepare + s.Encode + s.Similarity + s.Recompute + s.Backward + s.Update
}
