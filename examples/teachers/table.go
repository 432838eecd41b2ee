package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/retort-ir/retort/eval"
)

// block is a part of the document that this command writes. Its lines stand between two marker lines.
type block struct {
	name   string
	render func(ctx context.Context, w io.Writer) error
}

func (p *program) blocks() []block {
	return []block{
		{"teachers", p.rankTables},
		{"together", p.teachersTogether},
		{"cross-encoders", p.trainTable},
		{"weights", p.weightTable},
		{"queries", p.queryTable},
		{"students", p.distilTables},
		{"compared", p.studentsCompared},
	}
}

// tables prints every table, or puts them between the marker lines of a document.
func (p *program) tables(ctx context.Context, w io.Writer, document string) error {
	var text []byte
	if document != "" {
		var err error
		if text, err = os.ReadFile(document); err != nil {
			return err
		}
	}
	for _, b := range p.blocks() {
		var table bytes.Buffer
		if err := b.render(ctx, &table); err != nil {
			return err
		}
		if document == "" {
			if _, err := fmt.Fprintf(w, "\n%s\n", bytes.TrimSpace(table.Bytes())); err != nil {
				return err
			}
			continue
		}
		var err error
		if text, err = splice(text, b.name, table.Bytes()); err != nil {
			return fmt.Errorf("%s: %w", document, err)
		}
	}
	if document == "" {
		return nil
	}
	return writeFile(document, text)
}

// splice puts the table between the marker lines of that name.
func splice(text []byte, name string, table []byte) ([]byte, error) {
	begin, end := fmt.Sprintf("<!-- %s:begin -->\n", name), fmt.Sprintf("<!-- %s:end -->", name)
	from := bytes.Index(text, []byte(begin))
	to := bytes.Index(text, []byte(end))
	if from < 0 || to < from {
		return nil, fmt.Errorf("no lines %q and %q in this order", strings.TrimSpace(begin), end)
	}
	from += len(begin)
	return bytes.Join([][]byte{text[:from], bytes.TrimSpace(table), []byte("\n"), text[to:]}, nil), nil
}

// rankTables writes a table a collection.
func (p *program) rankTables(_ context.Context, w io.Writer) error {
	for _, name := range splitNames(p.settings.names) {
		var rows []*ranked
		var kinds []teacherKind
		for _, k := range p.known() {
			r, err := p.readRanked(cell{kindRank, name, k.name})
			if err != nil {
				return err
			}
			if r != nil {
				rows, kinds = append(rows, r), append(kinds, k)
			}
		}
		if len(rows) == 0 {
			continue
		}
		if err := p.rankTable(w, name, kinds, rows); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) rankTable(w io.Writer, name string, kinds []teacherKind, rows []*ranked) error {
	adjusted := eval.Holm(pValues(kinds, rows))
	fmt.Fprintf(w, "\n%s\n\n", headline(name, kinds, rows))
	fmt.Fprintln(w, "| teacher | dev nDCG@10 | nDCG@10 | difference | 95% interval | p | p (Holm) | s / 1,000 pairs |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for i, r := range rows {
		dev, err := p.readRanked(cell{kindDev, name, kinds[i].name})
		if err != nil {
			return err
		}
		seconds, err := p.secondsPer1000(name, kinds[i], r)
		if err != nil {
			return err
		}
		difference := "| | |"
		if kinds[i].name != teacherEnsemble {
			difference = fmt.Sprintf("%s | %s | %s | %s", signed(r.Difference.Delta), interval(r.Difference),
				pValue(r.Difference.P), pValue(adjusted[i]))
		}
		_, err = fmt.Fprintf(w, "| %s%s | %s | %s | %s | %s |\n", kinds[i].title, note(kinds[i]), devMean(dev),
			figure(r.Mean), difference, seconds)
		if err != nil {
			return err
		}
	}
	return nil
}

// note marks the teacher with shorter lists.
func note(k teacherKind) string {
	if k.name == teacherSmolLM2 {
		return " *"
	}
	return ""
}

// headline says what the collection's figures are of.
func headline(name string, kinds []teacherKind, rows []*ranked) string {
	r := rows[0]
	text := fmt.Sprintf("**%s**: %d queries (%s), %s candidates each", name, len(r.Queries), r.Split, r.Settings["depth"])
	if r.Go != "" {
		text += ", " + r.Go
	}
	text += fmt.Sprintf("; their best possible order has %s", figure(r.Best))
	for i, k := range kinds {
		if k.name == teacherSmolLM2 {
			text += fmt.Sprintf(". * %d queries, %s candidates each: there BM25 + student has %s and the best order %s",
				len(rows[i].Queries), rows[i].Settings["depth"], figure(mean(rows[i].Reference)), figure(rows[i].Best))
		}
	}
	return text + "."
}

// pValues are those of the rows, NaN for the reference itself.
func pValues(kinds []teacherKind, rows []*ranked) []float64 {
	p := make([]float64, len(rows))
	for i, r := range rows {
		p[i] = r.Difference.P
		if kinds[i].name == teacherEnsemble {
			p[i] = notMade
		}
	}
	return p
}

// secondsPer1000 of an ensemble are those of its members.
func (p *program) secondsPer1000(collection string, k teacherKind, r *ranked) (string, error) {
	if !k.ensemble {
		return perThousand(r.Cost), nil
	}
	members := []weighted{{teacherBM25, 1}, {encoderStudent, 1}}
	if r.Chosen != nil {
		members = r.Chosen.Members
	}
	var sum cost
	for _, m := range members {
		of, err := p.readRanked(cell{kindRank, collection, m.Teacher})
		if err != nil {
			return "", err
		}
		if of == nil || of.Cost.Pairs == 0 {
			return "", nil
		}
		sum.Seconds += of.Cost.Seconds / float64(of.Cost.Pairs)
	}
	sum.Pairs = 1
	return perThousand(sum), nil
}

func perThousand(c cost) string {
	if c.Pairs == 0 {
		return ""
	}
	return fmt.Sprintf("%.2g", 1000*c.Seconds/float64(c.Pairs))
}

// trainTable says how the cross-encoders were trained.
func (p *program) trainTable(_ context.Context, w io.Writer) error {
	var lines []string
	for _, name := range splitNames(p.settings.names) {
		for _, s := range crossEncoderStarts {
			r := &trained{}
			if ok, err := readJSON(p.path(cell{kindTrain, name, s.name}), r); !ok || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			t := r.Training
			lines = append(
				lines,
				fmt.Sprintf("| %s | %s | %d %s | %s | %d at %g | %d of %d | %s | %s | %s | %.0f |", name, s.title, t.Examples,
					r.Settings["train-queries"], r.Settings["train-learn"], t.Epochs, t.LR, t.BestStep, t.Steps, t.Metric,
					figure(t.Before), figure(t.After), r.Cost.Seconds),
			)
		}
	}
	return writeTable(
		w,
		lines,
		"| collection | trained from | queries | learnt | epochs | best step | held-out synthetic lists by | before | after | s |",
		"|---|---|---|---|---|---|---|---|---|---|",
	)
}

// weightTable says of what the best ensembles are made.
func (p *program) weightTable(_ context.Context, w io.Writer) error {
	var lines []string
	for _, name := range splitNames(p.settings.names) {
		r, err := p.readRanked(cell{kindRank, name, teacherBest})
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		of, fit := r.Chosen, r.Chosen.Weights
		outcome := "equal weights kept"
		if fit.Kept {
			outcome = "fitted weights taken"
		}
		lines = append(lines, fmt.Sprintf("| %s | %s (%d) | %s | %s | %s | %s (p %s) | %s |",
			name, fit.Split, fit.Queries, strings.Join(of.From, ", "), membersText(of.Members), figure(fit.Equal),
			signed(fit.CrossValidated.Delta), pValue(fit.CrossValidated.P), outcome))
	}
	return writeTable(
		w,
		lines,
		"| collection | dev queries | chosen among | members and weights | dev nDCG@10, equal weights | fitted weights, cross-validated | outcome |",
		"|---|---|---|---|---|---|---|",
	)
}

func membersText(members []weighted) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, fmt.Sprintf("%s %.2g", m.Teacher, m.Weight))
	}
	return strings.Join(parts, ", ")
}

// queryTable says what the language model wrote.
func (p *program) queryTable(_ context.Context, w io.Writer) error {
	var lines []string
	for _, name := range splitNames(p.settings.names) {
		r := &written{}
		ok, err := readJSON(p.path(cell{kindQueries, name, teacherSmolLM2}), r)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		var dropped []string
		for _, reason := range sortedKeys(r.Dropped) {
			dropped = append(dropped, fmt.Sprintf("%s %d", reason, r.Dropped[reason]))
		}
		lines = append(
			lines,
			fmt.Sprintf("| %s | %d | %d | %s | %d | %.2g |", name, r.Asked, r.Kept, strings.Join(dropped, ", "),
				r.Tokens, float64(r.Kept)/max(r.Cost.Seconds, 1e-9)),
		)
	}
	return writeTable(w, lines, "| collection | asked for | kept | dropped | tokens written | kept queries a second |",
		"|---|---|---|---|---|---|")
}

// distilTables writes a table a collection.
func (p *program) distilTables(_ context.Context, w io.Writer) error {
	for _, collection := range splitNames(p.settings.names) {
		var rows []*distilled
		var names []string
		var ps []float64
		for _, name := range p.distilNames() {
			r, err := p.readDistilled(cell{kindDistil, collection, name})
			if err != nil {
				return err
			}
			if r != nil {
				rows, names, ps = append(rows, r), append(names, name), append(ps, r.Difference.P)
			}
		}
		if len(rows) == 0 {
			continue
		}
		adjusted := eval.Holm(ps)
		text := fmt.Sprintf("\n**%s**: %d queries (%s)", collection, len(rows[0].Queries), rows[0].Split)
		if rows[0].Go != "" {
			text += ", " + rows[0].Go
		}
		fmt.Fprintf(w, "%s; the untouched student has %s.\n\n", text, figure(mean(rows[0].Before)))
		var lines []string
		for i, r := range rows {
			lines = append(
				lines,
				fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s | %s | %s | %s | %.0f |",
					names[i], taught(r), r.KindOfQuery, r.Lists, figure(mean(r.After)), signed(r.Difference.Delta),
					interval(r.Difference), pValue(r.Difference.P), pValue(adjusted[i]),
					signed(r.KnownItems.Delta)+" ("+pValue(r.KnownItems.P)+")", r.Cost.Seconds),
			)
		}
		err := writeTable(w, lines, "| cell | learnt from, beside itself | queries | lists | nDCG@10 | difference | 95% interval | p | p (Holm) | held-out items (p) | s |",
			"|---|---|---|---|---|---|---|---|---|---|---|")
		if err != nil {
			return err
		}
	}
	return nil
}

func taught(r *distilled) string {
	if len(r.Members) > 0 {
		return membersText(r.Members)
	}
	return r.Teacher
}

func writeTable(w io.Writer, lines []string, head ...string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, strings.Join(append(head, lines...), "\n"))
	return err
}
