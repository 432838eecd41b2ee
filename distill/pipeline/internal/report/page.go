package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/mine"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	// Parsed once; html/template escapes every text by the place where it stands.
	pageTemplate, pageTemplateErr = template.New("page").Parse(pageHTML)
)

// sectionText is what the page says of a section.
type sectionText struct {
	Section
	Title string
	// Question is what the section answers.
	Question string
	// Missing is why there may be no data, unless Data.Missing knows better.
	Missing string
}

// sections are those of the page in their order.
var sections = []sectionText{
	{
		SectionQuality, "Before and after", "Does the student find more than before?",
		"No judged queries were given, so there is nothing to compare by.",
	},
	{
		SectionGains, "Query by query", "Which queries gained, which lost, and what do they find now?",
		"No judged queries were given, so no gains are known.",
	},
	{SectionTraining, "Training", "Did the loss fall, and which student was kept?", "Nothing was trained in this run."},
	{
		SectionFunnel, "Funnel", "What became of the queries on their way to the training lists?",
		"No filter ran: the lists were given, not made.",
	},
	{SectionScores, "Scores", "How do the teacher's and the student's scores lie?", "No scores were recorded."},
	{SectionCost, "Time and memory", "What did each stage cost?", "No stage was measured."},
	{SectionSettings, "Settings", "With what was this made?", "No settings were recorded."},
	{SectionHashes, "Hashes", "From what exactly, and what came of it?", "No hashes were recorded."},
}

// Write writes the page. Data that are not valid are an error, and nothing is written.
func Write(w io.Writer, d Data) error {
	if pageTemplateErr != nil {
		return fmt.Errorf("report: %w", pageTemplateErr)
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	v, err := newView(d)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = page.WriteTo(w)
	return err
}

// view is Data as the template shows them.
type view struct {
	Title, Created, Outcome string
	Facts                   []Setting
	CSS                     template.CSS
	Verdicts                []verdict
	Sections                []section
}

// section is a part of the page: its Body names a template, unless there is none to show.
type section struct {
	sectionText
	Body   any
	Reason string // why there is no Body
}

func newView(d Data) (view, error) {
	v := view{
		Title: strings.TrimSpace(d.Title), Created: date(d.Created), Outcome: d.Outcome, Facts: d.Facts, CSS: style(),
	}
	if v.Title == "" {
		v.Title = "A run"
	}
	for _, set := range d.Sets {
		v.Verdicts = append(v.Verdicts, verdictOf(set))
	}
	for _, s := range sections {
		body, err := bodyOf(s.Section, d)
		if err != nil {
			return view{}, err
		}
		one := section{sectionText: s, Body: body}
		if body == nil {
			one.Reason = s.Missing
			if reason := d.Missing[s.Section]; reason != "" {
				one.Reason = reason
			}
		}
		v.Sections = append(v.Sections, one)
	}
	return v, nil
}

// style returns the style sheet with the colours of both modes. Paper is always white.
func style() template.CSS {
	light, dark := css(func(c colour) string { return c.light }), css(func(c colour) string { return c.dark })
	return template.CSS(":root{" + light + "}\n@media screen and (prefers-color-scheme:dark){:root{" + dark + "}}\n" + pageCSS)
}

// bodyOf returns a section's content, nil where the data hold none.
func bodyOf(s Section, d Data) (any, error) {
	switch s {
	case SectionQuality:
		return qualityBody(d.Sets)
	case SectionGains:
		return gainsBody(d.Sets)
	case SectionTraining:
		return trainingBody(d.Training)
	case SectionFunnel:
		return funnelBody(d)
	case SectionScores:
		return scoresBody(d.Scores)
	case SectionCost:
		return costBody(d.Stages)
	case SectionSettings:
		return orNothing(d.Settings), nil
	}
	return hashesBody(d.Hashes), nil
}

func orNothing(s []Setting) any {
	if len(s) == 0 {
		return nil
	}
	return s
}

// verdict is what the head of the page says of a set.
type verdict struct {
	Name, Metric, Before, After, Difference, Interval, P string
	Word, Kind                                           string // Kind is better, worse or neutral
	Counts                                               string
}

func verdictOf(set QuerySet) verdict {
	v := verdict{Name: set.Name, Word: "not measured", Kind: "neutral"}
	if len(set.Metrics) == 0 {
		return v
	}
	m := set.Metrics[0]
	v.Metric, v.Before, v.After = m.Name, optional(m.Before), optional(m.After)
	if c := m.Difference; c != nil {
		v.Difference, v.Interval, v.P = signed(c.Delta), interval(c), pValue(c.P)
		v.Word, v.Kind = judge(c)
		v.Counts = fmt.Sprintf("%s gained, %s lost, of %s",
			count(c.Better), count(c.Worse), plural(c.N, "query", "queries"))
	}
	return v
}

// significant is the p-value below which a difference is called one.
const significant = 0.05

func judge(c *eval.Comparison) (word, kind string) {
	switch {
	case c.P >= significant:
		return "no clear difference", "neutral"
	case c.Delta > 0:
		return "better", "better"
	}
	return "worse", "worse"
}

func interval(c *eval.Comparison) string { return signed(c.Low) + " to " + signed(c.High) }

// quality is the sets' tables, then their charts.
type quality struct {
	Sets   []qualitySet
	Charts []*chart
}

type qualitySet struct {
	Name, Note, Queries string
	Rows                []qualityRow
}

type qualityRow struct {
	Name, BM25, Before, Teacher, After, Difference, Interval, P, Kind string
}

func qualityBody(sets []QuerySet) (any, error) {
	var all quality
	for _, set := range sets {
		if len(set.Metrics) == 0 {
			continue
		}
		q := qualitySet{Name: set.Name, Note: set.Note}
		for _, m := range set.Metrics {
			row := qualityRow{
				Name: m.Name, BM25: optional(m.BM25), Before: optional(m.Before), Teacher: optional(m.Teacher), After: optional(m.After),
				Difference: nothing, Interval: nothing, P: nothing, Kind: "neutral",
			}
			if c := m.Difference; c != nil {
				row.Difference, row.Interval, row.P = signed(c.Delta), interval(c), pValue(c.P)
				_, row.Kind = judge(c)
				q.Queries = plural(c.N, "query", "queries")
			}
			q.Rows = append(q.Rows, row)
		}
		all.Sets = append(all.Sets, q)
		c, err := differencesChart(set)
		if err != nil {
			return nil, err
		}
		if c != nil {
			all.Charts = append(all.Charts, c)
		}
	}
	if all.Sets == nil {
		return nil, nil
	}
	return all, nil
}

// gains is a set's chart and its extreme queries.
type gains struct {
	Name, Metric         string
	Better, Worse, Same  string
	Chart                *chart
	Ends                 []end
	MeanGain, MedianGain string
}

// end is one of the two lists of extreme queries.
type end struct {
	Title, Kind, None string
	Queries           []extreme
}

type extreme struct {
	Open                      bool
	ID, Text                  string
	Gain, Before, After, Kind string
	First                     string // where the first relevant passage stands
	Lists                     []ranking
}

type ranking struct {
	Title string
	Hits  []hit
}

type hit struct {
	Rank                        int
	ID, Title, Text, Score, Was string
	Relevant                    bool
	Grade                       int
}

func gainsBody(sets []QuerySet) (any, error) {
	var all []gains
	for _, set := range sets {
		if len(set.Gains) == 0 {
			continue
		}
		g := gains{Name: set.Name, Metric: set.GainMetric}
		var better, worse int
		var sum float64
		sorted := set.sorted(Gain.gain)
		for _, i := range sorted {
			gain := set.Gains[i].gain()
			sum += gain
			switch {
			case gain > 0:
				better++
			case gain < 0:
				worse++
			}
		}
		n := len(sorted)
		g.Better, g.Worse, g.Same = count(better), count(worse), count(n-better-worse)
		g.MeanGain = signed(sum / float64(n))
		g.MedianGain = signed((set.Gains[sorted[(n-1)/2]].gain() + set.Gains[sorted[n/2]].gain()) / 2)
		var err error
		if g.Chart, err = gainsChart(set); err != nil {
			return nil, err
		}
		helped, hurt := set.Extremes(ExtremeQueries)
		g.Ends = []end{
			{"The most helped", "better", "No query gained.", extremes(set, helped, "better", len(all) == 0)},
			{"The most hurt", "worse", "No query lost.", extremes(set, hurt, "worse", len(all) == 0)},
		}
		all = append(all, g)
	}
	if all == nil {
		return nil, nil
	}
	return all, nil
}

// extremes are the queries at indices; the first of them is shown with its passages where open says so.
func extremes(set QuerySet, indices []int, kind string, open bool) []extreme {
	var all []extreme
	for n, i := range indices {
		g := set.Gains[i]
		e := extreme{
			Open: open && n == 0, ID: g.ID, Text: g.Text, Kind: kind, Gain: signed(g.gain()), Before: number(g.Before), After: number(g.After),
		}
		if g.FirstBefore > 0 || g.FirstAfter > 0 {
			e.First = fmt.Sprintf("First relevant passage: %s before, %s after.", rank(g.FirstBefore), rank(g.FirstAfter))
		}
		if len(g.TopBefore)+len(g.TopAfter) > 0 {
			e.Lists = []ranking{{"Before", hits(g.TopBefore, nil)}, {"After", hits(g.TopAfter, g.TopBefore)}}
		}
		all = append(all, e)
	}
	return all
}

func rank(n int) string {
	if n < 1 {
		return "not found"
	}
	return "rank " + count(n)
}

// passageLength is how many characters of a passage are shown.
const passageLength = 240

// hits are the passages of a ranking; before, where it is given, says where they stood.
func hits(top, before []Hit) []hit {
	var all []hit
	for i, h := range top {
		one := hit{
			Rank: i + 1, ID: h.ID, Title: h.Title, Text: shorten(h.Text, passageLength), Score: number(h.Score),
			Relevant: h.Grade > 0, Grade: h.Grade,
		}
		if one.Title == one.ID {
			one.Title = ""
		}
		if before != nil {
			one.Was = "new here"
			if at := slices.IndexFunc(before, func(b Hit) bool { return b.ID == h.ID }); at >= 0 {
				one.Was = fmt.Sprintf("was %d", at+1)
			}
		}
		all = append(all, one)
	}
	return all
}

// training is the two curves and what they say.
type training struct {
	Charts []*chart
	Facts  []string
	Absent []string // what is missing of the two
}

func trainingBody(t *Training) (any, error) {
	if t == nil || len(t.Steps)+len(t.Evaluations) == 0 {
		return nil, nil
	}
	var body training
	loss, err := lossChart(t)
	if err != nil {
		return nil, err
	}
	dev, err := devChart(t)
	if err != nil {
		return nil, err
	}
	if loss != nil {
		body.Charts = append(body.Charts, loss)
		done := t.Steps[len(t.Steps)-1].Step
		body.Facts = append(body.Facts, fmt.Sprintf("%s of %s planned steps were done.", count(done), count(max(done, t.TotalSteps))))
	} else {
		body.Absent = append(body.Absent, "The loss of the steps was not recorded.")
	}
	if dev == nil {
		body.Absent = append(body.Absent, "There was no evaluation during training, so the last student was kept.")
		return body, nil
	}
	body.Charts = append(body.Charts, dev)
	kept := fmt.Sprintf("The student after step %s was kept.", count(t.BestStep))
	if t.BestStep == 0 {
		kept = "The untouched student was kept."
	}
	body.Facts = append(body.Facts, kept)
	return body, nil
}

// funnel is the table of filters by query type.
type funnel struct {
	Types []string
	Rows  []funnelRow
	Chart *chart
}

type funnelRow struct {
	Name, Reasons string
	Cells         []funnelCell // one a type, then all
}

type funnelCell struct{ Kept, Dropped string }

func funnelBody(d Data) (any, error) {
	filters := d.Funnel.Filters
	if len(filters) == 0 {
		return nil, nil
	}
	var body funnel
	types := d.Funnel.Types()
	for _, t := range types {
		if t == "" {
			t = "own"
		}
		body.Types = append(body.Types, t)
	}
	given := funnelRow{Name: "given"}
	for _, t := range types {
		c := filters[0].Types[t]
		given.Cells = append(given.Cells, funnelCell{Kept: count(c.Kept + c.Dropped)})
	}
	all := filters[0].Total()
	given.Cells = append(given.Cells, funnelCell{Kept: count(all.Kept + all.Dropped)})
	body.Rows = append(body.Rows, given)
	levels := []bar{{"given", count(all.Kept + all.Dropped), float64(all.Kept + all.Dropped)}}
	for _, f := range filters {
		row := funnelRow{Name: f.Name, Reasons: reasons(f.Reasons)}
		for _, t := range types {
			row.Cells = append(row.Cells, cellOf(f.Types[t].Kept, f.Types[t].Dropped))
		}
		total := f.Total()
		row.Cells = append(row.Cells, cellOf(total.Kept, total.Dropped))
		body.Rows = append(body.Rows, row)
		levels = append(levels, bar{f.Name, count(total.Kept), float64(total.Kept)})
	}
	var err error
	body.Chart, err = bars("Queries left after each filter", "queries", "filter", levels)
	return body, err
}

func cellOf(kept, dropped int) funnelCell {
	c := funnelCell{Kept: count(kept)}
	if dropped > 0 {
		c.Dropped = minus + count(dropped)
	}
	return c
}

func scoresBody(all []Distribution) (any, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var charts []*chart
	for _, d := range all {
		c, err := scoresChart(d)
		if err != nil {
			return nil, err
		}
		charts = append(charts, c)
	}
	return charts, nil
}

// cost is the table of stages and its charts.
type cost struct {
	Rows         []costRow
	Total        string
	Charts       []*chart
	MemoryAbsent bool
}

type costRow struct{ Name, Time, Share, Memory, Records, Note string }

func costBody(stages []Stage) (any, error) {
	if len(stages) == 0 {
		return nil, nil
	}
	var body cost
	var total float64
	var times, memory []bar
	for _, s := range stages {
		total += s.Seconds
		times = append(times, bar{s.Name, duration(s.Seconds), s.Seconds})
		if s.PeakBytes > 0 {
			memory = append(memory, bar{s.Name, size(s.PeakBytes), float64(s.PeakBytes) / (1 << 20)})
		}
	}
	for _, s := range stages {
		row := costRow{Name: s.Name, Time: duration(s.Seconds), Share: nothing, Memory: nothing, Records: nothing, Note: s.Note}
		if total > 0 {
			row.Share = fmt.Sprintf("%.0f%%", 100*s.Seconds/total)
		}
		if s.PeakBytes > 0 {
			row.Memory = size(s.PeakBytes)
		}
		if s.Records > 0 {
			row.Records = strings.TrimSpace(count(s.Records) + " " + s.Unit)
		}
		body.Rows = append(body.Rows, row)
	}
	body.Total, body.MemoryAbsent = duration(total), len(memory) == 0
	timeChart, err := bars("Time of each stage", "seconds", "stage", times)
	if err != nil {
		return nil, err
	}
	memoryChart, err := bars("Peak memory up to the end of each stage", "MiB, resident", "stage", memory)
	if err != nil {
		return nil, err
	}
	for _, c := range []*chart{timeChart, memoryChart} {
		if c != nil {
			body.Charts = append(body.Charts, c)
		}
	}
	return body, nil
}

// reasons writes "too short 12, near-duplicate 3".
func reasons(counts map[mine.Reason]int) string {
	var all []string
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %s", r, count(counts[r])))
	}
	return strings.Join(all, ", ")
}

type hashRow struct{ Name, Path, SHA256, Size string }

func hashesBody(all []Hash) any {
	if len(all) == 0 {
		return nil
	}
	rows := make([]hashRow, len(all))
	for i, h := range all {
		rows[i] = hashRow{Name: h.Name, Path: h.Path, SHA256: h.SHA256, Size: nothing}
		if h.Bytes > 0 {
			rows[i].Size = size(h.Bytes)
		}
	}
	return rows
}
