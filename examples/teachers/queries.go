package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

// The kinds of query that students are compared by, all made of the same passages.
const (
	queriesExtractive = "extractive"
	queriesLLM        = "smollm2"
	queriesMixed      = "mixed"          // both
	queriesFew        = "extractive-few" // as many lists of the first kind as the second has given
)

// extractive returns the generator of "retort distill".
func (b *bench) extractive(ctx context.Context) (generate.QueryGenerator, error) {
	return generate.NewExtractive(ctx, b.c.corpus, generate.Options{
		Types: []string{generate.TypeSentence, generate.TypeTitle, generate.TypePhrase, generate.TypeHowTo},
		Seed:  b.p.settings.seed,
	})
}

// generator returns one of the kinds over the passages that the language model writes queries of.
func (b *bench) generator(ctx context.Context, kind string) (generate.QueryGenerator, error) {
	all, err := b.extractive(ctx)
	if err != nil {
		return nil, err
	}
	own, err := b.sample(all)
	if err != nil || kind == queriesExtractive || kind == queriesFew {
		return own, err
	}
	written, err := b.writtenQueries()
	if err != nil {
		return nil, err
	}
	switch kind {
	case queriesLLM:
		return written, nil
	case queriesMixed:
		return generate.Mixture(own, written)
	}
	return nil, fmt.Errorf("queries are %q, want %s, %s or %s", kind, queriesExtractive, queriesLLM, queriesMixed)
}

// sample leaves a generator the passages that the language model is asked about: the same ones for each.
func (b *bench) sample(g generate.QueryGenerator) (generate.QueryGenerator, error) {
	return generate.Sample(g, b.p.settings.llmPassages, b.c.corpus.Len(), b.p.settings.seed)
}

// stored gives the queries that were made earlier.
type stored struct {
	hash      string
	ofPassage map[string][]retort.Query
}

func (s *stored) Fingerprint() string { return s.hash }

func (s *stored) Generate(_ context.Context, p retort.Passage) ([]retort.Query, error) {
	return s.ofPassage[p.ID], nil
}

// writtenQueries returns those of a queries cell that is done.
func (b *bench) writtenQueries() (*stored, error) {
	c := cell{kindQueries, b.c.name, teacherSmolLM2}
	if done, err := b.p.done(c); err != nil || !done {
		return nil, cmp.Or(err, fmt.Errorf("run the cell %s first", c))
	}
	queries, err := retort.LoadQueries(b.p.queriesPath(c))
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	s := &stored{ofPassage: map[string][]retort.Query{}}
	for _, q := range queries {
		fmt.Fprintf(h, "%q\n", q)
		s.ofPassage[q.Source] = append(s.ofPassage[q.Source], q)
	}
	s.hash = hex.EncodeToString(h.Sum(nil))
	return s, nil
}

func (p *program) queriesPath(c cell) string {
	return filepath.Join(p.folder, "queries", c.collection+"-"+c.name+".jsonl")
}

// written is the result of a queries cell.
type written struct {
	Cell     string                  `json:"cell"`
	Settings map[string]string       `json:"settings"`
	Asked    int                     `json:"asked"` // for a query
	Kept     int                     `json:"kept"`
	Dropped  map[generate.Reason]int `json:"dropped"`
	Tokens   int                     `json:"tokens"` // written
	Examples []retort.Query          `json:"examples"`
	Cost     cost                    `json:"cost"`
}

func queriesSettings(s *settings, _ cell) map[string]string {
	m := s.ranking()
	delete(m, "tokens")
	m["llm-passages"], m["per-passage"] = strconv.Itoa(s.llmPassages), strconv.Itoa(s.perPassage)
	return m
}

// queriesCell has the language model write queries. Each answer is recorded as it comes, so that a call that goes on
// asks for what is missing only.
func queriesCell(ctx context.Context, b *bench, c cell) (err error) {
	if c.name != teacherSmolLM2 {
		return fmt.Errorf("%q cannot write queries, want %s", c.name, teacherSmolLM2)
	}
	if b.p.settings.llm == "" {
		return errNoLLM
	}
	r := &written{Cell: c.String(), Settings: queriesSettings(&b.p.settings, c), Dropped: map[generate.Reason]int{}}
	start := time.Now()
	queries, err := b.askLLM(ctx, r)
	spent, errSpend := b.p.spend(c, cost{Seconds: time.Since(start).Seconds()})
	if err = errors.Join(err, errSpend); err != nil {
		b.p.say("  %d answers so far", r.Asked)
		return err
	}
	r.Kept, r.Cost, r.Examples = len(queries), spent, queries[:min(10, len(queries))]
	if err := os.MkdirAll(filepath.Dir(b.p.queriesPath(c)), 0o755); err != nil {
		return err
	}
	if err := retort.SaveQueries(b.p.queriesPath(c), queries); err != nil {
		return err
	}
	return writeJSON(b.p.path(c), r)
}

// askLLM returns the model's queries of the passages in the sample, and counts answers in r.
func (b *bench) askLLM(ctx context.Context, r *written) (_ []retort.Query, err error) {
	llm, closeLLM, err := b.p.openLLM(ctx, &b.p.settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeLLM()) }()
	dir := filepath.Join(b.p.folder, "answers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	answers, err := generate.OpenAnswers(ctx, filepath.Join(dir, b.c.name+".jsonl"),
		slog.New(slog.NewTextHandler(b.p.log, nil)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answers.Close()) }()
	if llm, err = generate.Recorded(llm, answers); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	all, err := generate.NewPrompted(llm, generate.PromptOptions{
		PerPassage: b.p.settings.perPassage, Seed: b.p.settings.seed,
		Observe: func(a generate.Answer) {
			mu.Lock()
			defer mu.Unlock()
			r.Asked++
			r.Tokens += a.Tokens
			if a.Dropped != "" {
				r.Dropped[a.Dropped]++
			}
		},
	})
	if err != nil {
		return nil, err
	}
	g, err := b.sample(all)
	if err != nil {
		return nil, err
	}
	var queries []retort.Query
	for q, err := range generate.All(ctx, g, b.c.corpus, 1) {
		if err != nil {
			return nil, err
		}
		queries = append(queries, q)
	}
	return queries, ctx.Err()
}
