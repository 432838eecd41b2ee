package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/torch"
)

// print measures and prints table by table and row by row, as they are done. run runs a job in a process of its own.
func (s settings) print(ctx context.Context, out io.Writer, run func(context.Context, job, any) error) error {
	if err := s.validate(); err != nil {
		return err
	}
	tables, err := findTables(s.tables)
	if err != nil {
		return err
	}
	s.base.Shape, s.base.Model, s.base.Distinct = "MiniLM", s.model, 1
	s.printMachine(out)
	peaks, err := s.peaks(ctx, out, tables, run)
	if err != nil {
		return err
	}
	for _, t := range tables {
		fmt.Fprint(out, heading(t))
		for _, r := range s.rows(t) {
			m := measured{}
			err := run(ctx, job{Row: &r, Limit: s.limit}, &m)
			if err != nil && !errors.Is(err, errTooLong) {
				return fmt.Errorf("table %s, %s: %w", t.name, r.label, err)
			}
			fmt.Fprintln(out, line(r, m, peaks[r.Precision], s.limit))
		}
	}
	return nil
}

func (s settings) rows(t table) []row {
	var rows []row
	for _, r := range t.rows(s.base) {
		if s.most == 0 || r.Queries <= s.most {
			rows = append(rows, r)
		}
	}
	return rows
}

func (s settings) printMachine(out io.Writer) {
	threads := s.base.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	device := fmt.Sprintf("%d threads", threads)
	if s.base.Device != "cpu" {
		device = s.base.Device
	}
	fmt.Fprintf(out,
		"LibTorch %s, %s, %s. Where a table varies something else: %d queries x lists of %d, %d tokens, %s, loss in %s.\n\n",
		torch.LoadedVersion(), device, runtime.Version(), s.base.Queries, s.base.List, s.base.Tokens, s.base.Precision,
		s.base.Loss)
}

// peaks measures and prints the speed of products of matrices in every precision that the tables need: a large one, by
// which they are judged, and those of the model's own matrices.
func (s settings) peaks(
	ctx context.Context, out io.Writer, tables []table, run func(context.Context, job, any) error,
) (map[string]float64, error) {
	h, f, err := s.widths()
	if err != nil {
		return nil, err
	}
	n, tokens := int64(s.gemm), int64(s.base.MicroBatchTokens)
	peaks := map[string]float64{}
	fmt.Fprintln(out, "| matrix product | precision | GFLOP/s |\n|---|---|---:|")
	for _, t := range tables {
		for _, r := range s.rows(t) {
			if peaks[r.Precision] > 0 {
				continue
			}
			for i, p := range []peak{{M: n, K: n, N: n}, {M: tokens, K: h, N: h}, {M: tokens, K: h, N: f}, {M: tokens, K: f, N: h}} {
				p.Precision, p.Threads, p.Device = r.Precision, r.Threads, r.Device
				found := speed{}
				if err := run(ctx, job{Peak: &p, Limit: s.limit}, &found); err != nil {
					return nil, fmt.Errorf("the speed of a product: %w", err)
				}
				if i == 0 {
					peaks[r.Precision] = found.Flops
				}
				fmt.Fprintf(out, "| %d x %d x %d | %s | %.1f |\n", found.M, found.K, found.N, p.Precision, found.Flops/1e9)
			}
		}
	}
	return peaks, nil
}

// widths returns those of the model's matrices.
func (s settings) widths() (hidden, inner int64, err error) {
	c := shapes[s.base.Shape]
	if s.model != "" {
		if c, err = encodernet.ReadConfig(filepath.Join(s.model, encodernet.ConfigFile)); err != nil {
			return 0, 0, err
		}
	}
	return int64(c.HiddenSize), int64(c.IntermediateSize), nil
}

var columns = []string{
	"s a step", "tokens/s", "distinct", "padding", "second pass", "loss", "AdamW", "peak MiB", "of GEMM", "with second pass",
}

func heading(t table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nAgainst %s:\n\n| %s | %s |\n|---|", t.title, t.varies, strings.Join(columns, " | "))
	b.WriteString(strings.Repeat("---:|", len(columns)) + "\n")
	return b.String()
}

// line is a row of a table; peak is in operations a second.
func line(r row, m measured, peak float64, limit time.Duration) string {
	if m.Steps == 0 {
		return fmt.Sprintf("| %s | two steps take longer than %v |%s", r.label, limit, strings.Repeat(" |", len(columns)-1))
	}
	seconds := fmt.Sprintf("%.3g", m.Seconds)
	if m.Steps < r.Steps {
		seconds += fmt.Sprintf(" (%d of %d steps)", m.Steps, r.Steps)
	}
	useful := m.Flops / m.Seconds / peak
	again := 1 + float64(m.Recomputed)/float64(m.Padded)/3 // the forward is a third of a pass and its backward
	memory := "unknown"
	if m.Anonymous > 0 {
		memory = fmt.Sprint(m.Anonymous >> 20)
	}
	cells := []string{
		r.label, seconds, fmt.Sprintf("%.0f", float64(m.Tokens)/m.Seconds), percent(m.Passages, m.Listed),
		percent(m.Padded-m.Tokens, m.Padded), percent(m.Recomputed, m.Padded),
		percent(m.Loss, m.Seconds), percent(m.Update, m.Seconds),
		memory, percent(useful, 1), percent(useful*again, 1),
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

func percent[T int | float64](part, whole T) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}
