package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart is drawn for a column of this width, in CSS pixels, so that its text is neither tiny on a phone nor huge on a
// desk: the page shows two beside each other or one below the other.
const (
	chartWidth  = 440
	chartHeight = 264
	fontSize    = 12
)

// chart is a figure of the page.
type chart struct {
	Title string
	Keys  []key // the legend; none where there is one series
	Note  string
	SVG   template.HTML
}

// key is an entry of a legend.
type key struct {
	Name   string
	Colour string // a name of the palette
	Line   string // a CSS border style: solid, dashed, dotted
}

// newPlot returns an empty chart in the page's type and colours, with names of both axes.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = shorten(x, 60), shorten(y, 40)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = neutral
		axis.Width = 0.75
		axis.Padding = 0
		axis.Label.Padding = 5
		axis.Label.TextStyle.Color = axisName
		axis.Label.TextStyle.Font = sans()
		axis.Tick.Label.Color = muted
		axis.Tick.Label.Font = sans()
		axis.Tick.Color = neutral
		axis.Tick.Length = 4
		axis.Tick.Marker = plot.TickerFunc(ticks)
	}
	return p
}

func sans() font.Font { return font.Font{Typeface: "Liberation", Variant: "Sans", Size: fontSize} }

// grid draws a line at every tick of an axis.
func grid(horizontal, vertical bool) *plotter.Grid {
	g := plotter.NewGrid()
	g.Horizontal = draw.LineStyle{Color: rule, Width: 0.75}
	g.Vertical = g.Horizontal
	if !horizontal {
		g.Horizontal.Color = nil
	}
	if !vertical {
		g.Vertical.Color = nil
	}
	return g
}

// svg draws p with an accessible title.
func svg(p *plot.Plot, height float64, title, description string) (markup template.HTML, err error) {
	defer func() {
		// gonum/plot answers what it cannot draw with a panic. Validate keeps such numbers out; a page must not end a run.
		if r := recover(); r != nil {
			err = fmt.Errorf("chart %q: %v", title, r)
		}
	}()
	canvas := vgsvg.New(chartWidth, vg.Length(height))
	dc := draw.New(canvas)
	p.Draw(draw.Crop(dc, 2, -8, 2, -8)) // room for the last tick label
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err
	}
	return template.HTML(accessible(b.String(), height, title, description)), nil
}

var (
	head   = regexp.MustCompile(`(?s)^.*?<svg[^>]*>`)
	texts  = regexp.MustCompile(`<text ([^>]*?)\s+style="[^"]*?(fill:[^"]*)">([^<]*)</text>`)
	spaces = regexp.MustCompile(`\n\s*`)
)

// fitted gives a text the width for which gonum/plot has placed it, in whatever font the reader has, and leaves the font to
// the style sheet. Scripts that gonum/plot's own font lacks, and whose width it does not know, stay as they are.
func fitted(element string) string {
	m := texts.FindStringSubmatch(element)
	class, width := "", ""
	if m[2] == "fill:var(--"+axisName.name+")" {
		class = ` class="axis"`
	}
	label := html.UnescapeString(m[3])
	if strings.IndexFunc(label, func(r rune) bool { return r > unicode.MaxLatin1 && r != '\u2212' && r != '\u2026' }) < 0 {
		box, _, _ := plot.DefaultTextHandler.Box(label, sans())
		width = fmt.Sprintf(` textLength="%.1f" lengthAdjust="spacingAndGlyphs"`, box.Points())
	}
	return fmt.Sprintf(`<text%s %s%s style="%s">%s</text>`, class, m[1], width, m[2], m[3])
}

// accessible turns a file of vgsvg's into an element of the page: as wide as its column, in the reader's colours, with
// a title, a description, and names of axes that a program can find.
func accessible(file string, height float64, title, description string) string {
	body := themed(head.ReplaceAllString(file, ""))
	body = texts.ReplaceAllStringFunc(body, fitted)
	body = spaces.ReplaceAllString(body, "\n")
	opening := fmt.Sprintf(`<svg viewBox="0 0 %d %s" role="img" aria-label="%s"><title>%s</title><desc>%s</desc>`, chartWidth,
		strconv.FormatFloat(height, 'g', 5, 64), template.HTMLEscapeString(title+". "+description),
		template.HTMLEscapeString(title), template.HTMLEscapeString(description))
	return opening + body
}

// ticks are about five round numbers.
func ticks(low, high float64) []plot.Tick {
	if !(low < high) || math.IsInf(high-low, 0) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, m := range []float64{1, 2, 5, 10} {
		if (high-low)/(m*step) <= 5.5 {
			step *= m
			break
		}
	}
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	var all []plot.Tick
	first := math.Ceil(low/step - 1e-9)
	for i := 0.0; i < 12; i++ {
		v := (first + i) * step
		if v > high+step*1e-9 {
			break
		}
		all = append(all, plot.Tick{Value: v, Label: tickLabel(v, decimals)})
	}
	return all
}

func tickLabel(v float64, decimals int) string {
	a := math.Abs(v)
	var s string
	switch {
	case a < math.Pow10(-decimals)/2:
		return "0"
	case a >= 1e6 || decimals > 6:
		s = strconv.FormatFloat(a, 'g', 4, 64)
	case decimals == 0:
		s = count(int(math.Round(a)))
	default:
		s = strings.TrimPrefix(strconv.FormatFloat(a, 'f', decimals, 64), "0")
	}
	if v < 0 {
		return minus + s
	}
	return s
}

// line returns a line through the points.
func line(points plotter.XYs, c color.Color, width vg.Length, dashes ...vg.Length) (*plotter.Line, error) {
	l, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	l.LineStyle = draw.LineStyle{Color: c, Width: width, Dashes: dashes}
	return l, nil
}

// span widens an axis that would show a single value.
func span(axis *plot.Axis, low, high float64) {
	if high-low < 1e-9*math.Max(1e-6, math.Max(math.Abs(low), math.Abs(high))) {
		pad := math.Max(math.Abs(low)*0.1, 1e-3)
		low, high = low-pad, high+pad
	}
	axis.Min, axis.Max = low, high
}
