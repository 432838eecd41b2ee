package main

import (
	"context"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/mine"
)

// measureBlock is how many queries are measured at a time: an interruption loses no more. What a ranker computes may
// depend on it in the last bits, so a call that goes on keeps to the same blocks.
const measureBlock = 64

// measurement is one call of distill.Pipeline.Measure.
type measurement struct {
	*specialisation
	stage *progress.Stage
	have  int // records of an earlier call that are still to be passed over
	done  int
	out   func(any) error
}

// measureAll is distill.Pipeline.Measure.
func (s *specialisation) measureAll(ctx context.Context, trained bool, have int, emit func(any) error) error {
	order, name := []string{results.BM25, results.Before, results.Teacher}, "measure before"
	if trained {
		order, name = []string{results.After}, "measure after"
	}
	total := 0
	for _, set := range s.measuredSets() {
		total += len(order) * len(set.collection.Queries)
	}
	passages := 0 // whose known items test
	if s.held != nil {
		passages = len(s.held.Test.Sources())
		total += passages
	}
	m := &measurement{specialisation: s, stage: s.progress.Stage(name, total), have: have, done: have, out: emit}
	defer m.stage.Done()
	m.stage.Skip(have)
	systems, err := m.systems(ctx, order)
	if err != nil {
		return err
	}
	for _, set := range s.measuredSets() {
		for _, system := range order {
			if err := m.system(ctx, set, system, systems[system]); err != nil {
				return err
			}
		}
	}
	if m.have >= passages {
		return nil
	}
	return m.known(ctx, map[bool]string{false: results.Before, true: results.After}[trained])
}

func (m *measurement) systems(ctx context.Context, order []string) (map[string]mine.Retriever, error) {
	systems := map[string]mine.Retriever{results.BM25: m.bm25, results.Before: m.dense, results.Teacher: m.fusion}
	if m.teacherBy.spec != "" && m.target != nil {
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
	m.stage.Set(m.done)
	return m.out(r)
}

// system measures what a ranker finds for the queries of a set, in the order of their ids.
func (m *measurement) system(ctx context.Context, set judgedSet, system string, ranker mine.Retriever) error {
	c := *set.collection
	c.Queries = slices.SortedFunc(slices.Values(c.Queries),
		func(a, b retort.Query) int { return strings.Compare(a.ID, b.ID) })
	for block := range slices.Chunk(c.Queries, measureBlock) {
		if m.have >= len(block) {
			m.have -= len(block)
			continue
		}
		if err := m.block(ctx, set.name, system, ranker, &c, block); err != nil {
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
	run, report, err := measure(ctx, ranker, &of)
	if err != nil {
		return err
	}
	for i, query := range report.Queries {
		r := results.Record{Set: set, System: system, Query: query, Metrics: results.Metrics{}, Top: []string{}}
		for m, name := range report.Metrics {
			r.Metrics[name] = report.Values[m][i]
		}
		for _, h := range run[query][:min(topKept, len(run[query]))] {
			r.Top = append(r.Top, h.ID)
		}
		if err := m.emit(r); err != nil {
			return err
		}
	}
	return nil
}

// known measures the known items that test, which are few, in one piece. It makes one record a passage, as the guard
// counts: its first item, with the mean of all.
func (m *measurement) known(ctx context.Context, system string) error {
	collection, err := m.held.Test.Collection()
	if err != nil {
		return err
	}
	rankings, err := m.held.Test.Search(ctx, m.model)
	if err != nil {
		return err
	}
	var records []results.Record
	var counts []float64
	at := map[string]int{} // of a source among the records
	metric := eval.MRR(10).Name
	for i, q := range collection.Queries {
		record, ok := at[q.Source]
		if !ok {
			record = len(records)
			at[q.Source] = record
			r := results.Record{Set: setKnown, System: system, Query: q.ID, Metrics: results.Metrics{metric: 0}, Top: []string{}}
			records, counts = append(records, r), append(counts, 0)
		}
		counts[record]++
		for rank, h := range rankings[i] {
			p, err := collection.Corpus.At(h.Index)
			if err != nil {
				return err
			}
			if records[record].Query == q.ID {
				records[record].Top = append(records[record].Top, p.ID)
			}
			if p.ID == q.Source {
				records[record].Metrics[metric] += 1 / float64(rank+1)
			}
		}
	}
	for i, r := range records {
		r.Metrics[metric] /= counts[i]
		if err := m.emit(r); err != nil {
			return err
		}
	}
	return nil
}
