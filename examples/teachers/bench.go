package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// model is what the program needs of an encoder.
type model interface {
	encoder.Trainable
	encoder.Splitter
	encoder.Parametric
	encoder.Fingerprinter
	Close() error
}

func openBERT(ctx context.Context, dir string, s *settings) (model, error) {
	m, err := transformer.Open(ctx, dir, transformer.Options{Precision: retort.Precision(s.precision), PassageTokens: s.tokens})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// The encoders, by the names of their teachers.
const (
	encoderStudent = "student"
	encoderBGE     = "bge-small"
	encoderE5      = "e5-small"
)

// dir returns the folder of an encoder, "" where none is given.
func (s *settings) dir(encoder string) string {
	return map[string]string{encoderStudent: s.student, encoderBGE: s.bge, encoderE5: s.e5}[encoder]
}

// bench holds what the cells of one collection share, opened when it is first asked for.
type bench struct {
	p *program
	c *collection

	bm25    *mine.BM25
	dense   map[string]*ranker
	store   *teacher.Store
	opened  map[string]teacher.Teacher
	best    *chosen
	closers []func() error
}

// ranker is an encoder with the vectors of the passages.
type ranker struct {
	model model
	*mine.Dense
}

// benchOf returns the bench of that collection, and closes that of another: cells come by collection.
func (p *program) benchOf(ctx context.Context, name string) (*bench, error) {
	if p.bench != nil && p.bench.c.name == name {
		return p.bench, nil
	}
	if err := p.closeBench(); err != nil {
		return nil, err
	}
	c, err := openCollection(ctx, &p.settings, name)
	if err != nil {
		return nil, err
	}
	b := &bench{p: p, c: c, dense: map[string]*ranker{}, opened: map[string]teacher.Teacher{}}
	dir := filepath.Join(p.folder, "scores")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if b.store, err = teacher.OpenStore(ctx, filepath.Join(dir, name+".jsonl"), slog.New(slog.NewTextHandler(p.log, nil))); err != nil {
		return nil, err
	}
	b.closers = append(b.closers, b.store.Close)
	p.bench = b
	return b, nil
}

func (p *program) closeBench() error {
	if p.bench == nil {
		return nil
	}
	var errs []error
	for _, c := range slices.Backward(p.bench.closers) {
		errs = append(errs, c())
	}
	p.bench = nil
	return errors.Join(errs...)
}

func (b *bench) openBM25(ctx context.Context) (*mine.BM25, error) {
	if b.bm25 != nil {
		return b.bm25, nil
	}
	index, err := mine.NewBM25(ctx, b.c.corpus, mine.BM25Options{Analyzer: b.c.analyzer})
	if err != nil {
		return nil, err
	}
	b.bm25, b.closers = index, append(b.closers, index.Close)
	return index, nil
}

// openDense opens an encoder and computes its vectors of the passages, unless an earlier call did.
func (b *bench) openDense(ctx context.Context, name string) (*ranker, error) {
	if r := b.dense[name]; r != nil {
		return r, nil
	}
	m, err := b.openEncoder(ctx, name)
	if err != nil {
		return nil, err
	}
	index, err := b.vectors(ctx, name, m)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	r := &ranker{m, index}
	b.dense[name], b.closers = r, append(b.closers, m.Close, index.Close)
	return r, nil
}

func (b *bench) openEncoder(ctx context.Context, name string) (model, error) {
	dir := b.p.settings.dir(name)
	if dir == "" {
		return nil, fmt.Errorf("no folder of encoder %s: give -student, -bge or -e5", name)
	}
	m, err := b.p.open(ctx, dir, &b.p.settings)
	if err != nil {
		return nil, fmt.Errorf("encoder %s: %w", name, err)
	}
	return m, nil
}

// vectors keeps them in a file that is named for the encoder and the corpus.
func (b *bench) vectors(ctx context.Context, name string, m model) (*mine.Dense, error) {
	corpus, err := hashCorpus(b.c.corpus)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(m.Fingerprint() + corpus))
	path := filepath.Join(b.p.folder, "vectors", fmt.Sprintf("%s-%s-%s.npy", b.c.name, name, hex.EncodeToString(key[:6])))
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		b.p.say("  %s encodes %d passages", name, b.c.corpus.Len())
		if err := mine.WriteVectors(ctx, m, b.c.corpus, path, nil); err != nil {
			return nil, err
		}
	}
	return mine.OpenDense(m, path)
}

func hashCorpus(corpus retort.Corpus) (string, error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		if err != nil {
			return "", err
		}
		if err := e.Encode(p); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fusionDepth is how many passages of each ranker its scores are standardised by.
const fusionDepth = 100

// fusion is BM25 and the student together, which every list of candidates comes from.
func (b *bench) fusion(ctx context.Context) (*mine.ZScoreFusion, error) {
	index, err := b.openBM25(ctx)
	if err != nil {
		return nil, err
	}
	student, err := b.openDense(ctx, encoderStudent)
	if err != nil {
		return nil, err
	}
	return mine.NewZScoreFusion(fusionDepth, index, student.Dense)
}

// candidates returns the first so many passages of the fusion for each query.
func (b *bench) candidates(ctx context.Context, queries []retort.Query, depth int) ([]teacher.Work, error) {
	fusion, err := b.fusion(ctx)
	if err != nil {
		return nil, err
	}
	rankings, err := fusion.Search(ctx, queries, depth)
	if err != nil {
		return nil, err
	}
	lists := make([]teacher.Work, len(queries))
	for i, q := range queries {
		lists[i].Query = q
		for _, h := range rankings[i] {
			p, err := b.c.corpus.At(h.Index)
			if err != nil {
				return nil, err
			}
			lists[i].Passages = append(lists[i].Passages, p)
		}
	}
	return lists, nil
}
