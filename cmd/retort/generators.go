package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/generate/openai"
)

// generatorFlags are the flags of query generation.
type generatorFlags struct {
	kind  string // extractive, llm or both
	types string // of extractive queries

	llm                     string // a local model
	llmURL, llmModel        string // or a model on a server
	llmAPI                  string
	llmTypes                string
	llmPassages, perPassage int

	perExtractive int // extractive queries per passage; 0: one of each type
}

const generatorUsage = `
  -generator G          extractive: from the words of the passages; llm: by a language model; both (extractive)
  -types LIST           types of extractive queries: sentence, title, keywords, phrase, howto
                        (sentence,title,phrase,howto)
  -llm PATH             local language model: a GGUF file, a Hugging Face folder (Llama, SmolLM2, Qwen2), or a repository of
                        the Hugging Face hub, such as org/model or org/model:model.gguf
  -llm-url URL          server with an OpenAI-compatible API, in place of -llm, such as http://localhost:8080/v1; the
                        environment variable OPENAI_API_KEY holds its key
  -llm-model NAME       name of the model on that server
  -llm-api A            chat, or completions for small models and base models (chat for a server, else completions)
  -llm-types LIST       types of its queries: question, claim, title, keywords, msmarco, zero-shot (all six)
  -llm-passages N       approximate number of passages to write queries for, sampled by the seed; 0: all (2000)
  -llm-per-passage N    queries per passage; the types take turns (1)`

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

// check validates the flags before any model is opened.
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
	if _, err := g.prompts(); err != nil {
		return fmt.Errorf("%w: -llm-types: %w", errUsage, err)
	}
	if g.llmPassages < 0 || g.perPassage < 1 {
		return fmt.Errorf("%w: -llm-passages is %d, want at least 0, and -llm-per-passage is %d, want at least 1",
			errUsage, g.llmPassages, g.perPassage)
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

func (g *generatorFlags) prompts() (generate.PromptOptions, error) {
	types, err := generate.QueryTypes(strings.Split(g.llmTypes, ",")...)
	return generate.PromptOptions{Types: types, PerPassage: g.perPassage}, err
}

func (g *generatorFlags) server(logger *slog.Logger) openai.Options {
	return openai.Options{URL: g.llmURL, Model: g.llmModel, API: openai.API(g.llmAPI), Logger: logger}
}

// extractive returns the generator of extractive queries, nil with -generator llm.
func (g *generatorFlags) extractive(
	ctx context.Context, corpus retort.Corpus, seed uint64,
) (generate.QueryGenerator, error) {
	if g.kind == generatorLLM {
		return nil, nil
	}
	return generate.NewExtractive(ctx, corpus, generate.Options{
		Types: strings.Split(g.types, ","), PerPassage: g.perExtractive, Seed: seed,
	})
}

// languageModel opens the language model, nil with -generator extractive. The caller closes it.
func (g *generatorFlags) languageModel(ctx context.Context, machine transformer.Options, logger *slog.Logger,
) (_ *pipeline.LanguageModel, closeModel func() error, err error) {
	if !g.asksModel() {
		return nil, func() error { return nil }, nil
	}
	m := &pipeline.LanguageModel{Passages: g.llmPassages, Alone: g.kind == generatorLLM}
	if m.Prompts, err = g.prompts(); err != nil {
		return nil, nil, err
	}
	if g.llm != "" {
		model, err := causallm.Open(ctx, g.llm, causallm.Options{
			Chat:      g.llmAPI == string(openai.Chat),
			Precision: machine.Precision, Threads: machine.Threads, Device: machine.Device, Logger: logger,
		})
		if err != nil {
			return nil, nil, err
		}
		m.Completer = model
		return m, model.Close, nil
	}
	client, err := openai.New(g.server(logger))
	if err != nil {
		return nil, nil, err
	}
	m.Completer = client
	closeModel = func() error { client.Close(); return nil }
	if err := client.Check(ctx); err != nil {
		return nil, nil, errors.Join(err, closeModel())
	}
	return m, closeModel, nil
}

// describe names the generators. It omits URLs and paths, which may hold secrets.
func (g *generatorFlags) describe() string {
	var parts []string
	if g.kind != generatorLLM {
		parts = append(parts, "extracted from the passages: "+strings.Join(strings.Split(g.types, ","), ", "))
	}
	if g.asksModel() {
		model := g.llmModel
		if g.llm != "" {
			model = filepath.Base(filepath.Clean(g.llm))
		}
		parts = append(parts, fmt.Sprintf("the language model %s: %s", model, strings.ReplaceAll(g.llmTypes, ",", ", ")))
	}
	return strings.Join(parts, "; ")
}
