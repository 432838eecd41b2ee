package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
)

// row is a step that is measured.
type row struct {
	Model            string  `json:"model,omitempty"` // folder; empty: random weights of Shape
	Shape            string  `json:"shape"`
	Queries          int     `json:"queries"`
	List             int     `json:"list"`   // passages of a list
	Tokens           int     `json:"tokens"` // of a passage, or of the longest
	Mixed            bool    `json:"mixed"`  // passages have all lengths from an eighth of Tokens to Tokens
	Distinct         float64 `json:"distinct"`
	Steps            int     `json:"steps"` // measured
	Precision        string  `json:"precision"`
	Loss             string  `json:"loss"`
	GraphBudget      int64   `json:"graph_budget"` // distill.Memory.GraphBudget
	MicroBatchTokens int     `json:"micro_batch_tokens"`
	Threads          int     `json:"threads"`
	Device           string  `json:"device"`

	label string // of what the table varies
}

// The shapes of random models.
var shapes = map[string]encodernet.Config{
	"MiniLM":   {HiddenSize: 384, Layers: 6, Heads: 12, IntermediateSize: 1536, VocabSize: 30522},
	"2x64":     {HiddenSize: 64, Layers: 2, Heads: 2, IntermediateSize: 256, VocabSize: 4096},
	"bge-base": {HiddenSize: 768, Layers: 12, Heads: 12, IntermediateSize: 3072, VocabSize: 30522},
}

// table varies one thing.
type table struct {
	name, title, varies string
	rows                func(base row) []row
}

const (
	noGraphs  = -1
	allGraphs = math.MaxInt64
)

var tables = []table{
	{"queries", "queries of a step", "queries", func(base row) []row { return vary(base, setQueries, 32, 64, 128) }},
	{"small", "queries of a step, a model of 2 layers of 64", "queries", func(base row) []row {
		base.Shape, base.Model, base.Tokens = "2x64", "", min(base.Tokens, 32)
		return vary(base, setQueries, 32, 128, 512, 2048, 4096)
	}},
	{"list", "length of the lists", "passages", func(base row) []row {
		return vary(base, func(r *row, n int) { r.List = n }, 8, 20, 50, 100)
	}},
	{"tokens", "length of the passages", "tokens", func(base row) []row {
		rows := vary(base, func(r *row, n int) { r.Tokens = n }, 32, 64, 128, 256)
		mixed := rows[len(rows)-1]
		mixed.Mixed, mixed.label = true, fmt.Sprintf("%d to %d", mixed.Tokens/8, mixed.Tokens)
		return append(rows, mixed)
	}},
	{"distinct", "share of distinct passages", "share", func(base row) []row {
		return vary(base, func(r *row, percent int) { r.Distinct = float64(percent) / 100 }, 100, 50, 25, 10)
	}},
	{"graphs", "graphs that are kept (GraphBudget)", "kept", func(base row) []row {
		rows := slices.Repeat([]row{base}, 3)
		rows[0].GraphBudget, rows[0].label = noGraphs, "none"
		rows[1].label = "as chosen"
		rows[2].GraphBudget, rows[2].label = allGraphs, "all"
		return rows
	}},
	{"precision", "precision", "precision", func(base row) []row {
		rows := slices.Repeat([]row{base}, 2)
		rows[0].Precision, rows[0].label = "fp32", "fp32"
		rows[1].Precision, rows[1].label = "bf16", "bf16"
		return rows
	}},
	{"bge-base", "queries of a step, bge-base's shape; meant for a GPU", "queries", func(base row) []row {
		base.Shape, base.Model = "bge-base", ""
		return vary(base, setQueries, 256, 1024, 4096)
	}},
}

func setQueries(r *row, n int) { r.Queries = n }

func vary(base row, set func(*row, int), values ...int) []row {
	rows := make([]row, len(values))
	for i, v := range values {
		rows[i] = base
		set(&rows[i], v)
		rows[i].label = fmt.Sprint(v)
	}
	return rows
}

func tableNames() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

func findTables(names string) ([]table, error) {
	var found []table
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(tables, func(t table) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-tables has %q, want %s", name, strings.Join(tableNames(), ", "))
		}
		found = append(found, tables[i])
	}
	return found, nil
}
