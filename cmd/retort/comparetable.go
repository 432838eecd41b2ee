package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/retort-ir/retort/eval"
)

// comparisonCells returns the header and the lines of the table, rounded.
func comparisonCells(pairs []comparedPair) [][]string {
	table := [][]string{{
		"set", "run", "mean", "against", "mean", "queries", "won", "lost", "difference", "95% interval", "p", "p (Holm)",
	}}
	for _, c := range pairs {
		table = append(table, []string{
			printable(c.set), printable(c.run), fmt.Sprintf("%.4f", c.mean),
			printable(c.against), fmt.Sprintf("%.4f", c.againstMean),
			strconv.Itoa(c.N), strconv.Itoa(c.Better), strconv.Itoa(c.Worse), fmt.Sprintf("%+.4f", c.Delta),
			fmt.Sprintf("%+.4f to %+.4f", c.Low, c.High), fmt.Sprintf("%.2g", c.P), fmt.Sprintf("%.2g", c.holm),
		})
	}
	return table
}

// printable replaces characters that would break a line or control a terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, name)
}

func writeComparisonText(w io.Writer, metric string, pairs []comparedPair) error {
	fmt.Fprintf(w, "%s, paired by query\n\n", eval.Metric{Name: metric}.Title())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range comparisonCells(pairs) {
		fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	return table.Flush()
}

func writeComparisonMarkdown(w io.Writer, metric string, pairs []comparedPair) error {
	fmt.Fprintf(w, "%s, paired by query\n\n", eval.Metric{Name: metric}.Title())
	for i, line := range comparisonCells(pairs) {
		for j := range line {
			line[j] = markdown.Replace(line[j])
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintln(w, "|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|")
		}
	}
	return nil
}

// markdown escapes names that would be HTML, a link, or the end of a cell.
var markdown = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "|", `\|`, "[", `\[`, "]", `\]`, "`", "\\`", "*", `\*`,
)

// writeComparisonCSV writes unrounded values.
func writeComparisonCSV(w io.Writer, metric string, pairs []comparedPair) error {
	table := csv.NewWriter(w)
	table.Write([]string{
		"metric", "set", "run", "mean", "against", "against_mean",
		"queries", "won", "lost", "difference", "low", "high", "p", "p_holm",
	})
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, c := range pairs {
		table.Write([]string{
			metric, noFormula(c.set), noFormula(c.run), number(c.mean), noFormula(c.against), number(c.againstMean),
			strconv.Itoa(c.N), strconv.Itoa(c.Better),
			strconv.Itoa(c.Worse), number(c.Delta), number(c.Low), number(c.High), number(c.P), number(c.holm),
		})
	}
	table.Flush()
	return table.Error()
}

// noFormula puts an apostrophe before a name that a spreadsheet would evaluate (OWASP, "CSV Injection").
func noFormula(name string) string {
	if name != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(name)[0]) {
		return "'" + name
	}
	return name
}
