package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/crossencoder"
	"github.com/retort-ir/retort/teacher/likelihood"
	"github.com/retort-ir/retort/teacher/rerankapi"
)

// teacherFlags are the flags of scoring.
type teacherFlags struct {
	spec            string
	fuse            string
	minAgreement    float64
	agreementWeight bool
	rerankTruncate  bool   // for every server
	rerankExtra     string // for every server: NAME=VALUE,...
}

// teacherUsage is the help of the flags. usual is the default of -teacher.
func teacherUsage(usual string) string {
	return teacherSpecUsage + usual + teacherRestUsage
}

const teacherSpecUsage = `
  -teacher T            scores the lists: one of these, or a weighted sum such as bm25+2*crossencoder:models/minilm
                        (+ or a comma separates teachers; the weight is 1 if omitted):
                          bm25                  BM25
                          student               the model of -model, untrained
                          encoder:DIR           a bi-encoder
                          crossencoder:DIR      a cross-encoder, for example from "retort train-teacher"
                          likelihood:PATH       probability of the query given the passage under a language model
                                                (a GGUF file or a Hugging Face folder)
                          rerankapi:KIND:URL#M  model M on a server; KIND is tei, cohere, jina, vllm or vllm-score;
                                                the environment variable RERANK_API_KEY holds the key`

const teacherRestUsage = `
  -fuse F               how to combine several teachers: z (z-scores) or rrf (reciprocal ranks) (z)
  -min-agreement A      drop lists on which several teachers agree less than A, in [0,1]; .5 is chance; 0: keep all (0)
  -agreement-weight     weight each list in the loss by the agreement of several teachers
  -rerank-truncate      ask the server of rerankapi to truncate inputs that are too long for its model; otherwise such a
                        passage gets the lowest score of its list
  -rerank-extra LIST    extra fields of each request to that server: NAME=VALUE, separated by commas, such as
                        truncate_prompt_tokens=512`

func (t *teacherFlags) add(flags *flag.FlagSet, spec string) {
	flags.StringVar(&t.spec, "teacher", spec, "")
	flags.StringVar(&t.fuse, "fuse", "z", "")
	flags.Float64Var(&t.minAgreement, "min-agreement", 0, "")
	flags.BoolVar(&t.agreementWeight, "agreement-weight", false, "")
	flags.BoolVar(&t.rerankTruncate, "rerank-truncate", false, "")
	flags.StringVar(&t.rerankExtra, "rerank-extra", "", "")
}

// check validates the flags. usual is the default of -teacher.
func (t *teacherFlags) check(usual string) error {
	parsed, err := t.expression(usual)
	if err != nil {
		return err
	}
	if err := oneOf("-fuse", t.fuse, "z", "rrf"); err != nil {
		return err
	}
	if !(t.minAgreement >= 0 && t.minAgreement <= 1) {
		return fmt.Errorf("%w: -min-agreement is %v, want it in [0,1]", errUsage, t.minAgreement)
	}
	if (t.minAgreement > 0 || t.agreementWeight) && len(parsed) < 2 {
		return fmt.Errorf("%w: -min-agreement and -agreement-weight need a -teacher of two members or more", errUsage)
	}
	if _, err := parseExtra(t.rerankExtra); err != nil {
		return fmt.Errorf("%w: -rerank-extra: %w", errUsage, err)
	}
	asksServer := slices.ContainsFunc(parsed, func(m pipeline.ExpressionMember) bool {
		return m.Kind == "rerankapi"
	})
	if (t.rerankTruncate || t.rerankExtra != "") && !asksServer {
		return fmt.Errorf("%w: -rerank-truncate and -rerank-extra need a -teacher with rerankapi:KIND:URL#MODEL", errUsage)
	}
	return nil
}

// parseExtra reads NAME=VALUE,... A value that is not JSON is a string.
func parseExtra(list string) (map[string]any, error) {
	if list == "" {
		return nil, nil
	}
	extra := map[string]any{}
	for _, field := range strings.Split(list, ",") {
		name, text, ok := strings.Cut(field, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("%q: want NAME=VALUE, separated by commas", field)
		}
		if _, twice := extra[name]; twice {
			return nil, fmt.Errorf("duplicate field %s", name)
		}
		var value any
		if strictjson.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		extra[name] = value
	}
	return extra, nil
}

// expression parses -teacher, or usual without the flag.
func (t *teacherFlags) expression(usual string) (pipeline.TeacherExpression, error) {
	e, err := pipeline.ParseTeacher(cmp.Or(t.spec, usual))
	if err != nil {
		return nil, fmt.Errorf("%w: -teacher: %w", errUsage, err)
	}
	for _, m := range e {
		if m.Kind != "rerankapi" {
			continue
		}
		if _, err := rerankOptions(m.Arg); err != nil {
			return nil, fmt.Errorf("%w: -teacher: %w", errUsage, httpretry.RedactURLsOf(err))
		}
	}
	return e, nil
}

func (t *teacherFlags) fusion() teacher.Fusion {
	if t.fuse == "rrf" {
		return teacher.ReciprocalRank
	}
	return teacher.ZScore
}

// opener opens the models and servers of a teacher.
type opener struct {
	by      teacherFlags
	machine transformer.Options
	logger  *slog.Logger
	closers []func() error
}

// open opens the teacher. The caller closes the opener, also after an error.
func (o *opener) open(ctx context.Context, e pipeline.TeacherExpression) (teacher.Teacher, error) {
	return e.Open(ctx, o.by.fusion(), o.member)
}

func (o *opener) close() error {
	var errs []error
	for _, c := range slices.Backward(o.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

func (o *opener) member(ctx context.Context, m pipeline.ExpressionMember) (teacher.Teacher, error) {
	switch m.Kind {
	case "encoder":
		model, err := openEncoder(ctx, m.Arg, transformer.Options{
			Threads: o.machine.Threads, Device: o.machine.Device, Precision: o.machine.Precision, Logger: o.logger,
		})
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, model.Close)
		return teacher.FromEncoder(model), nil
	case "crossencoder":
		model, err := crossencoder.Open(ctx, m.Arg, crossencoder.Options{
			Threads: o.machine.Threads, Device: o.machine.Device, Precision: o.machine.Precision, Logger: o.logger,
		})
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, model.Close)
		return model, nil
	case "likelihood":
		model, err := causallm.Open(ctx, m.Arg, causallm.Options{
			Threads: o.machine.Threads, Device: o.machine.Device, Precision: o.machine.Precision, Logger: o.logger,
		})
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, model.Close)
		return likelihood.New(model, likelihood.Options{})
	case "rerankapi":
		options, err := rerankOptions(m.Arg)
		if err != nil {
			return nil, err
		}
		options.Truncate, options.Logger = o.by.rerankTruncate, o.logger
		if options.Extra, err = parseExtra(o.by.rerankExtra); err != nil {
			return nil, err
		}
		client, err := rerankapi.New(options)
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, func() error { client.Close(); return nil })
		return client, client.Check(ctx)
	}
	return nil, fmt.Errorf("unknown kind of teacher %q", m.Kind)
}

// rerankKey is the environment variable with the key of the rerank server.
const rerankKey = "RERANK_API_KEY"

// rerankOptions reads KIND:URL#MODEL.
func rerankOptions(arg string) (rerankapi.Options, error) {
	kind, address, ok := strings.Cut(arg, ":")
	url, model, named := strings.Cut(address, "#")
	if !ok || !named {
		return rerankapi.Options{}, fmt.Errorf("%q: want rerankapi:KIND:URL#MODEL, "+
			"such as rerankapi:tei:http://localhost:8080#bge-reranker-base", arg)
	}
	o := rerankapi.Options{Kind: rerankapi.Kind(kind), URL: url, Model: model, RawScores: kind == "tei"}
	if os.Getenv(rerankKey) != "" {
		o.KeyVariable = rerankKey
	}
	return o, o.Validate()
}
