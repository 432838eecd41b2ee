package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/examples/service/live"
	"github.com/retort-ir/retort/mine"
)

// model is an encoder: *transformer.Model, or a fake in tests.
type model interface {
	encoder.Trainable
	encoder.Fingerprinter
	Close() error
}

// program is one run: write the vectors, measure, specialise, swap, measure, while queries are asked all the time.
type program struct {
	config  *pgxpool.Config
	open    func(ctx context.Context, train bool) (model, error) // the model as it was
	corpus  retort.Corpus
	queries []string         // that the traffic asks
	judged  *eval.Collection // to measure; nil where there are none
	tune    func(*pipeline.Recipe)
	after   time.Duration // how long queries go on after the swap
	rate    float64       // queries a second
	out     io.Writer
	log     func(format string, args ...any) // progress
}

// workers is the maximum number of concurrent queries.
const workers = 4

func (p *program) run(ctx context.Context) (err error) {
	base, err := p.open(ctx, false)
	if err != nil {
		return err
	}
	queries := live.New(base)
	defer func() { err = errors.Join(err, queries.Close(context.WithoutCancel(ctx))) }()
	db, err := openStore(ctx, p.config, base.Dim())
	if err != nil {
		return err
	}
	defer db.close()
	t := &traffic{
		store: db, encoder: queries, queries: p.queries, workers: workers,
		every: time.Duration(workers * float64(time.Second) / p.rate),
	}
	t.enter("vectors are written", 0)
	stop := t.start(ctx)
	defer stop()
	if err := p.specialise(ctx, db, queries, base, t); err != nil {
		return err
	}
	stop()
	if err := t.print(p.out); err != nil {
		return err
	}
	asked, failed, first := t.total()
	fmt.Fprintf(p.out, "%d queries, %d failed\n", asked, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d queries failed, the first one %w", failed, asked, first)
	}
	return nil
}

// specialise writes, measures, trains and swaps while the traffic runs.
func (p *program) specialise(ctx context.Context, db *store, queries *live.Encoder, base model, t *traffic) error {
	start := time.Now()
	wrote, err := db.write(ctx, p.corpus, base, func(done, total int) { p.log("vectors: %d of %d", done, total) })
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d vectors written in %.0f s, %d were there\n", wrote, time.Since(start).Seconds(),
		p.corpus.Len()-wrote)
	full := min(k, p.corpus.Len())
	t.enter("the index is made", full)
	if err := db.index(ctx); err != nil {
		return err
	}
	before, err := p.measure(ctx, db, queries)
	if err != nil {
		return err
	}
	t.enter("a second copy of the model is trained", full)
	student, outcome, err := p.train(ctx, db)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "trained on %d lists: %s\n", len(outcome.Lists), outcome.Verdict)
	if !outcome.Kept {
		if before != nil {
			fmt.Fprintf(p.out, "nDCG@10 on %d judged queries: %.4f\n", len(before.Queries), before.Mean(eval.NDCG(k)))
		}
		return student.Close()
	}
	t.enter("the encoder is swapped, and after", full)
	closed, err := queries.Swap(student)
	if err != nil {
		return err
	}
	if err := <-closed; err != nil {
		return fmt.Errorf("close the model before: %w", err)
	}
	after, err := p.measure(ctx, db, queries)
	if err != nil {
		return err
	}
	if err := p.compare(ctx, before, after); err != nil {
		return err
	}
	select {
	case <-time.After(p.after):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mostAsked is the maximum number of user queries in training. The latest queries are used.
const mostAsked = 10_000

// train specialises a second copy of the model on vectors and queries out of the database. The caller closes the
// student.
func (p *program) train(ctx context.Context, db *store) (student model, outcome *pipeline.Outcome, err error) {
	r := pipeline.Recipe{Analyzer: mine.Code(), Events: p.events()}
	if r.Vectors, err = db.vectors(ctx, p.corpus); err != nil {
		return nil, nil, err
	}
	if r.Queries, err = db.asked(ctx, mostAsked); err != nil {
		return nil, nil, err
	}
	p.tune(&r)
	if student, err = p.open(ctx, true); err != nil {
		return nil, nil, err
	}
	if outcome, err = pipeline.Specialise(ctx, student, p.corpus, r); err != nil {
		return nil, nil, errors.Join(err, student.Close())
	}
	return student, outcome, nil
}

// events prints notes, and the progress of a stage when it starts, every ten seconds, and when it ends.
func (p *program) events() retort.Events {
	stage, told := "", time.Time{}
	return retort.Events{
		Stage: func(now retort.Stage) {
			if now.Name == stage && now.Done < now.Total && time.Since(told) < 10*time.Second {
				return
			}
			p.log("%s: %d of %d", now.Name, now.Done, now.Total)
			stage, told = now.Name, time.Now()
		},
		Note: func(text string) { p.log("%s", text) },
	}
}

// measure searches the database for the judged queries. It returns nil without judged queries.
func (p *program) measure(ctx context.Context, db *store, e *live.Encoder) (*eval.Report, error) {
	if p.judged == nil {
		return nil, nil
	}
	run := eval.Run{}
	for _, q := range p.judged.Queries {
		_, hits, err := ask(ctx, db, e, q.Text)
		if err != nil {
			return nil, err
		}
		for _, h := range hits {
			run[q.ID] = append(run[q.ID], eval.Hit(h))
		}
	}
	return eval.Evaluate(p.judged.Qrels, run, eval.NDCG(k))
}

func (p *program) compare(ctx context.Context, before, after *eval.Report) error {
	if before == nil {
		return nil
	}
	metric := eval.NDCG(k)
	c, err := eval.Compare(ctx, before, after, metric, 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out,
		"nDCG@10 on %d judged queries: %.4f before, %.4f after (%+.4f, 95%% interval %+.4f to %+.4f, p = %.2g)\n", c.N,
		before.Mean(metric), after.Mean(metric), c.Delta, c.Low, c.High, c.P)
	return nil
}
