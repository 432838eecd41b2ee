package main

import (
	"context"
	"errors"

	"github.com/retort-ir/retort/teacher"
)

var errNoLLM = errors.New("no language model: give -llm")

func openLikelihood(ctx context.Context, b *bench) (teacher.Teacher, error) {
	if b.p.settings.llm == "" {
		return nil, errNoLLM
	}
	t, closeIt, err := b.p.openLikelihood(ctx, &b.p.settings)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, closeIt)
	return t, nil
}
