package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
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
	// train trains one from the bi-encoder in the folder start and saves it to dir. What it has done when ctx ends, or the
	// process, is kept in work, where the same call goes on.
	train(ctx context.Context, job trainingJob) (*training, error)
}

// trainingJob is what a cross-encoder is trained on.
type trainingJob struct {
	start, work, dir string
	corpus           retort.Corpus
	lists            []retort.List // with scores to be learnt, or else of the query's source and hard negatives
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
	Funnel   pipeline.Funnel   `json:"funnel"`
	Training *training         `json:"training"`
	Cost     cost              `json:"cost"`
}

// What a cross-encoder learns of its lists.
const (
	learnPositives = "positives" // that the source stands above the others
	learnScores    = "scores"    // those of several teachers together
)

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
	Metric         string  `json:"metric"`    // of the held-out lists: nDCG@10 of the source, or the KL divergence from the scores
	Before         float64 `json:"before"`
	After          float64 `json:"after"`
}

// trainList is how many passages a cross-encoder's list has without scores: the source and hard negatives.
const trainList = 8

// negativesDepth reaches as far as the hard negatives of mine.HardNegatives, with the source among them.
const negativesDepth = 31

func trainSettings(s *settings, _ cell) map[string]string {
	m := s.ranking()
	m["train-lists"], m["train-queries"], m["train-learn"] = strconv.Itoa(s.trainLists), s.trainQueries, s.trainLearn
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
		return fmt.Errorf("no initial model for cross-encoder %q: give -student or -bge", c.name)
	}
	begin, work := time.Now(), b.crossDir(c.name)+".work"
	r := &trained{Cell: c.String(), Settings: trainSettings(&b.p.settings, c), Start: filepath.Base(dir)}
	defer func() {
		var errSpend error
		if r.Cost, errSpend = b.p.spend(c, cost{Seconds: time.Since(begin).Seconds()}); err == nil {
			err = errSpend
		}
		if err == nil {
			err = writeJSON(b.p.path(c), r)
		}
		if err == nil {
			err = os.RemoveAll(work) // checkpoints, several times as large as the model
		}
	}()
	lists, err := b.trainingLists(ctx, &r.Funnel)
	if err != nil {
		return err
	}
	b.p.say("  %d lists", len(lists))
	r.Training, err = b.p.crossEncoders.train(ctx, trainingJob{
		start: dir, work: work, dir: b.crossDir(c.name), corpus: b.c.corpus, lists: lists,
		settings: &b.p.settings, log: b.p.log,
	})
	return err
}

// trainingLists makes a list of each synthetic query that finds its source among the first of BM25 and the student
// together. Queries that equal a judged one are left out.
func (b *bench) trainingLists(ctx context.Context, funnel *pipeline.Funnel) ([]retort.List, error) {
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
	m := pipeline.DefaultMining(distill.QueryOnly)
	m.MaxQueries = 2 * b.p.settings.trainLists
	queries, made, err := pipeline.MakeQueries(ctx, b.c.corpus, pipeline.Recipe{
		Generator: generator, Mining: m, Seed: b.p.settings.seed,
		TestQueries: append(b.c.all.Queries[:len(b.c.all.Queries):len(b.c.all.Queries)], b.c.dev.Queries...),
	})
	*funnel = made
	if err != nil {
		return nil, err
	}
	if b.p.settings.trainLearn == learnPositives {
		return b.contrast(ctx, fusion, queries)
	}
	return b.scored(ctx, fusion, queries)
}

// roundTrip is how far down a query's source may stand.
const roundTrip = 20

// contrast returns lists of the source and hard negatives.
func (b *bench) contrast(ctx context.Context, ranker mine.Retriever, queries []retort.Query) ([]retort.List, error) {
	negatives := mine.HardNegatives{Count: trainList - 1, Seed: b.p.settings.seed}
	var lists []retort.List
	for found, err := range b.found(ctx, ranker, queries) {
		if err != nil {
			return nil, err
		}
		source, _ := b.c.corpus.Index(found.query.Source)
		hits := negatives.Draw(found.query, found.ranking, func(index int) bool { return index == source })
		work, err := b.workOf(found.query, hits)
		if err != nil {
			return nil, err
		}
		list := retort.List{Query: found.query, IDs: []string{found.query.Source}, Weight: 1}
		for _, p := range work.Passages {
			list.IDs = append(list.IDs, p.ID)
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// scored returns the first of each ranking with the scores of BM25, the student and bge-small, where it is given,
// together.
func (b *bench) scored(ctx context.Context, ranker mine.Retriever, queries []retort.Query) ([]retort.List, error) {
	members := []weighted{{teacherBM25, 1}, {encoderStudent, 1}}
	if b.p.settings.bge != "" {
		members = append(members, weighted{encoderBGE, 1})
	}
	ensemble, err := b.ensemble(ctx, members)
	if err != nil {
		return nil, err
	}
	var work []teacher.Work
	for found, err := range b.found(ctx, ranker, queries) {
		if err != nil {
			return nil, err
		}
		w, err := b.workOf(found.query, found.ranking)
		if err != nil {
			return nil, err
		}
		work = append(work, w)
	}
	var lists []retort.List
	for w, scored := range teacher.ScoreAll(ctx, ensemble, each(work), 1) {
		if scored.Err != nil {
			return nil, scored.Err
		}
		list := retort.List{Query: w.Query, Scores: scored.Scores, Weight: 1}
		for _, p := range w.Passages {
			list.IDs = append(list.IDs, p.ID)
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// foundSource is a query that finds its source.
type foundSource struct {
	query   retort.Query
	ranking []mine.Hit // its first negativesDepth
}

// found yields the queries that find their source, up to as many as the settings say.
func (b *bench) found(
	ctx context.Context, ranker mine.Retriever, queries []retort.Query,
) iter.Seq2[foundSource, error] {
	return func(yield func(foundSource, error) bool) {
		left := b.p.settings.trainLists
		for chunk := range slices.Chunk(queries, 256) {
			rankings, err := ranker.Search(ctx, chunk, negativesDepth)
			if err != nil {
				yield(foundSource{}, err)
				return
			}
			for i, q := range chunk {
				source, _ := b.c.corpus.Index(q.Source)
				rank := slices.IndexFunc(rankings[i], func(h mine.Hit) bool { return h.Index == source })
				if rank < 0 || rank >= roundTrip {
					continue
				}
				if left--; !yield(foundSource{q, rankings[i]}, nil) || left == 0 {
					return
				}
			}
		}
	}
}

// workOf reads the passages of hits.
func (b *bench) workOf(q retort.Query, hits []mine.Hit) (teacher.Work, error) {
	work := teacher.Work{Query: q}
	for _, h := range hits {
		p, err := b.c.corpus.At(h.Index)
		if err != nil {
			return work, err
		}
		work.Passages = append(work.Passages, p)
	}
	return work, nil
}
