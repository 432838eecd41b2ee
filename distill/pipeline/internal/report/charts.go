package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/retort-ir/retort/eval"
)

// Most of what a chart of this width can show.
const (
	maxPoints = 400
	maxDots   = 60
	maxBars   = 24
)

// seriesColours and seriesDashes tell the lines of a chart apart.
var (
	seriesColours = []colour{better, neutral, worse}
	seriesDashes  = [][]vg.Length{nil, {6, 3}, {1.5, 2.5}}
	seriesLines   = []string{"solid", "dashed", "dotted"}
)

// differencesChart shows each metric's difference with its interval.
func differencesChart(set QuerySet) (*chart, error) {
	var rows []Metric
	for _, m := range set.Metrics {
		if m.Difference != nil {
			rows = append(rows, m)
		}
	}
	if len(rows) == 0 || len(rows) > maxBars {
		return nil, nil
	}
	p := newPlot("student after "+minus+" before, with 95% interval", "metric")
	p.Add(grid(false, true))
	low, high := 0.0, 0.0
	var names []string
	for i, m := range rows {
		c, y := m.Difference, float64(len(rows)-1-i)
		colour := colourOf(c)
		interval, err := line(plotter.XYs{{X: c.Low, Y: y}, {X: c.High, Y: y}}, colour, 2)
		if err != nil {
			return nil, err
		}
		mean, err := plotter.NewScatter(plotter.XYs{{X: c.Delta, Y: y}})
		if err != nil {
			return nil, err
		}
		mean.GlyphStyle = draw.GlyphStyle{Color: colour, Radius: 4, Shape: draw.CircleGlyph{}}
		p.Add(interval, mean)
		low, high = min(low, c.Low, c.Delta), max(high, c.High, c.Delta)
		names = append(names, shorten(m.Name, 16))
	}
	slices.Reverse(names)
	nominalY(p, names)
	zero, err := line(plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(len(rows)) - 0.5}}, ink, 1)
	if err != nil {
		return nil, err
	}
	p.Add(zero)
	span(&p.X, low-0.05*(high-low), high+0.05*(high-low))
	title := "What changed: " + set.Name
	markup, err := svg(p, 70+float64(len(rows))*30, title, "One line a metric: the mean difference and its 95% interval; right of 0 is better.")
	if err != nil {
		return nil, err
	}
	return &chart{Title: title, SVG: markup, Note: "Right of 0: better after. Grey may be chance."}, nil
}

// colourOf is that of the table: blue for a gain, orange for a loss, grey for what may be chance.
func colourOf(c *eval.Comparison) colour {
	switch _, kind := judge(c); kind {
	case better.name:
		return better
	case worse.name:
		return worse
	}
	return neutral
}

// gainsChart shows all gains, sorted.
func gainsChart(set QuerySet) (*chart, error) {
	gains := make([]float64, 0, len(set.Gains))
	for _, i := range set.sorted(func(g Gain) float64 { return -g.gain() }) {
		gains = append(gains, set.Gains[i].gain())
	}
	if len(gains) == 0 {
		return nil, nil
	}
	p := newPlot("queries, sorted by gain", "gain in "+cmp.Or(set.GainMetric, "the metric"))
	p.Add(grid(true, false))
	for _, side := range []struct {
		colour colour
		value  func(float64) float64
	}{
		{better, func(g float64) float64 { return math.Max(g, 0) }},
		{worse, func(g float64) float64 { return math.Min(g, 0) }},
	} {
		area, err := plotter.NewPolygon(steps(gains, side.value))
		if err != nil {
			return nil, err
		}
		area.Color, area.LineStyle = side.colour, draw.LineStyle{}
		p.Add(area)
	}
	n := float64(len(gains))
	zero, err := line(plotter.XYs{{X: 0, Y: 0}, {X: n, Y: 0}}, ink, 0.75)
	if err != nil {
		return nil, err
	}
	p.Add(zero)
	span(&p.X, 0, n)
	span(&p.Y, min(0, gains[len(gains)-1]), max(0, gains[0]))
	title := "Gain of each query: " + set.Name
	markup, err := svg(p, chartHeight, title, "Queries from the most helped on the left to the most hurt on the right.")
	if err != nil {
		return nil, err
	}
	return &chart{Title: title, SVG: markup, Keys: []key{{"gained", better.name, "solid"}, {"lost", worse.name, "solid"}}}, nil
}

// steps outlines one bar of width 1 a value, values that are equal as one; of more than maxPoints different values those at
// even distances.
func steps(values []float64, side func(float64) float64) plotter.XYs {
	outline := plotter.XYs{{X: 0, Y: 0}}
	n := min(len(values), maxPoints)
	at := 0.0
	for i := range n {
		end := float64((i + 1) * len(values) / n)
		y := side(values[int(at)])
		if last := &outline[len(outline)-1]; last.Y == y {
			last.X = end
		} else {
			outline = append(outline, plotter.XY{X: at, Y: y}, plotter.XY{X: end, Y: y})
		}
		at = end
	}
	return append(outline, plotter.XY{X: at, Y: 0})
}

// lossChart shows the loss of every step and its running mean.
func lossChart(t *Training) (*chart, error) {
	if len(t.Steps) == 0 {
		return nil, nil
	}
	each := binned(t.Steps)
	p := newPlot("training step", cmp.Or(t.Loss, "loss"))
	p.Add(grid(true, false))
	thin, err := line(each, neutral, 0.75)
	if err != nil {
		return nil, err
	}
	mean, err := line(runningMean(each), better, 2)
	if err != nil {
		return nil, err
	}
	p.Add(thin, mean)
	span(&p.X, p.X.Min, p.X.Max)
	span(&p.Y, p.Y.Min, p.Y.Max)
	title := "Training loss"
	markup, err := svg(p, chartHeight, title, "The loss of the training steps and its running mean; lower is better.")
	if err != nil {
		return nil, err
	}
	c := &chart{Title: title, SVG: markup, Keys: []key{{"running mean", better.name, "solid"}, {"each step", neutral.name, "solid"}}}
	if per := (len(t.Steps) + maxPoints - 1) / maxPoints; per > 1 {
		c.Keys[1].Name = fmt.Sprintf("mean of %d steps", per)
	}
	return c, nil
}

// binned averages steps so that at most maxPoints are left.
func binned(steps []Step) plotter.XYs {
	per := (len(steps) + maxPoints - 1) / maxPoints
	var points plotter.XYs
	for some := range slices.Chunk(steps, per) {
		var x, y float64
		for _, s := range some {
			x += float64(s.Step) / float64(len(some))
			y += s.Loss / float64(len(some))
		}
		points = append(points, plotter.XY{X: x, Y: y})
	}
	return points
}

// runningMean averages each point with its neighbours, a twentieth of all.
func runningMean(points plotter.XYs) plotter.XYs {
	half := len(points) / 40
	mean := make(plotter.XYs, len(points))
	for i := range points {
		around := points[max(0, i-half):min(len(points), i+half+1)]
		mean[i].X = points[i].X
		for _, p := range around {
			mean[i].Y += p.Y / float64(len(around))
		}
	}
	return mean
}

// devChart shows the score of every evaluation, the best marked.
func devChart(t *Training) (*chart, error) {
	if len(t.Evaluations) == 0 {
		return nil, nil
	}
	var points, best plotter.XYs
	for _, e := range t.Evaluations {
		at := plotter.XY{X: float64(e.Step), Y: e.Score}
		points = append(points, at)
		if e.Step == t.BestStep {
			best = append(best, at)
		}
	}
	measure := cmp.Or(t.DevMeasure, "dev score")
	p := newPlot("training step", measure)
	p.Add(grid(true, false))
	last := points[len(points)-1].X
	c := &chart{Title: "Score during training"}
	if first := t.Evaluations[0]; first.Step == 0 {
		untouched, err := line(plotter.XYs{{X: 0, Y: first.Score}, {X: math.Max(last, 1), Y: first.Score}}, neutral, 1.25, 6, 3)
		if err != nil {
			return nil, err
		}
		p.Add(untouched)
		c.Keys = append(c.Keys, key{"untouched student", neutral.name, "dashed"})
	}
	curve, err := line(thinned(points), better, 2)
	if err != nil {
		return nil, err
	}
	p.Add(curve)
	if len(points) <= maxDots {
		dots, err := plotter.NewScatter(points)
		if err != nil {
			return nil, err
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: better, Radius: 2.5, Shape: draw.CircleGlyph{}}
		p.Add(dots)
	}
	c.Keys = append(c.Keys, key{measure, better.name, "solid"})
	if len(best) > 0 {
		dot, err := plotter.NewScatter(best)
		if err != nil {
			return nil, err
		}
		dot.GlyphStyle = draw.GlyphStyle{Color: worse, Radius: 5, Shape: draw.CircleGlyph{}}
		p.Add(dot)
		c.Keys = append(c.Keys, key{"kept", worse.name, "dot"})
	}
	span(&p.X, p.X.Min, p.X.Max)
	pad := 0.08 * (p.Y.Max - p.Y.Min)
	span(&p.Y, p.Y.Min-pad, p.Y.Max+pad)
	c.SVG, err = svg(p, chartHeight, c.Title, "The score of the student at each evaluation; higher is better.")
	return c, err
}

// thinned leaves out points at even distances, never the last, so that at most maxPoints and one are left.
func thinned(points plotter.XYs) plotter.XYs {
	per := (len(points) + maxPoints - 1) / maxPoints
	var left plotter.XYs
	for i := 0; i < len(points); i += per {
		left = append(left, points[i])
	}
	if last := points[len(points)-1]; left[len(left)-1] != last {
		left = append(left, last)
	}
	return left
}

// scoresChart shows histograms as outlines, as shares of each series.
func scoresChart(d Distribution) (*chart, error) {
	p := newPlot(cmp.Or(d.Axis, "score"), "share of scores, %")
	p.Add(grid(true, false))
	c := &chart{Title: d.Title}
	low, high, outside := math.Inf(1), math.Inf(-1), 0
	for i := len(d.Series) - 1; i >= 0; i-- { // the first on top
		h := d.Series[i].Histogram
		outline, err := line(outlineOf(h), seriesColours[i], 1.75, seriesDashes[i]...)
		if err != nil {
			return nil, err
		}
		p.Add(outline)
		from, to := occupied(h)
		low, high, outside = min(low, from), max(high, to), outside+h.Below+h.Above
	}
	for i, s := range d.Series {
		c.Keys = append(c.Keys, key{fmt.Sprintf("%s (%s)", s.Name, count(s.Histogram.Total())), seriesColours[i].name, seriesLines[i]})
	}
	if outside > 0 {
		c.Note = plural(outside, "score lies", "scores lie") + " outside of the axis."
	}
	span(&p.X, low, high)
	span(&p.Y, 0, p.Y.Max)
	var err error
	c.SVG, err = svg(p, chartHeight, c.Title, "How large a share of the scores falls into each bin.")
	return c, err
}

func outlineOf(h Histogram) plotter.XYs {
	total := math.Max(1, float64(h.Total()))
	width := (h.High - h.Low) / float64(len(h.Counts))
	points := plotter.XYs{{X: h.Low, Y: 0}}
	for i, n := range h.Counts {
		y := 100 * float64(n) / total
		x := h.Low + float64(i)*width
		points = append(points, plotter.XY{X: x, Y: y}, plotter.XY{X: x + width, Y: y})
	}
	return append(points, plotter.XY{X: h.High, Y: 0})
}

// occupied is the range of the bins that hold anything, and one bin more on either side.
func occupied(h Histogram) (low, high float64) {
	first := slices.IndexFunc(h.Counts, func(n int) bool { return n > 0 })
	if first < 0 {
		return h.Low, h.High
	}
	last := len(h.Counts) - 1
	for h.Counts[last] == 0 {
		last--
	}
	width := (h.High - h.Low) / float64(len(h.Counts))
	return math.Max(h.Low, h.Low+float64(first-1)*width), math.Min(h.High, h.Low+float64(last+2)*width)
}

// bar is one bar of a bars chart.
type bar struct {
	name, label string
	value       float64
}

// bars shows one bar a name from the top down, its label at its end; nil where there is nothing to show or too much.
func bars(title, x, y string, all []bar) (*chart, error) {
	if len(all) == 0 || len(all) > maxBars {
		return nil, nil
	}
	all = slices.Clone(all)
	slices.Reverse(all) // the axis goes upwards
	p := newPlot(x, y)
	p.Add(grid(false, true))
	values, names, most := make(plotter.Values, len(all)), make([]string, len(all)), 0.0
	var ends plotter.XYLabels
	for i, b := range all {
		values[i], names[i], most = b.value, shorten(b.name, 22), max(most, b.value)
		ends.XYs = append(ends.XYs, plotter.XY{X: b.value, Y: float64(i)})
		ends.Labels = append(ends.Labels, b.label)
	}
	rects, err := plotter.NewBarChart(values, 14)
	if err != nil {
		return nil, err
	}
	rects.Horizontal, rects.Color, rects.LineStyle = true, better, draw.LineStyle{}
	labels, err := plotter.NewLabels(ends)
	if err != nil {
		return nil, err
	}
	labels.Offset = vg.Point{X: 4}
	for i := range labels.TextStyle {
		labels.TextStyle[i].Color, labels.TextStyle[i].Font, labels.TextStyle[i].YAlign = ink, sans(), draw.YCenter
	}
	p.Add(rects, labels)
	nominalY(p, names)
	span(&p.X, 0, most)
	markup, err := svg(p, 62+float64(len(all))*24, title, "One bar a row of the table beside it.")
	if err != nil {
		return nil, err
	}
	return &chart{Title: title, SVG: markup}, nil
}

// nominalY names 0, 1, ... on the y axis.
func nominalY(p *plot.Plot, names []string) {
	p.NominalY(names...)
	p.X.Padding, p.Y.Padding = 0, 0
	p.Y.Tick.Length, p.Y.Tick.Color = 6, nil // the distance of the names
	p.Y.Min, p.Y.Max = -0.5, float64(len(names))-0.5
}
