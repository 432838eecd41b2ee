package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort/distill"
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
	KnownItems  eval.Comparison   `json:"known_items"` // reciprocal ranks of generated queries: what the guard would look at
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
	if err := r.read(ctx, out.Measured); err != nil {
		return err
	}
	if r.Cost, err = b.p.spend(c, cost{Seconds: time.Since(start).Seconds()}); err != nil {
		return err
	}
	b.p.say("  learnt from %s: nDCG@10 %+.4f, p %.2g", r.Teacher, r.Difference.Delta, r.Difference.P)
	return writeJSON(b.p.path(c), r)
}

// distil runs the pipeline in a folder of the cell, where it goes on after it was cut off.
func (b *bench) distil(ctx context.Context, c cell, r *distilled) (_ *distill.Outcome, err error) {
	t, err := b.target(ctx, c, r)
	if err != nil {
		return nil, err
	}
	generator, err := b.generatorOf(ctx, c, r)
	if err != nil {
		return nil, err
	}
	fusion, err := b.fusion(ctx)
	if err != nil {
		return nil, err
	}
	student, err := b.openEncoder(ctx, encoderStudent) // another than the one that makes the candidates
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, student.Close()) }()
	folder, err := distill.OpenFolder(ctx, filepath.Join(b.p.folder, "distil", c.collection, c.name),
		slog.New(slog.NewTextHandler(b.p.log, nil)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	measure, err := b.measure(ctx, student)
	if err != nil {
		return nil, err
	}
	mining, err := b.mining(c)
	if err != nil {
		return nil, err
	}
	p := distill.Pipeline{
		Student: student, Corpus: b.c.corpus, Generator: generator, Ranker: fusion, Teacher: t,
		Vectors: b.dense[encoderStudent].Vectors(), TestQueries: b.c.all.Queries,
		Mining: mining, Training: b.training(), Measure: measure, Folder: folder,
		Versions: map[distill.Stage]string{
			distill.StageScore: fmt.Sprint(r.Teacher, r.Members), distill.StageBefore: b.c.all.Split, distill.StageEvaluate: b.c.all.Split,
		},
		Progress: b.showStages(),
	}
	return p.Run(ctx)
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

// mining returns the library's defaults; but for the cell that shows these, with as many lists of as many passages as every
// teacher can score.
func (b *bench) mining(c cell) (distill.MiningOptions, error) {
	m := distill.DefaultMiningOptions()
	m.Seed = b.p.settings.seed
	if c.name == distilDefault {
		return m, nil
	}
	m.MaxLists, m.Top, m.Depth = b.p.settings.lists, b.p.settings.listDepth, max(b.p.settings.listDepth, m.RoundTrip)
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

// training is that of "retort distill": the query side, one epoch. The last student is taken, whatever the guard would say, so
// that the table shows what training does.
func (b *bench) training() distill.Options {
	o := distill.DefaultOptions()
	o.Towers, o.Schedule.Epochs, o.Schedule.QueriesPerStep, o.Selection.DevFraction, o.Schedule.Seed = distill.QueryOnly, 1, 64, 0, b.p.settings.seed
	return o
}

// read takes what was measured and compares before with after.
func (r *distilled) read(ctx context.Context, measured []json.RawMessage) error {
	var known [2][]float64
	for _, data := range measured {
		var o observation
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
		switch {
		case o.Known && o.Trained:
			known[1] = append(known[1], o.Value)
		case o.Known:
			known[0] = append(known[0], o.Value)
		case o.Trained:
			r.After = append(r.After, o.Value)
		default:
			r.Queries, r.Before = append(r.Queries, o.Query), append(r.Before, o.Value)
		}
	}
	var err error
	if r.Difference, err = eval.Paired(ctx, r.Before, r.After, 1); err != nil {
		return err
	}
	r.KnownItems, err = eval.Paired(ctx, known[0], known[1], 1)
	return err
}

// showStages says when a stage of the pipeline ends.
func (b *bench) showStages() func(distill.Stage, int, int) {
	shown := map[distill.Stage]bool{}
	return func(stage distill.Stage, done, total int) {
		if done == total && !shown[stage] {
			shown[stage] = true
			b.p.say("  %s: %d", stage, total)
		}
	}
}

func (p *program) readDistilled(c cell) (*distilled, error) {
	r := &distilled{}
	if ok, err := readJSON(p.path(c), r); !ok || err != nil {
		return nil, err
	}
	return r, nil
}
