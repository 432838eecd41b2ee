package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/loss"
)

// opening is the first line of output.
type opening struct {
	LibTorch string     `json:"libtorch"` // version
	Passages []string   `json:"passages"` // the texts of all steps, each once
	Steps    [][]listed `json:"steps"`    // the lists of each step
	Peak     int64      `json:"peak"`     // bytes of memory so far
}

type listed struct {
	ID       string    `json:"id"`
	Query    string    `json:"query"`
	Passages []int     `json:"passages"` // numbers in opening.Passages, the positive first
	Scores   []float64 `json:"scores"`
}

// answer is what a "step" gets.
type answer struct {
	Seconds    float64  `json:"seconds"`
	Loss       float64  `json:"loss"`
	Queries    []string `json:"queries"`    // ids, sorted
	Listed     int      `json:"listed"`     // passages of the lists
	Passages   int      `json:"passages"`   // distinct ones
	Tokens     int      `json:"tokens"`     // without padding
	Padded     int      `json:"padded"`     // with it
	Recomputed int      `json:"recomputed"` // of a second forward pass, with padding
	Peak       int64    `json:"peak"`       // bytes of memory since the program began
}

// serve prints the lists of all steps, and trains a step at each request until in ends.
func serve(
	ctx context.Context, s settings, version string, student encoder.Trainable,
	corpus retort.Corpus, lists []retort.List, in io.Reader, out io.Writer,
) error {
	opts, err := s.options()
	if err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	o, err := open(corpus, inOrder(lists, opts))
	if err != nil {
		return err
	}
	o.LibTorch, o.Peak = version, rss.Peak()
	if err := answers.Encode(o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := &turns{lines: bufio.NewScanner(in), answers: answers, recorder: &recorder{Loss: opts.Loss}}
	opts.Loss = turns.recorder
	opts.Events.Step = func(s retort.Step) {
		err := turns.answer(s)
		if err == nil {
			err = turns.wait()
		}
		if err != nil {
			cancel(err)
		}
	}
	if err = turns.wait(); err == nil {
		_, err = distill.Train(ctx, student, corpus, lists, opts)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, errNoMore) {
		return nil
	}
	return err
}

// options are those of the comparison: as many steps as there are lists for, and nothing but steps.
func (s settings) options() (distill.Options, error) {
	opts := distill.DefaultOptions()
	opts.Towers = distill.Both
	var err error
	opts.Loss, err = s.trainingLoss()
	opts.CountDuplicates = true
	opts.Schedule.Epochs, opts.Schedule.QueriesPerStep = 1, s.queries
	opts.Schedule.LR, opts.Schedule.Warmup, opts.Schedule.MinLR, opts.Schedule.WeightDecay = s.lr, 0, 0, 0
	opts.Selection.DevFraction, opts.Selection.Patience, opts.Schedule.MaxLossRise = 0, 0, 0
	opts.Memory.GraphBudget, opts.Checkpoints.Every = s.graphBudget, 24*time.Hour
	return opts, err
}

// inOrder returns the lists of each step, as distill.Train takes them in its first epoch. The script checks it against
// what the steps say.
func inOrder(lists []retort.List, opts distill.Options) [][]retort.List {
	ordered := make([]retort.List, len(lists))
	for i, n := range rand.New(rand.NewPCG(opts.Schedule.Seed, 0)).Perm(len(lists)) {
		ordered[i] = lists[n]
	}
	return slices.Collect(slices.Chunk(ordered, opts.Schedule.QueriesPerStep))
}

func open(corpus retort.Corpus, steps [][]retort.List) (*opening, error) {
	o := &opening{}
	numbers := map[string]int{}
	for _, step := range steps {
		var lists []listed
		for _, l := range step {
			texts := listed{ID: l.Query.ID, Query: l.Query.Text, Scores: l.Scores}
			for _, id := range l.IDs {
				if _, ok := numbers[id]; !ok {
					text, err := content(corpus, id)
					if err != nil {
						return nil, err
					}
					numbers[id] = len(o.Passages)
					o.Passages = append(o.Passages, text)
				}
				texts.Passages = append(texts.Passages, numbers[id])
			}
			lists = append(lists, texts)
		}
		o.Steps = append(o.Steps, lists)
	}
	return o, nil
}

func content(corpus retort.Corpus, id string) (string, error) {
	index, ok := corpus.Index(id)
	if !ok {
		return "", fmt.Errorf("passage %q is not in the corpus", id)
	}
	p, err := corpus.At(index)
	return p.Content(), err
}

// turns answers a request for each step.
type turns struct {
	lines    *bufio.Scanner
	answers  *json.Encoder
	recorder *recorder
	start    time.Time // of the step
}

var errNoMore = errors.New("no more requests")

// wait returns at the next request.
func (t *turns) wait() error {
	if !t.lines.Scan() {
		return cmp.Or(t.lines.Err(), errNoMore)
	}
	if t.lines.Text() != "step" {
		return fmt.Errorf("request is %q, want step", t.lines.Text())
	}
	t.start = time.Now()
	return nil
}

func (t *turns) answer(r retort.Step) error {
	return t.answers.Encode(answer{
		Seconds: time.Since(t.start).Seconds(), Loss: r.Loss, Queries: t.recorder.take(),
		Listed: r.Listed, Passages: r.Passages, Tokens: r.Tokens, Padded: r.Padded, Recomputed: r.Recomputed, Peak: rss.Peak(),
	})
}

// recorder is a loss that notes the queries of a step.
type recorder struct {
	loss.Loss
	mu  sync.Mutex
	ids []string
}

func (r *recorder) Row(row *loss.Row, sim, grad []float32, scale float64) (float64, error) {
	r.mu.Lock()
	r.ids = append(r.ids, row.ID)
	r.mu.Unlock()
	return r.Loss.Row(row, sim, grad, scale)
}

// take returns the ids since it was called last.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := r.ids
	r.ids = nil
	slices.Sort(ids)
	return ids
}
