package pipeline

import (
	"context"
	"fmt"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/runfolder"
)

// reportEvery is the number of passages between two reports of progress.
const reportEvery = 256

const (
	// mostFailedInARow passages say that the generator does not work (any more).
	mostFailedInARow = 20
	// A share of 1/failedShare of all passages may fail.
	failedShare = 10
)

// generated is a record of runfolder.StageGenerate: what the generator made of one passage.
type generated struct {
	Passage string         `json:"passage"`
	Queries []retort.Query `json:"queries"`
	Error   string         `json:"error,omitempty"` // why there are none
}

// generate makes queries of every passage.
func (j *job) generate(ctx context.Context) ([]retort.Query, error) {
	if j.Generator == nil {
		return nil, nil
	}
	records, err := records(ctx, j, runfolder.StageGenerate, nil,
		func() settings { return settings{"generator": fingerprint(j.Generator)} },
		func(have int, emit func(generated) error) error {
			g := generating{job: j, next: have, emit: emit}
			if err := g.run(ctx); err != nil {
				return fmt.Errorf("pipeline: %w", err)
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	var queries []retort.Query
	j.funnel.FailedPassages, j.funnel.FirstFailure = 0, ""
	for _, r := range records {
		queries = append(queries, r.Queries...)
		if r.Error == "" {
			continue
		}
		if j.funnel.FailedPassages++; j.funnel.FailedPassages == 1 {
			j.funnel.FirstFailure = r.Error
		}
	}
	return queries, nil
}

// generating is the work of runfolder.StageGenerate from a passage on.
type generating struct {
	*job
	emit func(generated) error

	next    int            // index of the passage that is emitted next
	queries []retort.Query // of that passage, so far
	// row are the passages that have failed since the last one that has not. They are emitted once another one has not, so
	// that a run which ends with them begins with them again.
	row    []generated
	cause  error // of the first of the row
	failed int
}

func (g *generating) run(ctx context.Context) error {
	total := g.Corpus.Len()
	g.report(runfolder.StageGenerate, g.next, total)
	for q, err := range generate.All(ctx, g.Generator, tail{g.Corpus, g.next}, 0) {
		index, ok := g.Corpus.Index(q.Source)
		switch {
		case err != nil && (ctx.Err() != nil || q.Source == "" || !ok):
			return err
		case err != nil:
			err = g.fail(index, q.Source, err)
		default:
			err = g.add(index, q)
		}
		if err != nil {
			return err
		}
	}
	if err := g.emitTo(total); err != nil {
		return err
	}
	if err := g.emitRow(); err != nil {
		return err
	}
	g.report(runfolder.StageGenerate, total, total)
	return nil
}

func (g *generating) add(index int, q retort.Query) error {
	if err := g.emitTo(index); err != nil {
		return err
	}
	g.queries = append(g.queries, q)
	return nil
}

func (g *generating) fail(index int, id string, err error) error {
	if err := g.emitTo(index); err != nil {
		return err
	}
	if len(g.row) == 0 {
		g.cause = err
	}
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	g.row = append(g.row, generated{Passage: id, Queries: []retort.Query{}, Error: text})
	g.next = index + 1
	g.failed++
	if len(g.row) == mostFailedInARow {
		return fmt.Errorf("%d passages in a row failed, the first of them: %w", len(g.row), g.cause)
	}
	if total := g.Corpus.Len(); g.failed*failedShare > total {
		return fmt.Errorf("%d of %d passages failed, more than 1 of %d; the last: %w", g.failed, total, failedShare, err)
	}
	return nil
}

// emitTo emits the passages before index, of which the first has made the queries so far and the others none.
func (g *generating) emitTo(index int) error {
	for ; g.next < index; g.next++ {
		if err := g.emitRow(); err != nil {
			return err
		}
		p, err := g.Corpus.At(g.next)
		if err != nil {
			return err
		}
		if err := g.emit(generated{Passage: p.ID, Queries: append([]retort.Query{}, g.queries...)}); err != nil {
			return err
		}
		g.queries = nil
		if g.next%reportEvery == 0 {
			g.report(runfolder.StageGenerate, g.next, g.Corpus.Len())
		}
	}
	return nil
}

func (g *generating) emitRow() error {
	for _, r := range g.row {
		if err := g.emit(r); err != nil {
			return err
		}
	}
	g.row = nil
	return nil
}

// tail is a corpus from a passage on, for generate.All, which asks for no ids.
type tail struct {
	retort.Corpus
	start int
}

func (t tail) Len() int                         { return t.Corpus.Len() - t.start }
func (t tail) At(i int) (retort.Passage, error) { return t.Corpus.At(t.start + i) }
