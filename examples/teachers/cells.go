package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// cell is one figure, or one model, to be made.
type cell struct{ kind, collection, name string }

func (c cell) String() string { return c.kind + "/" + c.collection + "/" + c.name }

// The kinds of cell.
const (
	kindDev     = "dev"
	kindRank    = "rank"
	kindTrain   = "train-teacher"
	kindQueries = "queries"
	kindDistil  = "distil"
)

// kind says how cells of a kind are made, and which settings stand in their files.
type kind struct {
	work     func(ctx context.Context, b *bench, c cell) error
	settings func(s *settings, c cell) map[string]string
}

// kinds is filled in init, since the cells that need others look them up here.
var kinds map[string]kind

func init() {
	kinds = map[string]kind{
		kindDev:     {rankCell, rankSettings},
		kindRank:    {rankCell, rankSettings},
		kindTrain:   {trainCell, trainSettings},
		kindQueries: {queriesCell, queriesSettings},
		kindDistil:  {distilCell, distilSettings},
	}
}

func parseCell(name string) (cell, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 || slices.Contains(parts, "") || slices.Contains(parts, "..") {
		return cell{}, fmt.Errorf("cell is %q, want KIND/COLLECTION/NAME", name)
	}
	c := cell{parts[0], parts[1], parts[2]}
	if _, ok := kinds[c.kind]; !ok {
		return cell{}, fmt.Errorf("unknown kind of cell %q", c.kind)
	}
	return c, nil
}

// plan returns all cells that can be made with the models that are given, each after those that it needs.
func (p *program) plan() []cell {
	var cells []cell
	for _, collection := range splitNames(p.settings.names) {
		distils := slices.Contains(splitNames(p.settings.distilled), collection)
		if p.settings.llm != "" && (distils || p.settings.trainQueries != queriesExtractive) {
			cells = append(cells, cell{kindQueries, collection, teacherSmolLM2})
		}
		for _, start := range crossEncoderStarts {
			if p.settings.dir(start.encoder) != "" {
				cells = append(cells, cell{kindTrain, collection, start.name})
			}
		}
		for _, t := range p.teachers() {
			cells = append(cells, cell{kindDev, collection, t.name}, cell{kindRank, collection, t.name})
		}
		if !distils {
			continue
		}
		for _, name := range p.distilNames() {
			extractive := name == distilQueries+queriesExtractive || !strings.HasPrefix(name, distilQueries)
			if extractive || p.settings.llm != "" {
				cells = append(cells, cell{kindDistil, collection, name})
			}
		}
	}
	return cells
}

// distilNames are those of the planned distil cells of a collection, in the order of the table.
func (p *program) distilNames() []string {
	names := []string{distilDefault}
	for i := range bestTeachers {
		names = append(names, fmt.Sprintf("%s%d", distilBest, i+1))
	}
	return append(names, distilQueries+queriesExtractive, distilQueries+queriesLLM, distilQueries+queriesFew,
		distilQueries+queriesMixed)
}

// path is that of the cell's result.
func (p *program) path(c cell) string {
	return filepath.Join(p.folder, "cells", c.kind, c.collection, c.name+".json")
}

// done says whether the cell's result is there. One of other settings is an error.
func (p *program) done(c cell) (bool, error) {
	var had struct {
		Settings map[string]string `json:"settings"`
	}
	ok, err := readJSON(p.path(c), &had)
	if !ok || err != nil {
		return false, err
	}
	want := kinds[c.kind].settings(&p.settings, c)
	for _, name := range sortedKeys(want) {
		if had.Settings[name] != want[name] {
			return false, fmt.Errorf("was made with -%s %s, not %s: remove %s to make it again, or name another -folder",
				name, had.Settings[name], want[name], p.path(c))
		}
	}
	return true, nil
}
