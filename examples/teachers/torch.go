package main

import (
	"context"
	"errors"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/crossencoder"
)

func openCausalLM(ctx context.Context, s *settings) (generate.Completer, func() error, error) {
	m, err := causallm.Open(ctx, s.llm, causallm.Options{Precision: s.precision})
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

func openLikelihoodTeacher(context.Context, *settings) (teacher.Teacher, func() error, error) {
	return nil, nil, errors.New("none")
}

// torchCrossEncoders are those of package crossencoder.
type torchCrossEncoders struct{}

func (torchCrossEncoders) open(ctx context.Context, dir string, s *settings) (teacher.Teacher, func() error, error) {
	m, err := crossencoder.Open(ctx, dir, crossencoder.Options{MaxTokens: s.tokens, Precision: s.precision})
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

func (torchCrossEncoders) train(context.Context, trainingJob) error { return errors.New("none") }
