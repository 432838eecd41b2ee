package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/mine"
)

// measureBlock is how many queries are measured at a time: an interruption loses no more. What a ranker computes may
// depend on it in the last bits, so a call that goes on keeps to the same blocks.
const measureBlock = 64

// measurement is one call of stages.Measure.
type measurement struct {
	*run
	progress func(done, total int)
	total    int
	have     int // records of an earlier call that are still to be passed over
	done     int
	out      func(any) error
}

// measureAll is stages.Measure.
func (r *run) measureAll(ctx context.Context, trained bool, have int, emit func(any) error) error {
	order, name := []string{results.BM25, results.Before, results.Teacher}, "measure before"
	if trained {
		order, name = []string{results.After}, "measure after"
	}
	m := &measurement{run: r, progress: r.events.stage(name), have: have, done: have, out: emit}
	for _, set := range r.measuredSets() {
		m.total += len(order) * len(set.Collection.Queries)
	}
	passages := 0 // whose held-out items test
	if r.held != nil {
		passages = len(r.held.Test.Sources())
		m.total += passages
	}
	m.progress(have, m.total)
	systems, err := m.systems(ctx, order)
	if err != nil {
		return err
	}
	for _, set := range r.measuredSets() {
		for _, system := range order {
			if err := m.system(ctx, set, system, systems[system]); err != nil {
				return err
			}
		}
	}
	if m.have >= passages {
		return nil
	}
	return m.heldOut(ctx, map[bool]string{false: results.Before, true: results.After}[trained])
}

func (m *measurement) systems(ctx context.Context, order []string) (map[string]mine.Retriever, error) {
	systems := map[string]mine.Retriever{results.BM25: m.bm25, results.Before: m.dense, results.Teacher: m.fusion}
	if m.Teacher != nil && m.target != nil {
		systems[results.Teacher] = reranker{m.fusion, m.target, m.corpus, rerankedDepth}
	}
	if !slices.Contains(order, results.After) || len(m.measuredSets()) == 0 {
		return systems, nil
	}
	dense, err := m.after(ctx)
	systems[results.After] = dense
	return systems, err
}

// emit passes over the records that are there.
func (m *measurement) emit(r results.Record) error {
	if m.have > 0 {
		m.have--
		return nil
	}
	m.done++
	m.progress(m.done, m.total)
	return m.out(r)
}

// system measures what a ranker finds for the queries of a set, in the order of their ids.
func (m *measurement) system(ctx context.Context, set Set, system string, ranker mine.Retriever) error {
	c := *set.Collection
	c.Queries = slices.SortedFunc(slices.Values(c.Queries),
		func(a, b retort.Query) int { return strings.Compare(a.ID, b.ID) })
	for block := range slices.Chunk(c.Queries, measureBlock) {
		if m.have >= len(block) {
			m.have -= len(block)
			continue
		}
		if err := m.block(ctx, set.Name, system, ranker, &c, block); err != nil {
			return err
		}
	}
	return nil
}

func (m *measurement) block(ctx context.Context, set, system string, ranker mine.Retriever, c *eval.Collection,
	block []retort.Query,
) error {
	of := *c
	of.Queries, of.Qrels = block, eval.Qrels{}
	for _, q := range block {
		of.Qrels[q.ID] = c.Qrels[q.ID]
	}
	var vectors *nested
	if dense, ok := ranker.(*mine.Dense); ok {
		var err error
		if vectors, err = encodeNested(ctx, dense, block); err != nil {
			return err
		}
		ranker = vectors
	}
	run, report, err := measure(ctx, ranker, &of)
	if err != nil {
		return err
	}
	records := make([]results.Record, len(report.Queries))
	for i, query := range report.Queries {
		r := results.Record{Set: set, System: system, Query: query, Metrics: results.Metrics{}, Top: []string{}}
		for m, name := range report.Metrics {
			r.Metrics[name] = report.Values[m][i]
		}
		for _, h := range run[query][:min(topKept, len(run[query]))] {
			r.Top = append(r.Top, h.ID)
		}
		records[i] = r
	}
	if vectors != nil {
		if err := m.addNarrow(ctx, records, vectors, &of); err != nil {
			return err
		}
	}
	for _, r := range records {
		if err := m.emit(r); err != nil {
			return err
		}
	}
	return nil
}

// addNarrow adds the metrics at narrower widths. The records are in the order of their queries' ids.
func (m *measurement) addNarrow(ctx context.Context, records []results.Record, vectors *nested, c *eval.Collection) error {
	for _, width := range m.narrow() {
		ranker, err := vectors.at(width)
		if err != nil {
			return err
		}
		_, report, err := measure(ctx, ranker, c)
		if err != nil {
			return err
		}
		for at, metric := range measuredMetrics() {
			for i := range records {
				records[i].Metrics[metricAt(metric, width).Name] = report.Values[at][i]
			}
		}
	}
	return nil
}

// heldOut measures the held-out items that test, which are few, in one piece. It makes one record a passage, as the significance
// test counts: its first item, with the mean of all.
func (m *measurement) heldOut(ctx context.Context, system string) error {
	collection, err := m.held.Test.Collection()
	if err != nil {
		return err
	}
	queries, passages, err := m.held.Test.encode(ctx, m.student)
	if err != nil {
		return err
	}
	rankings, err := searchAt(ctx, queries, passages, queries.Cols)
	if err != nil {
		return err
	}
	metric := eval.MRR(10)
	values := map[string][]float64{metric.Name: m.held.Test.ranksOf(rankings)}
	for _, width := range m.narrow() {
		narrow, err := searchAt(ctx, queries, passages, width)
		if err != nil {
			return err
		}
		values[metricAt(metric, width).Name] = m.held.Test.ranksOf(narrow)
	}
	record := -1
	seen := map[string]bool{}
	for i, q := range collection.Queries {
		if seen[q.Source] {
			continue
		}
		seen[q.Source] = true
		record++
		r := results.Record{Set: setHeldOut, System: system, Query: q.ID, Metrics: results.Metrics{}, Top: []string{}}
		for name, of := range values {
			r.Metrics[name] = of[record]
		}
		for _, h := range rankings[i] {
			p, err := collection.Corpus.At(h.Index)
			if err != nil {
				return err
			}
			r.Top = append(r.Top, p.ID)
		}
		if err := m.emit(r); err != nil {
			return err
		}
	}
	return nil
}

// The names of sets of queries in evaluate.jsonl that are not the caller's.
const (
	setJudged  = "judged"
	setHeldOut = "held-out items"
)

// rerankedDepth is how many passages of a ranking a teacher of one's own choice puts in its order where it is measured.
const rerankedDepth = 50

// topKept is how many passages of a ranking are kept beside its metrics.
const topKept = 10

func (s Set) title() string { return cmp.Or(s.Title, s.Name) }

// measuredSets are those of the recipe, or the judged queries.
func (r *run) measuredSets() []Set {
	if r.Measured == nil && r.Judged != nil {
		return []Set{{Name: setJudged, Title: "your judged queries", Collection: r.Judged}}
	}
	return r.Measured
}

// hashSets stands for what the student is measured on.
func (r *run) hashSets() (string, error) {
	h := sha256.New()
	for _, set := range r.measuredSets() {
		hash, err := hashCollection(set.Collection)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %s\n", set.Name, hash)
	}
	if r.held != nil {
		fmt.Fprintf(h, "held-out items %s\n", r.held.Fingerprint())
	}
	if r.Teacher != nil && r.target != nil {
		fmt.Fprintf(h, "teacher %s\n", fingerprint(r.teacher))
	}
	if len(r.Widths) > 0 {
		fmt.Fprintf(h, "widths %v\n", r.Widths)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// after is the student as it is now over the whole corpus.
func (r *run) after(ctx context.Context) (*mine.Dense, error) {
	if r.Towers == distill.QueryOnly {
		return mine.NewDenseVectors(r.student, r.dense.Vectors())
	}
	return mine.NewDense(ctx, r.student, r.corpus, r.events.stage(stageEncode))
}

// measure ranks the collection's passages for its queries.
func measure(ctx context.Context, ranker mine.Retriever, c *eval.Collection) (eval.Run, *eval.Report, error) {
	run, err := Rank(ctx, ranker, c, nil)
	if err != nil {
		return nil, nil, err
	}
	report, err := eval.Evaluate(c.Qrels, run, measuredMetrics()...)
	return run, report, err
}
