package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	queriesMixed      = "mixed" // both
)

// extractive returns the generator of "retort distill".
func (b *bench) extractive(ctx context.Context) (generate.QueryGenerator, error) {
	return generate.NewExtractive(ctx, b.c.corpus, generate.Options{
		Types: []string{generate.TypeSentence, generate.TypeTitle, generate.TypePhrase, generate.TypeHowTo}, Seed: b.p.settings.seed,
	})
}

// generator returns one of the kinds over the passages that the language model writes queries of.
func (b *bench) generator(ctx context.Context, kind string) (generate.QueryGenerator, error) {
	all, err := b.extractive(ctx)
	if err != nil {
		return nil, err
	}
	own, err := b.sample(all)
	if err != nil || kind == queriesExtractive {
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
	return nil, fmt.Errorf("there are no queries %q, only %s, %s and %s", kind, queriesExtractive, queriesLLM, queriesMixed)
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

// writtenQueries returns what a finished queries cell has kept.
func (b *bench) writtenQueries() (*stored, error) {
	c := cell{kindQueries, b.c.name, teacherSmolLM2}
	if done, err := b.p.done(c); err != nil || !done {
		return nil, cmp.Or(err, fmt.Errorf("run the cell %s first", c))
	}
	chunks, data, err := readChunks(b.p.chunksPath(c))
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(data)
	s := &stored{hash: hex.EncodeToString(hash[:]), ofPassage: map[string][]retort.Query{}}
	for _, chunk := range chunks {
		for _, q := range chunk.Queries {
			s.ofPassage[q.Source] = append(s.ofPassage[q.Source], q)
		}
	}
	return s, nil
}

// written is the result of a queries cell.
type written struct {
	Cell     string                  `json:"cell"`
	Settings map[string]string       `json:"settings"`
	Asked    int                     `json:"asked"` // queries that it was asked for
	Kept     int                     `json:"kept"`
	Dropped  map[generate.Reason]int `json:"dropped"`
	Tokens   int                     `json:"tokens"` // written
	Examples []retort.Query          `json:"examples"`
	Cost     cost                    `json:"cost"`
}

// chunk is what a language model has made of a few passages: a line of the cell's file.
type chunk struct {
	Passages int                     `json:"passages"` // in the sample or not
	Asked    int                     `json:"asked"`
	Queries  []retort.Query          `json:"queries"`
	Dropped  map[generate.Reason]int `json:"dropped"`
	Tokens   int                     `json:"tokens"`
	Cost     cost                    `json:"cost"`
}

func queriesSettings(s *settings, _ cell) map[string]string {
	m := s.ranking()
	delete(m, "tokens")
	m["llm-passages"], m["per-passage"] = strconv.Itoa(s.llmPassages), strconv.Itoa(s.perPassage)
	return m
}

func (p *program) chunksPath(c cell) string {
	s := &p.settings
	return filepath.Join(p.folder, "queries", fmt.Sprintf("%s-%s-%d-%d-%d-%s.jsonl", c.collection, c.name, s.llmPassages, s.perPassage, s.seed, s.precision))
}

// chunkPassages is how many passages are lost at most when the program is killed.
const chunkPassages = 64

// queriesCell has the language model write queries, chunk by chunk, and goes on behind the chunks that are there.
func queriesCell(ctx context.Context, b *bench, c cell) error {
	if c.name != teacherSmolLM2 {
		return fmt.Errorf("%q writes no queries, only %s does", c.name, teacherSmolLM2)
	}
	chunks, _, err := readChunks(b.p.chunksPath(c))
	if err != nil {
		return err
	}
	have := 0
	for _, chunk := range chunks {
		have += chunk.Passages
	}
	if have < b.c.corpus.Len() {
		if chunks, err = b.write(ctx, c, have, chunks); err != nil {
			return err
		}
	}
	r := &written{Cell: c.String(), Settings: queriesSettings(&b.p.settings, c), Dropped: map[generate.Reason]int{}}
	for _, chunk := range chunks {
		r.Asked += chunk.Asked
		r.Kept += len(chunk.Queries)
		r.Tokens += chunk.Tokens
		r.Cost.Seconds += chunk.Cost.Seconds
		for reason, n := range chunk.Dropped {
			r.Dropped[reason] += n
		}
		if len(r.Examples) < 10 {
			r.Examples = append(r.Examples, chunk.Queries[:min(1, len(chunk.Queries))]...)
		}
	}
	return writeJSON(b.p.path(c), r)
}

// write appends the chunks that are missing.
func (b *bench) write(ctx context.Context, c cell, have int, chunks []chunk) (_ []chunk, err error) {
	llm, closeLLM, err := b.p.openLLM(ctx, &b.p.settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeLLM()) }()
	path := b.p.chunksPath(c)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	total := b.c.corpus.Len()
	for from := have; from < total; from += chunkPassages {
		made, err := b.writeChunk(ctx, llm, from, min(from+chunkPassages, total))
		if err != nil {
			b.p.say("  %d of %d passages are done", from, total)
			return nil, err
		}
		line, err := json.Marshal(made)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		chunks = append(chunks, made)
	}
	return chunks, nil
}

// writeChunk asks about those of the passages from..to-1 that are in the sample.
func (b *bench) writeChunk(ctx context.Context, llm generate.Completer, from, to int) (chunk, error) {
	made := chunk{Passages: to - from, Queries: []retort.Query{}, Dropped: map[generate.Reason]int{}}
	var mu sync.Mutex
	start := time.Now()
	all, err := generate.NewPrompted(llm, generate.PromptOptions{
		PerPassage: b.p.settings.perPassage, Seed: b.p.settings.seed,
		Observe: func(a generate.Answer) {
			mu.Lock()
			defer mu.Unlock()
			made.Asked++
			made.Tokens += a.Tokens
			if a.Dropped != "" {
				made.Dropped[a.Dropped]++
			}
		},
	})
	if err != nil {
		return made, err
	}
	g, err := b.sample(all)
	if err != nil {
		return made, err
	}
	passages := make([]retort.Passage, to-from)
	for i := range passages {
		if passages[i], err = b.c.corpus.At(from + i); err != nil {
			return made, err
		}
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return made, err
	}
	for q, err := range generate.All(ctx, g, corpus, 1) {
		if err != nil {
			return chunk{}, err
		}
		made.Queries = append(made.Queries, q)
	}
	made.Cost.Seconds = time.Since(start).Seconds()
	return made, ctx.Err()
}

// readChunks reads the lines of a queries cell, and cuts off one that a kill left unfinished.
func readChunks(path string) ([]chunk, []byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if whole := bytes.LastIndexByte(data, '\n') + 1; whole < len(data) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return nil, nil, err
		}
		data = data[:whole]
	}
	var chunks []chunk
	for n, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var c chunk
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", path, n+1, err)
		}
		chunks = append(chunks, c)
	}
	return chunks, data, nil
}
