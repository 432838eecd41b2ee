package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// start is a bi-encoder that a cross-encoder is trained from.
type start struct{ name, title, encoder string }

// crossEncoderStarts have one train-teacher cell and one teacher each.
var crossEncoderStarts = []start{
	{"minilm", "MiniLM", encoderStudent},
	{"bge-small", "bge-small", encoderBGE},
}

// crossEncoders computes them.
type crossEncoders interface {
	open(ctx context.Context, dir string, s *settings) (t teacher.Teacher, closeIt func() error, err error)
	// train trains one from the bi-encoder in the folder start and saves it to dir. What it has done when ctx ends, or the process,
	// is kept in work, where the same call goes on.
	train(ctx context.Context, job trainingJob) (*training, error)
}

// trainingJob is what a cross-encoder is trained on.
type trainingJob struct {
	start, work, dir string
	corpus           retort.Corpus
	lists            []retort.List // the query's source is the positive, the others hard negatives
	settings         *settings
	log              io.Writer
}

// crossDir is the folder of a trained cross-encoder.
func (b *bench) crossDir(name string) string {
	return filepath.Join(b.p.folder, "teachers", b.c.name, name)
}

func openCrossEncoder(s start) func(context.Context, *bench) (teacher.Teacher, error) {
	return func(ctx context.Context, b *bench) (teacher.Teacher, error) {
		c := cell{kindTrain, b.c.name, s.name}
		if done, err := b.p.done(c); err != nil || !done {
			return nil, errors.Join(err, fmt.Errorf("run the cell %s first", c))
		}
		t, closeIt, err := b.p.crossEncoders.open(ctx, b.crossDir(s.name), &b.p.settings)
		if err != nil {
			return nil, err
		}
		b.closers = append(b.closers, closeIt)
		return t, nil
	}
}

// trained is the result of a train-teacher cell.
type trained struct {
	Cell     string            `json:"cell"`
	Settings map[string]string `json:"settings"`
	Start    string            `json:"start"` // the folder it was trained from
	Funnel   distill.Funnel    `json:"funnel"`
	Training *training         `json:"training"`
	Cost     cost              `json:"cost"`
}

// training is what was done, and what it brought on synthetic queries of passages that were held out.
type training struct {
	Examples       int     `json:"examples"`
	HeldOut        int     `json:"held_out"`
	Epochs         int     `json:"epochs"`
	LR             float64 `json:"lr"`
	QueriesPerStep int     `json:"queries_per_step"`
	GroupSize      int     `json:"group_size"`
	Steps          int     `json:"steps"`
	BestStep       int     `json:"best_step"` // of the model that was saved
	Before         float64 `json:"before"`    // nDCG@10 of the held-out lists
	After          float64 `json:"after"`
}

// trainList is how many passages a cross-encoder's list has: the source and hard negatives.
const trainList = 8

// negativesDepth reaches as far as the hard negatives of mine.HardNegatives, with the source among them.
const negativesDepth = 31

func trainSettings(s *settings, _ cell) map[string]string {
	m := s.ranking()
	m["train-lists"], m["train-queries"] = strconv.Itoa(s.trainLists), s.trainQueries
	return m
}

// trainCell trains a cross-encoder on synthetic queries of the collection's passages. It sees no judgement.
func trainCell(ctx context.Context, b *bench, c cell) (err error) {
	var from start
	for _, s := range crossEncoderStarts {
		if s.name == c.name {
			from = s
		}
	}
	dir := b.p.settings.dir(from.encoder)
	if dir == "" {
		return fmt.Errorf("no folder is given that a cross-encoder %q could be trained from: -student and -bge name them", c.name)
	}
	begin := time.Now()
	r := &trained{Cell: c.String(), Settings: trainSettings(&b.p.settings, c), Start: filepath.Base(dir)}
	defer func() {
		var errSpend error
		if r.Cost, errSpend = b.p.spend(c, cost{Seconds: time.Since(begin).Seconds()}); err == nil {
			err = errSpend
		}
		if err == nil {
			err = writeJSON(b.p.path(c), r)
		}
	}()
	lists, err := b.trainingLists(ctx, &r.Funnel)
	if err != nil {
		return err
	}
	b.p.say("  %d lists", len(lists))
	r.Training, err = b.p.crossEncoders.train(ctx, trainingJob{
		start: dir, work: b.crossDir(c.name) + ".work", dir: b.crossDir(c.name), corpus: b.c.corpus, lists: lists,
		settings: &b.p.settings, log: b.p.log,
	})
	return err
}

// trainingLists makes a list of each synthetic query that finds its source among the first of BM25 and the student together: the
// source, and hard negatives of that ranking. Queries that equal a judged one are left out.
func (b *bench) trainingLists(ctx context.Context, funnel *distill.Funnel) ([]retort.List, error) {
	fusion, err := b.fusion(ctx)
	if err != nil {
		return nil, err
	}
	var generator generate.QueryGenerator
	if generator, err = b.extractive(ctx); b.p.settings.trainQueries != queriesExtractive && err == nil {
		generator, err = b.generator(ctx, b.p.settings.trainQueries)
	}
	if err != nil {
		return nil, err
	}
	m := distill.DefaultMiningOptions()
	m.MaxQueries, m.Seed = 2*b.p.settings.trainLists, b.p.settings.seed
	p := distill.Pipeline{
		Corpus: b.c.corpus, Generator: generator, Ranker: fusion, Mining: m,
		TestQueries: append(b.c.all.Queries[:len(b.c.all.Queries):len(b.c.all.Queries)], b.c.dev.Queries...),
	}
	queries, err := p.MakeQueries(ctx, funnel)
	if err != nil {
		return nil, err
	}
	return b.contrast(ctx, fusion, queries)
}

// roundTrip is how far down a query's source may stand.
const roundTrip = 20

// contrast returns up to as many lists as the settings say.
func (b *bench) contrast(ctx context.Context, ranker mine.Retriever, queries []retort.Query) ([]retort.List, error) {
	negatives := mine.HardNegatives{Count: trainList - 1, Seed: b.p.settings.seed}
	var lists []retort.List
	for chunk := range slices.Chunk(queries, 256) {
		rankings, err := ranker.Search(ctx, chunk, negativesDepth)
		if err != nil {
			return nil, err
		}
		for i, q := range chunk {
			source, _ := b.c.corpus.Index(q.Source)
			isSource := func(index int) bool { return index == source }
			found := slices.IndexFunc(rankings[i], func(h mine.Hit) bool { return h.Index == source })
			if found < 0 || found >= roundTrip {
				continue
			}
			list := retort.List{Query: q, IDs: []string{q.Source}, Weight: 1}
			for _, h := range negatives.Draw(q, rankings[i], isSource) {
				p, err := b.c.corpus.At(h.Index)
				if err != nil {
					return nil, err
				}
				list.IDs = append(list.IDs, p.ID)
			}
			if lists = append(lists, list); len(lists) == b.p.settings.trainLists {
				return lists, nil
			}
		}
	}
	return lists, nil
}
