package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/crossencoder"
	"github.com/retort-ir/retort/teacher/likelihood"
)

func openCausalLM(ctx context.Context, s *settings) (generate.Completer, func() error, error) {
	m, err := causallm.Open(ctx, s.llm, causallm.Options{Precision: retort.Precision(s.precision)})
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

// likelihoodContext is how many times -tokens a passage with its instruction and query may take.
const likelihoodContext = 2

func openLikelihoodTeacher(ctx context.Context, s *settings) (teacher.Teacher, func() error, error) {
	m, err := causallm.Open(ctx, s.llm,
		causallm.Options{Precision: retort.Precision(s.precision), ContextLength: likelihoodContext * s.tokens})
	if err != nil {
		return nil, nil, err
	}
	t, err := likelihood.New(m, likelihood.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return t, m.Close, nil
}

// torchCrossEncoders are those of package crossencoder.
type torchCrossEncoders struct{}

func (torchCrossEncoders) open(ctx context.Context, dir string, s *settings) (teacher.Teacher, func() error, error) {
	m, err := crossencoder.Open(ctx, dir,
		crossencoder.Options{MaxTokens: s.tokens, Precision: retort.Precision(s.precision)})
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

func (torchCrossEncoders) train(ctx context.Context, job trainingJob) (*training, error) {
	o := crossencoder.DefaultTrainOptions()
	o.Model = crossencoder.Options{MaxTokens: job.settings.tokens, Precision: retort.Precision(job.settings.precision)}
	o.Epochs = 1 // of as many different lists as there is time for
	o.Seed, o.Dir = job.settings.seed, job.work
	o.Events = retort.LogEvents(slog.New(slog.NewTextHandler(job.log, nil)))
	var examples []crossencoder.Example
	for _, l := range job.lists {
		e := crossencoder.Example{List: l}
		if l.Scores == nil {
			e.Positives = []string{l.Query.Source}
		}
		if heldOut(l.Query.Source) {
			o.Dev = append(o.Dev, e)
		} else {
			examples = append(examples, e)
		}
	}
	result, err := crossencoder.Train(ctx, job.start, job.dir, job.corpus, examples, o)
	if err != nil {
		return nil, err
	}
	t := &training{
		Examples: len(examples), HeldOut: len(o.Dev),
		Epochs: o.Epochs, LR: o.LR, QueriesPerStep: o.QueriesPerStep, GroupSize: o.GroupSize,
		Steps: result.Steps, BestStep: result.Best.Step, Metric: result.Metric, After: result.Best.Score,
	}
	if len(result.History) > 0 { // without held-out lists there is none
		t.Before = result.History[0].Score
	}
	if o.Dev != nil && o.Dev[0].List.Scores != nil {
		t.Metric, t.Before, t.After = "KL divergence", -t.Before, -t.After
	}
	return t, nil
}

// heldOut takes a tenth of the passages out of training: their queries choose the best model that was met.
func heldOut(source string) bool {
	h := sha256.Sum256([]byte(source))
	return binary.LittleEndian.Uint32(h[:])%10 == 0
}
