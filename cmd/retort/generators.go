package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder/bert"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/generate/openai"
)

// generatorFlags say what makes queries.
type generatorFlags struct {
	kind  string // extractive, llm or both
	types string // of extractive queries

	llm                     string // a model that runs here
	llmURL, llmModel        string // or a server's
	llmAPI                  string
	llmTypes                string
	llmPassages, perPassage int

	perExtractive int // extractive queries of a passage; 0: one of each type
}

// generatorUsage explains them.
const generatorUsage = `
  -generator G          extractive: from the passages' own words; llm: by a language model; both (extractive)
  -types LIST           of extractive queries: sentence, title, keywords, phrase, howto (sentence,title,phrase,howto)
  -llm PATH             a language model that runs here: a GGUF file, or a folder of Hugging Face (Llama, SmolLM2, Qwen2)
  -llm-url URL          a server with an OpenAI-compatible API instead, such as http://localhost:8080/v1; the key is read
                        from the environment, OPENAI_API_KEY
  -llm-model NAME       the model's name on that server
  -llm-api A            chat, or completions, which small and base models do better (of a server chat, else completions)
  -llm-types LIST       of its queries: question, claim, title, keywords, msmarco, zero-shot (all six)
  -llm-passages N       about how many passages it is asked about, drawn by the seed; 0: all (2000)
  -llm-per-passage N    queries that it is asked for of each of them, of the types in turn (1)`

const (
	generatorExtractive = "extractive"
	generatorLLM        = "llm"
	generatorBoth       = "both"
)

func (g *generatorFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&g.kind, "generator", generatorExtractive, "")
	flags.StringVar(&g.types, "types", "sentence,title,phrase,howto", "")
	flags.StringVar(&g.llm, "llm", "", "")
	flags.StringVar(&g.llmURL, "llm-url", "", "")
	flags.StringVar(&g.llmModel, "llm-model", "", "")
	flags.StringVar(&g.llmAPI, "llm-api", "", "")
	flags.StringVar(&g.llmTypes, "llm-types", "question,claim,title,keywords,msmarco,zero-shot", "")
	flags.IntVar(&g.llmPassages, "llm-passages", 2000, "")
	flags.IntVar(&g.perPassage, "llm-per-passage", 1, "")
}

// check says what is wrong with the flags, as far as that is known before anything is opened.
func (g *generatorFlags) check() error {
	if err := oneOf("-generator", g.kind, generatorExtractive, generatorLLM, generatorBoth); err != nil {
		return err
	}
	if err := (generate.Options{Types: strings.Split(g.types, ",")}).Validate(); err != nil {
		return fmt.Errorf("%w: -types: %w", errUsage, err)
	}
	if g.llmAPI != "" {
		if err := oneOf("-llm-api", g.llmAPI, string(openai.Chat), string(openai.Completions)); err != nil {
			return err
		}
	}
	if _, err := g.promptOptions(0, nil); err != nil {
		return fmt.Errorf("%w: -llm-types: %w", errUsage, err)
	}
	if g.llmPassages < 0 || g.perPassage < 1 {
		return fmt.Errorf("%w: -llm-passages is %d, want at least 0, and -llm-per-passage %d, want at least 1", errUsage, g.llmPassages, g.perPassage)
	}
	named := g.llm != "" || g.llmURL != ""
	switch {
	case g.kind == generatorExtractive && named:
		return fmt.Errorf("%w: -llm and -llm-url need -generator llm or both", errUsage)
	case g.kind != generatorExtractive && (g.llm != "") == (g.llmURL != ""):
		return fmt.Errorf("%w: -generator %s needs either -llm PATH or -llm-url URL", errUsage, g.kind)
	case g.llmURL != "" && g.llmModel == "":
		return fmt.Errorf("%w: -llm-url needs -llm-model", errUsage)
	case g.llmURL != "":
		if err := g.server(nil).Validate(); err != nil {
			return fmt.Errorf("%w: -llm-url: %w", errUsage, err)
		}
	}
	return nil
}

func (g *generatorFlags) asksModel() bool { return g.kind != generatorExtractive }

// extractiveTypes are those that are trained on.
func (g *generatorFlags) extractiveTypes() []string {
	if g.kind == generatorLLM {
		return nil
	}
	return strings.Split(g.types, ",")
}

func (g *generatorFlags) promptOptions(seed uint64, observe func(generate.Answer)) (generate.PromptOptions, error) {
	types, err := generate.QueryTypes(strings.Split(g.llmTypes, ",")...)
	return generate.PromptOptions{Types: types, PerPassage: g.perPassage, Seed: seed, Observe: observe}, err
}

func (g *generatorFlags) server(log *slog.Logger) openai.Options {
	return openai.Options{URL: g.llmURL, Model: g.llmModel, API: openai.API(g.llmAPI), Logger: log}
}

// generator makes queries and knows what they cost.
type generator struct {
	generate.QueryGenerator
	tally   *generate.Tally
	client  *openai.Client    // nil where no server is asked
	answers *generate.Answers // nil where no model is
	asking  *forgiving        // likewise
	closers []func() error
}

// open makes the generator. answers is the file of a language model's answers, which are paid for once. The caller closes it.
func (g *generatorFlags) open(ctx context.Context, corpus retort.Corpus, seed uint64, answers string, machine bert.Options, p *progress.Progress) (*generator, error) {
	made := &generator{tally: &generate.Tally{}}
	var parts []generate.QueryGenerator
	if g.kind != generatorLLM {
		e, err := generate.NewExtractive(ctx, corpus, generate.Options{
			Types: strings.Split(g.types, ","), PerPassage: g.perExtractive, Seed: seed,
		})
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	if g.asksModel() {
		prompted, err := made.ask(ctx, g, corpus, seed, answers, machine, p)
		if err != nil {
			return nil, errors.Join(err, made.close())
		}
		parts = append(parts, prompted)
	}
	if len(parts) == 1 {
		made.QueryGenerator = parts[0]
		return made, nil
	}
	var err error
	made.QueryGenerator, err = generate.Mixture(parts...)
	return made, err
}

// ask opens the language model and the file of its answers.
func (m *generator) ask(ctx context.Context, g *generatorFlags, corpus retort.Corpus, seed uint64, answers string, machine bert.Options, p *progress.Progress) (generate.QueryGenerator, error) {
	log := slog.New(lineHandler{p})
	options, err := g.promptOptions(seed, m.tally.Add)
	if err != nil {
		return nil, err
	}
	model, err := m.model(ctx, g, machine, log)
	if err != nil {
		return nil, err
	}
	if m.answers, err = generate.OpenAnswers(ctx, answers, log); err != nil {
		return nil, err
	}
	m.closers = append(m.closers, m.answers.Close)
	if model, err = generate.Recorded(model, m.answers); err != nil {
		return nil, err
	}
	prompted, err := generate.NewPrompted(model, options)
	if err != nil {
		return nil, err
	}
	m.asking = &forgiving{BatchGenerator: prompted, print: p.Print}
	return generate.Sample(m.asking, g.llmPassages, corpus.Len(), seed)
}

func (m *generator) model(ctx context.Context, g *generatorFlags, machine bert.Options, log *slog.Logger) (generate.Completer, error) {
	if g.llm != "" {
		model, err := causallm.Open(ctx, g.llm, causallm.Options{
			Chat: g.llmAPI == string(openai.Chat), Precision: machine.Precision, Threads: machine.Threads, GPU: machine.GPU,
		})
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, model.Close)
		return model, nil
	}
	client, err := openai.New(g.server(log))
	if err != nil {
		return nil, err
	}
	m.client = client
	m.closers = append(m.closers, func() error { client.Close(); return nil })
	return client, client.Check(ctx)
}

func (m *generator) close() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// cost is what was made in this call, and for how much.
func (m *generator) cost() *generationCost {
	prompt, written := m.tally.Tokens()
	c := &generationCost{PromptTokens: int64(prompt), Tokens: int64(written), Dropped: map[generate.Reason]int{}}
	for _, n := range m.tally.Kept() {
		c.Kept += n
	}
	for reason, of := range m.tally.Dropped() {
		for _, n := range of {
			c.Dropped[reason] += n
		}
	}
	if m.asking != nil {
		c.Reused, c.Failed = m.answers.Reused(), m.asking.failed.Load()
	}
	if m.client != nil {
		totals := m.client.Totals()
		c.Requests, c.Money = totals.Requests, totals.Cost
		c.PromptTokens, c.Tokens = totals.PromptTokens, totals.Tokens
	}
	return c
}

// forgiving gives up a passage that the model fails on, such as one that it refuses to speak of: beside it may stand extractive
// queries. Where many fail it gives up.
type forgiving struct {
	generate.BatchGenerator
	print  func(line string)
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
	type fingerprinter interface{ Fingerprint() string }
	if inner, ok := f.BatchGenerator.(fingerprinter); ok {
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
		f.print(fmt.Sprintf("no queries of passage %q: %v", p.ID, err))
		return generate.Made{}
	}
	err = fmt.Errorf("%w (%d of %d passages have failed)", err, failed, asked)
	if f.giveUp != nil {
		f.giveUp(err)
	}
	return generate.Made{Err: err}
}

// name is how a run's report calls the generator.
func (g *generatorFlags) name() string {
	model := cmp.Or(g.llmModel, g.llm)
	switch g.kind {
	case generatorLLM:
		return model
	case generatorBoth:
		return "the passages' own words, and " + model
	}
	return "the passages' own words"
}
