package main

import (
	"context"
	"iter"
	"strconv"
	"time"

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
	Best       float64           `json:"best_possible"` // mean of the best order of the lists
	Difference eval.Comparison   `json:"difference"`    // to the reference
	Members    []weighted        `json:"members,omitempty"`
	Cost       cost              `json:"cost"` // zero for an ensemble, which takes what its members take
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
		if r.Members, err = b.bestMembers(ctx); err != nil {
			return err
		}
	}
	b.p.say("  nDCG@10 %.4f, %+.4f against BM25 and the student together, p %.2g", r.Mean, r.Difference.Delta, r.Difference.P)
	return writeJSON(b.p.path(c), r)
}

// score returns the teacher's scores of every list, and what the cell took in all calls so far. What it has done when ctx
// ends is in the store.
func (b *bench) score(ctx context.Context, c cell, lists []teacher.Work) (scores [][]float64, spent cost, err error) {
	k, err := b.p.kindOf(c.name)
	if err != nil {
		return nil, cost{}, err
	}
	t, err := b.teacher(ctx, c.name)
	if err != nil {
		return nil, cost{}, err
	}
	meter := b.meter(k)
	defer func() {
		var errSpend error
		if spent, errSpend = b.p.spend(c, meter.read(scores)); err == nil {
			err = errSpend
		}
		if err != nil {
			b.p.say("  %d of %d lists are scored", len(scores), len(lists))
		}
	}()
	for _, s := range teacher.ScoreAll(ctx, t, each(lists), 1) {
		if s.Err != nil {
			return scores, cost{}, s.Err
		}
		scores = append(scores, s.Scores)
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

// meter tells what scoring takes.
type meter struct {
	b      *bench
	k      teacherKind
	start  time.Time
	stored int
}

func (b *bench) meter(k teacherKind) meter { return meter{b, k, time.Now(), b.store.Len()} }

// read counts the pairs that were computed: scores that the store had already cost nothing.
func (m meter) read(scores [][]float64) cost {
	if m.k.ensemble {
		return cost{}
	}
	spent := cost{Seconds: time.Since(m.start).Seconds()}
	if m.k.cached {
		spent.Pairs = m.b.store.Len() - m.stored
		return spent
	}
	for _, s := range scores {
		spent.Pairs += len(s)
	}
	return spent
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
func (r *ranked) measure(ctx context.Context, qrels eval.Qrels, lists []teacher.Work, scores, reference [][]float64) error {
	grades := make([][]float64, len(lists))
	for i, l := range lists {
		grades[i] = make([]float64, len(l.Passages))
		for j, p := range l.Passages {
			grades[i][j] = float64(qrels[l.Query.ID][p.ID])
		}
	}
	reports := map[string]*eval.Report{}
	for name, of := range map[string][][]float64{"teacher": scores, "reference": reference, "best": grades} {
		var err error
		if reports[name], err = eval.Evaluate(qrels, runOf(lists, of), metric); err != nil {
			return err
		}
	}
	var err error
	if r.Difference, err = eval.Compare(ctx, reports["reference"], reports["teacher"], metric, 1); err != nil {
		return err
	}
	r.Queries, r.NDCG, r.Reference = reports["teacher"].Queries, reports["teacher"].Of(metric), reports["reference"].Of(metric)
	r.Mean, r.Best = reports["teacher"].Mean(metric), reports["best"].Mean(metric)
	return nil
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
