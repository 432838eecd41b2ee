package main

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/teacher"
)

// metric is what every ranking is measured by.
var metric = eval.NDCG(10)

// ranked is the result of a dev or rank cell.
type ranked struct {
	Cell       string            `json:"cell"`
	Settings   map[string]string `json:"settings"`
	Split      string            `json:"split"` // where the queries are from
	Go         string            `json:"go,omitempty"`
	Queries    []string          `json:"queries"`
	NDCG       []float64         `json:"ndcg@10"`   // one a query
	Reference  []float64         `json:"reference"` // that of BM25 and the student together, over the same lists
	Mean       float64           `json:"mean"`
	Best       float64           `json:"best_possible"`    // mean of the best order of the lists
	Difference eval.Comparison   `json:"difference"`       // to the reference
	Chosen     *chosen           `json:"chosen,omitempty"` // of the best ensemble
	Cost       cost              `json:"cost"`             // zero for an ensemble, which takes what its members take
}

// rankSettings leave out the settings that have no effect on the teacher.
func rankSettings(s *settings, c cell) map[string]string {
	m := s.ranking()
	queries, depth := s.testQueries, s.depth
	if c.kind == kindDev {
		queries = s.devQueries
	}
	if c.name == teacherSmolLM2 {
		queries, depth = s.llmQueries, s.llmDepth
	}
	m["queries"], m["depth"] = strconv.Itoa(queries), strconv.Itoa(depth)
	if c.name == teacherBest {
		m["members"] = s.members
	}
	return m
}

// rankCell has a teacher score the candidates of the cell's queries, and measures the order that it puts them in.
func rankCell(ctx context.Context, b *bench, c cell) error {
	s := rankSettings(&b.p.settings, c)
	n, _ := strconv.Atoi(s["queries"])
	depth, _ := strconv.Atoi(s["depth"])
	from := b.c.test
	if c.kind == kindDev {
		from = b.c.dev
	}
	from = from.fixed(n)
	lists, err := b.candidates(ctx, from.Queries, depth)
	if err != nil {
		return err
	}
	scores, spent, err := b.score(ctx, c, lists)
	if err != nil {
		return err
	}
	reference, err := b.reference(ctx, lists)
	if err != nil {
		return err
	}
	r := &ranked{Cell: c.String(), Settings: s, Split: from.Split, Go: b.c.version, Cost: spent}
	if err := r.measure(ctx, from.Qrels, lists, scores, reference); err != nil {
		return err
	}
	if c.name == teacherBest {
		if r.Chosen, err = b.chooseBest(ctx); err != nil {
			return err
		}
	}
	b.p.say("  nDCG@10 %.4f, %+.4f against BM25 and the student together, p %.2g", r.Mean, r.Difference.Delta,
		r.Difference.P)
	return writeJSON(b.p.path(c), r)
}

// score returns the teacher's scores of every list, and what the cell took in all calls so far. What it has done when
// ctx ends is in the store.
func (b *bench) score(ctx context.Context, c cell, lists []teacher.Work) (scores [][]float64, spent cost, err error) {
	k, err := b.p.kindOf(c.name)
	if err != nil {
		return nil, cost{}, err
	}
	t, err := b.teacher(ctx, c.name)
	if err != nil {
		return nil, cost{}, err
	}
	meter := b.meter(c, k)
	defer func() {
		var errSpend error
		spent, errSpend = meter.spend()
		if err = errors.Join(err, errSpend); err != nil {
			b.p.say("  %d of %d lists are scored", len(scores), len(lists))
		}
	}()
	for _, s := range teacher.ScoreAll(ctx, t, each(lists), 1) {
		if s.Err != nil {
			return scores, cost{}, s.Err
		}
		scores = append(scores, s.Scores)
		if err := meter.count(len(s.Scores)); err != nil {
			return scores, cost{}, err
		}
	}
	return scores, cost{}, ctx.Err()
}

func each(lists []teacher.Work) iter.Seq2[teacher.Work, error] {
	return func(yield func(teacher.Work, error) bool) {
		for _, l := range lists {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// meter tells what scoring takes, and writes it down now and then, since a kill gives no warning.
type meter struct {
	b      *bench
	c      cell
	k      teacherKind
	start  time.Time
	stored int // scores in the store at the start
	pairs  int
}

func (b *bench) meter(c cell, k teacherKind) *meter {
	return &meter{b: b, c: c, k: k, start: time.Now(), stored: b.store.Len()}
}

// meterEvery is the time between two notes of what was spent.
const meterEvery = 10 * time.Second

func (m *meter) count(pairs int) error {
	m.pairs += pairs
	if time.Since(m.start) < meterEvery {
		return nil
	}
	_, err := m.spend()
	return err
}

// spend writes what has been spent since it was last called. Scores that the store had already cost nothing, and an
// ensemble costs what its members do.
func (m *meter) spend() (cost, error) {
	if m.k.ensemble {
		return cost{}, nil
	}
	spent := cost{Seconds: time.Since(m.start).Seconds(), Pairs: m.pairs}
	if m.k.cached {
		spent.Pairs = m.b.store.Len() - m.stored
	}
	m.start, m.stored, m.pairs = time.Now(), m.b.store.Len(), 0
	return m.b.p.spend(m.c, spent)
}

// reference scores the lists by BM25 and the student together.
func (b *bench) reference(ctx context.Context, lists []teacher.Work) ([][]float64, error) {
	t, err := b.teacher(ctx, teacherEnsemble)
	if err != nil {
		return nil, err
	}
	scores := make([][]float64, len(lists))
	for i, l := range lists {
		if scores[i], err = teacher.Score(ctx, t, l.Query, l.Passages); err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// measure fills in what the scores are worth.
func (r *ranked) measure(
	ctx context.Context, qrels eval.Qrels, lists []teacher.Work, scores, reference [][]float64,
) error {
	best := make([][]float64, len(lists))
	for i, l := range lists {
		of, _ := grades(qrels[l.Query.ID], l.Passages)
		best[i] = make([]float64, len(of))
		for j, grade := range of {
			best[i][j] = float64(grade)
		}
	}
	reports := map[string]*eval.Report{}
	for name, of := range map[string][][]float64{"teacher": scores, "reference": reference, "best": best} {
		var err error
		if reports[name], err = eval.Evaluate(qrels, runOf(lists, of), metric); err != nil {
			return err
		}
	}
	var err error
	if r.Difference, err = eval.Compare(ctx, reports["reference"], reports["teacher"], metric, 1); err != nil {
		return err
	}
	r.Queries, r.NDCG = reports["teacher"].Queries, reports["teacher"].Of(metric)
	r.Reference = reports["reference"].Of(metric)
	r.Mean, r.Best = reports["teacher"].Mean(metric), reports["best"].Mean(metric)
	return nil
}

// grades returns those of the passages, and those of the relevant passages that are not among them.
func grades(judged map[string]int, passages []retort.Passage) (of, missed []int) {
	listed := map[string]bool{}
	for _, p := range passages {
		of, listed[p.ID] = append(of, judged[p.ID]), true
	}
	for _, id := range sortedKeys(judged) {
		if !listed[id] && judged[id] > 0 {
			missed = append(missed, judged[id])
		}
	}
	return of, missed
}

func runOf(lists []teacher.Work, scores [][]float64) eval.Run {
	run := eval.Run{}
	for i, l := range lists {
		hits := make([]eval.Hit, len(l.Passages))
		for j, p := range l.Passages {
			hits[j] = eval.Hit{ID: p.ID, Score: float32(scores[i][j])}
		}
		run[l.Query.ID] = hits
	}
	return run
}

// readRanked returns the result of a dev or rank cell, nil where there is none.
func (p *program) readRanked(c cell) (*ranked, error) {
	r := &ranked{}
	if ok, err := readJSON(p.path(c), r); !ok || err != nil {
		return nil, err
	}
	return r, nil
}
