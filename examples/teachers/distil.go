package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
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
	p := distill.Pipeline{
		Student: student, Corpus: b.c.corpus, Generator: generator, Ranker: fusion, Teacher: t,
		Vectors: b.dense[encoderStudent].Vectors(), TestQueries: b.c.all.Queries,
		Mining: b.mining(c), Training: b.training(), Measure: measure, Folder: folder,
		Versions: map[distill.Stage]string{
			distill.StageScore: fmt.Sprint(r.Teacher, r.Members), distill.StageBefore: b.c.all.Split, distill.StageEvaluate: b.c.all.Split,
		},
		Progress: b.showStages(),
	}
	return p.Run(ctx)
}

// target returns what the student is to learn beside what it knows: BM25, or the teacher that the cell names. A member that
// is the student itself is left out, since the target is its own similarities and what the teacher adds to them.
func (b *bench) target(ctx context.Context, c cell, r *distilled) (teacher.Teacher, error) {
	r.Teacher = teacherBM25
	var err error
	switch {
	case strings.HasPrefix(c.name, distilBest) && c.name != teacherBest:
		r.Teacher, err = b.nthBest(strings.TrimPrefix(c.name, distilBest))
	case c.name != distilDefault && !strings.HasPrefix(c.name, distilQueries):
		r.Teacher = c.name
	}
	if err != nil {
		return nil, err
	}
	switch r.Teacher {
	case encoderStudent:
		return nil, errors.New("the student cannot learn from itself")
	case teacherEnsemble:
		r.Members = []weighted{{teacherBM25, 1}, {encoderStudent, 1}}
	case teacherBest:
		best, err := b.chooseBest(ctx)
		if err != nil {
			return nil, err
		}
		r.Members = slices.Clone(best.Members)
	default:
		return b.teacher(ctx, r.Teacher)
	}
	r.Members = slices.DeleteFunc(r.Members, func(m weighted) bool { return m.Teacher == encoderStudent })
	if len(r.Members) == 0 {
		return nil, fmt.Errorf("%s holds nothing but the student", r.Teacher)
	}
	return b.ensemble(ctx, r.Members)
}

// nthBest names the n-th best teacher, from 1, by their dev queries. The student is none. BM25 is what the ensemble of both
// teaches, and the likelihood has seen other lists than the rest.
func (b *bench) nthBest(n string) (string, error) {
	place, err := strconv.Atoi(n)
	if err != nil || place < 1 {
		return "", fmt.Errorf("best-%s: want best-1, best-2 ...", n)
	}
	var all []*ranked
	names := map[*ranked]string{}
	for _, k := range b.p.teachers() {
		if slices.Contains([]string{encoderStudent, teacherBM25, teacherSmolLM2}, k.name) {
			continue
		}
		c := cell{kindDev, b.c.name, k.name}
		r, err := b.p.readRanked(c)
		if err != nil {
			return "", err
		}
		if r == nil {
			return "", fmt.Errorf("run the cell %s first: the best teachers are chosen by their dev queries", c)
		}
		all, names[r] = append(all, r), k.name
	}
	slices.SortStableFunc(all, func(x, y *ranked) int { return cmp.Compare(y.Mean, x.Mean) })
	if place > len(all) {
		return "", fmt.Errorf("best-%s: there are %d teachers", n, len(all))
	}
	return names[all[place-1]], nil
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
func (b *bench) mining(c cell) distill.MiningOptions {
	m := distill.DefaultMiningOptions()
	m.Seed = b.p.settings.seed
	if c.name == distilDefault {
		return m
	}
	m.MaxLists, m.Top, m.Depth = b.p.settings.lists, b.p.settings.listDepth, max(b.p.settings.listDepth, m.RoundTrip)
	return m
}

// training is that of "retort distill": the query side, one epoch. The last student is taken, whatever the guard would say, so
// that the table shows what training does.
func (b *bench) training() distill.Options {
	o := distill.DefaultOptions()
	o.Towers, o.Epochs, o.QueriesPerStep, o.DevFraction, o.Seed = distill.QueryOnly, 1, 64, 0, b.p.settings.seed
	return o
}

// observation is a record of what was measured.
type observation struct {
	Trained bool    `json:"trained"`
	Known   bool    `json:"known"` // a known item's reciprocal rank; otherwise a test query's nDCG@10
	Query   string  `json:"query"`
	Value   float64 `json:"value"`
}

// measure returns what measures a student on the test queries, and on known items of a type that is not trained on.
func (b *bench) measure(ctx context.Context, student model) (func(context.Context, bool, func(any) error) error, error) {
	others, err := generate.NewExtractive(ctx, b.c.corpus, generate.Options{Types: []string{generate.TypeKeywords}, Seed: b.p.settings.seed})
	if err != nil {
		return nil, err
	}
	known, err := distill.HoldOut(ctx, b.c.corpus, others, 1000, b.p.settings.seed, true)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, trained bool, emit func(any) error) error {
		queries, values, err := b.judge(ctx, student)
		if err != nil {
			return err
		}
		for i, id := range queries {
			if err := emit(observation{trained, false, id, values[i]}); err != nil {
				return err
			}
		}
		if values, err = known.ReciprocalRanks(ctx, student); err != nil {
			return err
		}
		for i, v := range values {
			if err := emit(observation{trained, true, strconv.Itoa(i), v}); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// judge searches the whole corpus for the test queries. The passages' vectors are those of the untouched student, which
// training does not change.
func (b *bench) judge(ctx context.Context, student encoder.Encoder) ([]string, []float64, error) {
	index, err := mine.NewDenseVectors(student, b.dense[encoderStudent].Vectors())
	if err != nil {
		return nil, nil, err
	}
	rankings, err := index.Search(ctx, b.c.all.Queries, 100)
	if err != nil {
		return nil, nil, err
	}
	run := eval.Run{}
	for i, q := range b.c.all.Queries {
		if run[q.ID], err = hits(b.c.corpus, rankings[i]); err != nil {
			return nil, nil, err
		}
	}
	report, err := eval.Evaluate(b.c.all.Qrels, run, metric)
	if err != nil {
		return nil, nil, err
	}
	return report.Queries, report.Of(metric), nil
}

func hits(corpus retort.Corpus, ranking []mine.Hit) ([]eval.Hit, error) {
	out := make([]eval.Hit, len(ranking))
	for i, h := range ranking {
		p, err := corpus.At(h.Index)
		if err != nil {
			return nil, err
		}
		out[i] = eval.Hit{ID: p.ID, Score: h.Score}
	}
	return out, nil
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
