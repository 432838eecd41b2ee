package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
)

// The names of distil cells, besides those of the teachers.
const (
	distilDefault = "default"  // what "retort distill" does
	distilBest    = "best-"    // 1 is the teacher with the best dev queries, 2 the next
	distilQueries = "queries-" // and a kind of query
)

// bestTeachers is how many of the best teachers a student learns from, each alone.
const bestTeachers = 3

// distilled is the result of a distil cell.
type distilled struct {
	Cell        string            `json:"cell"`
	Settings    map[string]string `json:"settings"`
	Split       string            `json:"split"`
	Go          string            `json:"go,omitempty"`
	Teacher     string            `json:"teacher"`
	Members     []weighted        `json:"members,omitempty"` // of a teacher that is an ensemble, without the student
	KindOfQuery string            `json:"queries_kind"`
	Lists       int               `json:"lists"`
	ByType      map[string]int    `json:"lists_by_type"`
	Queries     []string          `json:"queries"`
	Before      []float64         `json:"before"` // nDCG@10, one a query
	After       []float64         `json:"after"`
	Difference  eval.Comparison   `json:"difference"`
	KnownItems  eval.Comparison   `json:"known_items"` // reciprocal ranks of generated queries: what a significance test would look at
	Cost        cost              `json:"cost"`
}

func distilSettings(s *settings, c cell) map[string]string {
	m := s.ranking()
	if c.name == distilDefault {
		return m
	}
	m["lists"], m["list-depth"] = strconv.Itoa(s.lists), strconv.Itoa(s.listDepth)
	if strings.HasPrefix(c.name, distilQueries) {
		m["llm-passages"] = strconv.Itoa(s.llmPassages)
	}
	if strings.HasPrefix(c.name, distilBest) {
		m["members"] = s.members
	}
	return m
}

// distilCell trains a copy of the student and measures it before and after, on every test query of the collection.
func distilCell(ctx context.Context, b *bench, c cell) (err error) {
	r := &distilled{Cell: c.String(), Settings: distilSettings(&b.p.settings, c), Split: b.c.all.Split, Go: b.c.version}
	start := time.Now()
	defer func() {
		if err != nil {
			_, errSpend := b.p.spend(c, cost{Seconds: time.Since(start).Seconds()})
			err = errors.Join(err, errSpend)
		}
	}()
	out, err := b.distil(ctx, c, r)
	if err != nil {
		return err
	}
	r.Lists, r.ByType = out.Funnel.Lists, out.Funnel.ByType
	if r.Cost, err = b.p.spend(c, cost{Seconds: time.Since(start).Seconds()}); err != nil {
		return err
	}
	b.p.say("  learnt from %s: nDCG@10 %+.4f, p %.2g", r.Teacher, r.Difference.Delta, r.Difference.P)
	return writeJSON(b.p.path(c), r)
}

// distil runs the pipeline in a folder of the cell, where it goes on after it was cut off.
func (b *bench) distil(ctx context.Context, c cell, r *distilled) (_ *pipeline.Outcome, err error) {
	t, err := b.target(ctx, c, r)
	if err != nil {
		return nil, err
	}
	generator, err := b.generatorOf(ctx, c, r)
	if err != nil {
		return nil, err
	}
	if _, err := b.fusion(ctx); err != nil { // which encodes the passages
		return nil, err
	}
	student, err := b.openEncoder(ctx, encoderStudent) // another than the one that makes the candidates
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, student.Close()) }()
	items, err := b.heldOutItems(ctx)
	if err != nil {
		return nil, err
	}
	before, err := reciprocalRanks(ctx, student, items)
	if err != nil {
		return nil, err
	}
	mining, err := b.mining(c)
	if err != nil {
		return nil, err
	}
	out, err := pipeline.Specialise(ctx, student, b.c.corpus, pipeline.Recipe{
		Folder: filepath.Join(b.p.folder, "distil", c.collection, c.name), Seed: b.p.settings.seed,
		Generator: generator, Teacher: t, Vectors: b.dense[encoderStudent].Vectors(), Mining: mining,
		Measured: []pipeline.Set{{Name: b.c.all.Split, Collection: &eval.Collection{
			Corpus: b.c.corpus, Queries: b.c.all.Queries, Qrels: b.c.all.Qrels,
		}}},
		TeacherCheck: pipeline.TeacherCheck{Queries: -1}, KeepLast: true, // the table shows what training does
		Events: b.showStages(),
	})
	if err != nil {
		return nil, err
	}
	r.read(out.Report[0])
	after, err := reciprocalRanks(ctx, student, items)
	if err != nil {
		return nil, err
	}
	r.KnownItems, err = eval.Compare(ctx, before, after, eval.MRR(10), 1)
	return out, err
}

// generatorOf returns the extractive queries of "retort distill", or the kind that the cell names.
func (b *bench) generatorOf(ctx context.Context, c cell, r *distilled) (generate.QueryGenerator, error) {
	kind, named := strings.CutPrefix(c.name, distilQueries)
	if !named {
		r.KindOfQuery = queriesExtractive
		return b.extractive(ctx)
	}
	r.KindOfQuery = kind
	return b.generator(ctx, kind)
}

// mining returns the library's defaults; but for the cell that shows these, with as many lists of as many passages as
// every teacher can score.
func (b *bench) mining(c cell) (pipeline.Mining, error) {
	m := pipeline.DefaultMining(distill.QueryOnly)
	if c.name == distilDefault {
		return m, nil
	}
	m.MaxLists, m.List.Top = b.p.settings.lists, b.p.settings.listDepth
	m.List.Depth = max(b.p.settings.listDepth, m.RoundTrip)
	if c.name != distilQueries+queriesFew {
		return m, nil
	}
	other := cell{kindDistil, c.collection, distilQueries + queriesLLM}
	r, err := b.p.readDistilled(other)
	if err == nil && r == nil {
		err = fmt.Errorf("run the cell %s first: this one has as many lists", other)
	}
	if err != nil {
		return m, err
	}
	m.MaxLists = r.Lists
	return m, nil
}

// read takes what was measured.
func (r *distilled) read(set pipeline.SetReport) {
	r.Queries, r.Before, r.After = set.Before.Queries, set.Before.Of(metric), set.After.Of(metric)
	r.Difference = set.Differences[metric.Name]
}

// showStages says when a stage of the pipeline ends.
func (b *bench) showStages() retort.Events {
	shown := map[string]bool{}
	return retort.Events{Stage: func(s retort.Stage) {
		if s.Done == s.Total && !shown[s.Name] {
			shown[s.Name] = true
			b.p.say("  %s: %d", s.Name, s.Total)
		}
	}}
}

func (p *program) readDistilled(c cell) (*distilled, error) {
	r := &distilled{}
	if ok, err := readJSON(p.path(c), r); !ok || err != nil {
		return nil, err
	}
	return r, nil
}
