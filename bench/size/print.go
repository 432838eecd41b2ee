package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// column is one tree of the table.
type column struct {
	title string
	size
}

// few is how many upward references a package may have and not be listed.
const few = 10

func print(out io.Writer, columns []column) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, cell func(size) string) {
		fmt.Fprint(w, name)
		for _, c := range columns {
			fmt.Fprint(w, "\t", cell(c.size))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "without tests")
	for _, c := range columns {
		fmt.Fprint(w, "\t", c.title)
	}
	fmt.Fprintln(w)
	row("lines of Go, without comments", func(s size) string { return fmt.Sprint(s.lines.Go) })
	row("lines of other code", func(s size) string { return fmt.Sprint(s.lines.Other) })
	row("imports between rooms that run upward",
		func(s size) string { return fmt.Sprintf("%d of %d", s.rooms.Upward, s.rooms.Pairs) })
	row("... that testdata/rooms.txt refuses",
		func(s size) string { return fmt.Sprintf("%d of %d", s.rooms.Refused, s.rooms.Pairs) })
	for _, folder := range tangled(columns) {
		row("upward between files of "+folder, func(s size) string { return s.inside[folder].String() })
	}
	row("exported names", func(s size) string { return fmt.Sprint(total(s.names)) })
	for _, folder := range folders(columns) {
		row("  "+title(folder), func(s size) string { return count(s.names, folder) })
	}
	row("packages pulled in", func(size) string { return "" })
	for _, folder := range folders(columns) {
		row("  "+title(folder), func(s size) string { return count(s.dependencies, folder) })
	}
	return w.Flush()
}

func (r references) String() string {
	if r.Files == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", r.Upward, r.Pairs)
}

// tangled returns the packages with few upward references or more in one of the trees.
func tangled(columns []column) []string {
	found := map[string]bool{}
	for _, c := range columns {
		for folder, r := range c.inside {
			if r.Upward >= few {
				found[folder] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// folders returns the public packages of all trees.
func folders(columns []column) []string {
	found := map[string]bool{}
	for _, c := range columns {
		for folder := range c.names {
			found[folder] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func title(folder string) string {
	if folder == "." {
		return "retort"
	}
	return folder
}

func total(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func count(counts map[string]int, folder string) string {
	if n, known := counts[folder]; known {
		return fmt.Sprint(n)
	}
	return "-"
}
