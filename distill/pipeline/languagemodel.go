package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
)

// LanguageModel is a language model that is asked for queries.
type LanguageModel struct {
	// Completer answers the prompts. If it has a method Usage() generate.Usage, that method counts the costs.
	Completer generate.Completer
	// Prompts say what it is asked; the zero value asks for all types. Observe is called too where it is set.
	Prompts generate.PromptOptions
	// Passages is about how many passages it is asked about, drawn by the seed; 0 means all.
	Passages int
	// Alone leaves it to the language model to make queries: Recipe.Generator is not asked.
	Alone bool
}

func (m *LanguageModel) validate() error {
	switch {
	case m.Completer == nil:
		return errors.New("there is no Completer")
	case m.Passages < 0:
		return fmt.Errorf("the number of Passages is %d, want at least 0", m.Passages)
	}
	return m.Prompts.Validate()
}

// Asked is a generator of queries by a language model that pays for no answer twice and knows what its answers cost.
// It is safe for concurrent use.
type Asked struct {
	generate.QueryGenerator
	model   LanguageModel
	tally   *generate.Tally
	answers *generate.Answers
	passes  *forgiving
}

// Ask returns a generator that asks the language model about passages of a corpus of n, drawn by seed. Its answers are
// kept in the file answers, and a later call with the same model goes on from them. If the model fails for a passage, the
// passage has no queries and logger gets a warning. If the model fails for many passages, the generator returns the
// error. The caller closes the generator.
func (m LanguageModel) Ask(ctx context.Context, answers string, n int, seed uint64, logger *slog.Logger) (*Asked, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("pipeline: LanguageModel: %w", err)
	}
	a := &Asked{model: m, tally: &generate.Tally{}}
	prompts := m.Prompts
	prompts.Seed = seed
	prompts.Observe = func(answer generate.Answer) {
		a.tally.Add(answer)
		if m.Prompts.Observe != nil {
			m.Prompts.Observe(answer)
		}
	}
	var err error
	if a.answers, err = generate.OpenAnswers(ctx, answers, logger); err != nil {
		return nil, err
	}
	if err := a.open(prompts, n, seed, logger); err != nil {
		return nil, errors.Join(err, a.answers.Close())
	}
	return a, nil
}

func (a *Asked) open(prompts generate.PromptOptions, n int, seed uint64, logger *slog.Logger) error {
	model, err := generate.Recorded(a.model.Completer, a.answers)
	if err != nil {
		return err
	}
	prompted, err := generate.NewPrompted(model, prompts)
	if err != nil {
		return err
	}
	a.passes = &forgiving{BatchGenerator: prompted, logger: logger}
	a.QueryGenerator, err = generate.Sample(a.passes, a.model.Passages, n, seed)
	return err
}

// Fingerprint stands for the model and its prompts.
func (a *Asked) Fingerprint() string { return fingerprint(a.QueryGenerator) }

// Close frees the file of the answers, not the model.
func (a *Asked) Close() error { return a.answers.Close() }

// Cost is what was made since Ask, and for how much. Its Seconds are left to the caller.
func (a *Asked) Cost() *GenerationCost {
	prompt, written := a.tally.Tokens()
	c := &GenerationCost{
		PromptTokens: int64(prompt), Tokens: int64(written), Dropped: map[generate.Reason]int{},
		Reused: a.answers.Reused(), Failed: a.passes.failed.Load(),
	}
	for _, n := range a.tally.Kept() {
		c.Kept += n
	}
	for reason, of := range a.tally.Dropped() {
		for _, n := range of {
			c.Dropped[reason] += n
		}
	}
	if server, ok := a.model.Completer.(interface{ Usage() generate.Usage }); ok {
		u := server.Usage()
		c.Requests, c.Money, c.PromptTokens, c.Tokens = u.Requests, u.Cost, u.PromptTokens, u.Tokens
	}
	return c
}

// forgiving gives up a passage that the model fails on, such as one that it refuses to speak of: there may be extractive
// queries of it. Where many passages fail it gives up.
type forgiving struct {
	generate.BatchGenerator
	logger *slog.Logger
	giveUp func(error) // ends the run, where an error of a passage does not; nil: it does
	failed atomic.Int64
	asked  atomic.Int64
}

// The failures that are forgiven: this many, or this share of the passages.
const (
	forgivenFailures = 10
	forgivenShare    = .02
)

func (f *forgiving) Fingerprint() string {
	if inner, ok := f.BatchGenerator.(encoder.Fingerprinter); ok {
		return inner.Fingerprint()
	}
	return fmt.Sprintf("%T", f.BatchGenerator)
}

func (f *forgiving) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	for _, made := range f.GenerateBatch(ctx, []retort.Passage{p}) {
		return made.Queries, made.Err
	}
	return nil, ctx.Err()
}

func (f *forgiving) GenerateBatch(ctx context.Context, ps []retort.Passage) iter.Seq2[int, generate.Made] {
	return func(yield func(int, generate.Made) bool) {
		asked := f.asked.Add(int64(len(ps)))
		for i, made := range f.BatchGenerator.GenerateBatch(ctx, ps) {
			if made.Err != nil && ctx.Err() == nil && i < len(ps) {
				made = f.forgive(ps[i], made.Err, asked)
			}
			if !yield(i, made) {
				return
			}
		}
	}
}

func (f *forgiving) forgive(p retort.Passage, err error, asked int64) generate.Made {
	failed := f.failed.Add(1)
	if failed <= forgivenFailures || float64(failed) <= forgivenShare*float64(asked) {
		f.logger.Warn(fmt.Sprintf("no queries of passage %q: %v", p.ID, err))
		return generate.Made{}
	}
	err = fmt.Errorf("%w (%d of %d passages have failed)", err, failed, asked)
	if f.giveUp != nil {
		f.giveUp(err)
	}
	return generate.Made{Err: err}
}

// extractiveTypes are the types of extractive queries that a generator makes. One that does not say makes none.
func extractiveTypes(g generate.QueryGenerator) []string {
	if e, ok := g.(interface{ ExtractiveTypes() []string }); ok {
		return e.ExtractiveTypes()
	}
	return nil
}
