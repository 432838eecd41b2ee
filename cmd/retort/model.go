package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/static"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
)

// modelFlags are the flags of every command that opens a model.
type modelFlags struct {
	dir     string
	options transformer.Options
	opened  bool // open has printed the warnings of the folder
}

const modelUsage = `
  -model DIR            the encoder: a folder in Hugging Face or sentence-transformers layout, or a repository of the
                        Hugging Face hub, such as BAAI/bge-small-en-v1.5
  -threads N            CPU threads (one per core)
  -device D             device to compute on: cpu, cuda, or cuda:N, counted from 0 (cpu)
  -precision P          fp32 or bf16; bf16 is fast only on a GPU and on processors with AMX or AVX512_BF16 (fp32)
  -query-prompt TEXT    text before every query (the folder's value)
  -passage-prompt TEXT  text before every passage (the folder's value)
  -query-tokens N       maximum length of a query in tokens, with its prompt (the folder's value)
  -passage-tokens N     maximum length of a passage in tokens, with its prompt (the folder's value)` + vectorUsage

// vectorUsage explains the flags that say what becomes of the hidden states.
const vectorUsage = `
  -pooling P            mean, cls, max, mean_sqrt_len_tokens, weightedmean, lasttoken, or several joined by + (the
                        folder's value)
  -dim N                number of leading values that a vector keeps (the folder's value, or all)`

func (m *modelFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&m.dir, "model", "", "")
	flags.IntVar(&m.options.Threads, "threads", 0, "")
	flags.StringVar((*string)(&m.options.Device), "device", "cpu", "")
	flags.StringVar((*string)(&m.options.Precision), "precision", "fp32", "")
	flags.Func("query-prompt", "", func(s string) error { m.options.QueryPrompt = &s; return nil })
	flags.Func("passage-prompt", "", func(s string) error { m.options.PassagePrompt = &s; return nil })
	flags.IntVar(&m.options.QueryTokens, "query-tokens", 0, "")
	flags.IntVar(&m.options.PassageTokens, "passage-tokens", 0, "")
	flags.StringVar(&m.options.Pooling, "pooling", "", "")
	flags.IntVar(&m.options.TruncateDim, "dim", 0, "")
}

// check validates the flags before the model is read.
func (m *modelFlags) check() error {
	if m.dir == "" {
		return fmt.Errorf("%w: -model is missing", errUsage)
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"-threads", m.options.Threads},
		{"-query-tokens", m.options.QueryTokens},
		{"-passage-tokens", m.options.PassageTokens},
		{"-dim", m.options.TruncateDim},
	} {
		if f.value < 0 {
			return fmt.Errorf("%w: %s is %d, want at least 0", errUsage, f.name, f.value)
		}
	}
	if err := checkMachine(m.options); err != nil {
		return err
	}
	return checkPooling(m.options.Pooling)
}

func checkPooling(pooling string) error {
	if pooling == "" {
		return nil
	}
	if err := transformer.Pooling(pooling).Validate(); err != nil {
		return fmt.Errorf("%w: -pooling: %w", errUsage, err)
	}
	return nil
}

// closableEncoder is an encoder that must be closed.
type closableEncoder interface {
	encoder.Encoder
	Close() error
}

// open reads the model. The first call prints warnings about the folder to p. The caller closes the model.
func (m *modelFlags) open(ctx context.Context, p *progress.Progress) (closableEncoder, error) {
	if err := checkModelOfRun(ctx, m.dir); err != nil {
		return nil, err
	}
	options := m.options
	if !m.opened {
		options.Logger = slog.New(optionFlags{lineHandler{p}})
	}
	model, err := openEncoder(ctx, m.dir, options)
	if err != nil {
		return nil, withFlag(err)
	}
	m.opened = true
	return model, nil
}

// openEncoder opens a transformer, or static embeddings, which are computed on the CPU in float32 whatever the options.
func openEncoder(ctx context.Context, dir string, o transformer.Options) (closableEncoder, error) {
	dir, err := hub.Resolve(ctx, dir, o.Logger)
	if err != nil {
		return nil, err
	}
	if !static.Holds(dir) {
		model, err := transformer.Open(ctx, dir, o)
		if err != nil {
			return nil, err // not model: a nil *transformer.Model is no nil encoder
		}
		return model, nil
	}
	if o.Pooling != "" {
		return nil, fmt.Errorf("%s: static embeddings have no pooling to choose: omit -pooling", dir)
	}
	model, err := static.Open(ctx, dir, static.Options{
		QueryPrompt: o.QueryPrompt, PassagePrompt: o.PassagePrompt, QueryTokens: o.QueryTokens, PassageTokens: o.PassageTokens,
		TruncateDim: o.TruncateDim, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return model, nil
}

// checkModelOfRun compares a model in a run folder with the run's checksums.
func checkModelOfRun(ctx context.Context, dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil // opening the model gives a better error
	}
	run, name := filepath.Split(dir)
	run = filepath.Clean(run)
	if _, err := runfolder.ReadManifest(run, runfolder.Pipeline); err != nil {
		return nil // not a run folder, or the manifest.json of another program
	}
	return runfolder.CheckRead(ctx, run, runfolder.Pipeline, name)
}

// optionFlags names flags in place of options in the library's messages.
type optionFlags struct{ slog.Handler }

var promptFlags = strings.NewReplacer("Options.QueryPrompt", "-query-prompt", "Options.PassagePrompt",
	"-passage-prompt")

func (f optionFlags) Handle(ctx context.Context, r slog.Record) error {
	r.Message = promptFlags.Replace(r.Message)
	return f.Handler.Handle(ctx, r)
}

// withFlag adds the flag of the option that the error names.
func withFlag(err error) error {
	for option, name := range map[string]string{
		"Options.Pooling": "pooling", "Options.QueryTokens": "query-tokens", "Options.PassageTokens": "passage-tokens",
		"Options.TruncateDim": "dim", "Options.Device": "device", "Options.Precision": "precision",
	} {
		if strings.Contains(err.Error(), option) {
			return fmt.Errorf("%w (flag -%s)", err, name)
		}
	}
	return err
}

// rankerFlags choose what ranks passages, a model or BM25.
type rankerFlags struct {
	model    modelFlags
	vectors  string
	as       string // precision of the vectors
	bm25     bool
	k1, b    float64
	analyzer string
}

const rankerUsage = modelUsage + `
  -vectors FILE.npy     vectors of the passages, from "retort embed -role passage" with the same corpus and model
  -vectors-as P         float32 searches exactly; float16, int8 and binary search smaller vectors for two to four times
                        as many passages and rank these in float32 (float32)
  -bm25                 rank with BM25, in place of a model
  -k1 K                 k1 of BM25 (.9 as in Anserini; Lucene has 1.2)
  -b B                  b of BM25 (.4 as in Anserini; Lucene has .75)` + analyzerUsage

func (r *rankerFlags) add(flags *flag.FlagSet) {
	r.model.add(flags)
	flags.StringVar(&r.vectors, "vectors", "", "")
	flags.StringVar(&r.as, "vectors-as", exactVectors, "")
	flags.BoolVar(&r.bm25, "bm25", false, "")
	flags.Float64Var(&r.k1, "k1", .9, "")
	flags.Float64Var(&r.b, "b", .4, "")
	flags.StringVar(&r.analyzer, "analyzer", analyzerAuto, "")
}

// check validates parsed flags. It refuses flags that have no effect on the ranker.
func (r *rankerFlags) check(flags *flag.FlagSet) error {
	if r.bm25 == (r.model.dir != "") {
		return fmt.Errorf("%w: give either -model DIR or -bm25", errUsage)
	}
	var wrong error
	flags.Visit(func(f *flag.Flag) {
		ofBM25 := slices.Contains([]string{"k1", "b", "analyzer"}, f.Name)
		ofModel := slices.Contains([]string{
			"vectors", "vectors-as", "threads", "device", "precision", "query-prompt", "passage-prompt", "query-tokens",
			"passage-tokens", "pooling", "dim",
		}, f.Name)
		if ofBM25 && !r.bm25 || ofModel && r.bm25 {
			wrong = fmt.Errorf("%w: -%s has no effect on this ranker", errUsage, f.Name)
		}
	})
	if wrong != nil {
		return wrong
	}
	if !r.bm25 {
		if err := oneOf("-vectors-as", r.as, vectorPrecisions()...); err != nil {
			return err
		}
		return r.model.check()
	}
	if !(r.k1 >= 0) || math.IsInf(r.k1, 0) {
		return fmt.Errorf("%w: -k1 is %v, want at least 0", errUsage, r.k1)
	}
	if !(r.b >= 0 && r.b <= 1) {
		return fmt.Errorf("%w: -b is %v, want a number in [0,1]", errUsage, r.b)
	}
	return oneOf("-analyzer", r.analyzer, analyzerValues()...)
}

// name returns the name of the ranker in a run file.
func (r *rankerFlags) name() string {
	if r.bm25 {
		return "bm25"
	}
	return "dense"
}

// open opens the ranker for the corpus, and prints how many of the queries are truncated. The caller calls the returned
// function to close the ranker.
func (r *rankerFlags) open(ctx context.Context, corpus retort.Corpus, queries []string,
	p *progress.Progress,
) (mine.Retriever, func() error, error) {
	if r.bm25 {
		analyzer, err := openAnalyzer(ctx, r.analyzer, corpus, p)
		if err != nil {
			return nil, nil, err
		}
		index, err := mine.NewBM25(ctx, corpus, r.bm25Options(analyzer))
		return index, func() error { return nil }, err
	}
	if err := checkVectors(r.vectors, corpus); err != nil { // cheaper than opening the model
		return nil, nil, err
	}
	model, err := r.model.open(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	index, err := r.openDense(ctx, model, corpus, p)
	if err == nil {
		err = sayCut(ctx, model, nil, queries, p)
	}
	if err != nil {
		return nil, nil, errors.Join(err, model.Close())
	}
	return index, model.Close, nil
}

// exactVectors is the value of -vectors-as for a search that does not quantize.
const exactVectors = "float32"

// vectorPrecisions returns the values of -vectors-as.
func vectorPrecisions() []string {
	values := []string{exactVectors}
	for _, p := range mine.Precisions() {
		values = append(values, string(p))
	}
	return values
}

// openDense returns the search in the model's vectors, in the precision asked for.
func (r *rankerFlags) openDense(ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, p *progress.Progress,
) (mine.Retriever, error) {
	dense, err := newDense(ctx, enc, corpus, r.vectors, p)
	if err != nil || r.as == exactVectors {
		return dense, err
	}
	return dense.Quantize(mine.Precision(r.as))
}

func (r *rankerFlags) bm25Options(analyzer mine.Analyzer) mine.BM25Options {
	options := mine.BM25Options{K1: r.k1, B: r.b, Analyzer: analyzer}
	if r.k1 == 0 && r.b == 0 {
		options.B = 1 // b has no effect if k1 is 0, but two zeros would mean the defaults
	}
	return options
}

// newDense encodes the passages, or reads their vectors from the file vectors.
func newDense(ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, vectors string,
	p *progress.Progress,
) (*mine.Dense, error) {
	if vectors != "" {
		return readDense(enc, corpus, vectors, p)
	}
	if err := sayCut(ctx, enc, corpus, nil, p); err != nil {
		return nil, err
	}
	stage := p.Stage("encode passages", corpus.Len())
	defer stage.Done()
	return mine.NewDense(ctx, enc, corpus, func(done, _ int) { stage.Set(done) })
}

// readDense reads the vectors of the passages. It normalises them if the model normalises its vectors.
func readDense(enc encoder.Encoder, corpus retort.Corpus, path string, p *progress.Progress) (*mine.Dense, error) {
	if err := checkVectors(path, corpus); err != nil {
		return nil, err
	}
	m, err := npy.ReadFile(path)
	if err != nil {
		return nil, err
	}
	index, err := mine.NewDenseVectors(enc, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if n, ok := enc.(encoder.Normalizer); ok && !n.Normalized() {
		return index, nil
	}
	changed, err := mine.NormalizeRows(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if changed == 0 {
		return index, nil
	}
	p.Print(fmt.Sprintf("%s: %s of the %s vectors do not have length 1: normalising them", path,
		thousands(changed), thousands(m.Rows)))
	return mine.NewDenseVectors(enc, m)
}

// checkVectors refuses a file with the wrong number of vectors, without reading the vectors.
func checkVectors(path string, corpus retort.Corpus) error {
	if path == "" {
		return nil
	}
	m, err := npy.Map(path)
	if err != nil {
		return err
	}
	defer m.Close()
	if m.Matrix.Rows != corpus.Len() {
		return fmt.Errorf("%s has %d vectors, but the corpus has %d passages: give the vectors of this corpus",
			path, m.Matrix.Rows, corpus.Len())
	}
	return nil
}

// oneOf returns a usage error if value is not one of values.
func oneOf(name, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("%w: %s is %q, want %s", errUsage, name, value, strings.Join(values, " or "))
}
