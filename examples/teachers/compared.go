package main

import (
	"context"
	"fmt"
	"io"

	"github.com/retort-ir/retort/eval"
)

// paired are the figures of two sides for the same queries.
type paired struct {
	collection       string
	without, with    []float64
	withName, toName string
}

// teachersTogether sets the best ensemble beside BM25 and the student over the queries of all collections.
func (p *program) teachersTogether(ctx context.Context, w io.Writer) error {
	var rows []paired
	for _, name := range splitNames(p.settings.names) {
		r, err := p.readRanked(cell{kindRank, name, teacherBest})
		if err != nil {
			return err
		}
		if r != nil {
			rows = append(rows, paired{name, r.Reference, r.NDCG, teacherBest, teacherEnsemble})
		}
	}
	return comparedTable(ctx, w, [][]paired{rows})
}

// comparedStudents are pairs of distil cells of which a difference between the two is asked.
var comparedStudents = [][2]string{
	{distilQueries + queriesMixed, distilQueries + queriesExtractive},
	{distilQueries + queriesLLM, distilQueries + queriesExtractive},
	{distilQueries + queriesLLM, distilQueries + queriesFew},
	{distilBest + "1", distilBest + "2"},
}

// studentsCompared sets students beside each other, not beside the untouched one.
func (p *program) studentsCompared(ctx context.Context, w io.Writer) error {
	var tables [][]paired
	for _, names := range comparedStudents {
		var rows []paired
		for _, collection := range splitNames(p.settings.names) {
			with, err := p.readDistilled(cell{kindDistil, collection, names[0]})
			if err != nil {
				return err
			}
			without, err := p.readDistilled(cell{kindDistil, collection, names[1]})
			if err != nil {
				return err
			}
			if with != nil && without != nil {
				rows = append(rows, paired{collection, without.After, with.After, names[0], names[1]})
			}
		}
		tables = append(tables, rows)
	}
	return comparedTable(ctx, w, tables)
}

// comparedTable writes a row a collection, and one of the queries of all where there are several.
func comparedTable(ctx context.Context, w io.Writer, tables [][]paired) error {
	var lines []string
	for _, rows := range tables {
		if len(rows) > 1 {
			all := paired{collection: "all", withName: rows[0].withName, toName: rows[0].toName}
			for _, r := range rows {
				all.without, all.with = append(all.without, r.without...), append(all.with, r.with...)
			}
			rows = append(rows, all)
		}
		for _, r := range rows {
			c, err := eval.Paired(ctx, r.without, r.with, 1)
			if err != nil {
				return fmt.Errorf("%s against %s on %s: %w", r.withName, r.toName, r.collection, err)
			}
			lines = append(
				lines,
				fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s |", r.withName, r.toName, r.collection, len(r.with),
					signed(c.Delta), interval(c), pValue(c.P)),
			)
		}
	}
	return writeTable(w, lines, "| this | against | collection | queries | difference in nDCG@10 | 95% interval | p |",
		"|---|---|---|---|---|---|---|")
}
