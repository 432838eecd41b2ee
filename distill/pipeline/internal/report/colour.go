package report

import (
	"fmt"
	"image/color"
	"strings"
)

// colour is a colour of the page by its meaning: one hexadecimal value on white paper and in light mode, one in dark mode.
// On its background text reaches a contrast of 4.5 and data of 3 (WCAG 2.2, 1.4.3 and 1.4.11).
type colour struct {
	name, light, dark string
}

// The colours. Charts tell series apart by lines of different kinds too, for print and for eyes that see no difference.
var (
	paper    = colour{"paper", "#ffffff", "#16181b"}
	ink      = colour{"ink", "#1b1e23", "#e6e4df"}
	axisName = colour{"axis", ink.light, ink.dark} // a name of its own tells a program what is the name of an axis
	muted    = colour{"muted", "#5a616b", "#a2a9b3"}
	rule     = colour{"rule", "#dcdfe4", "#353a41"}
	panel    = colour{"panel", "#f5f6f8", "#1f2226"}
	better   = colour{"better", "#1d5fbf", "#82b3f7"}
	worse    = colour{"worse", "#b8450f", "#f29c66"}
	neutral  = colour{"neutral", "#717986", "#8f97a3"}
	shade    = colour{"shade", "#b9bec6", "#50565f"} // says that a table goes on
)

var palette = []colour{paper, ink, axisName, muted, rule, panel, better, worse, neutral, shade}

// css defines the colours as variables.
func css(value func(colour) string) string {
	var b strings.Builder
	for _, c := range palette {
		fmt.Fprintf(&b, "--%s:%s;", c.name, value(c))
	}
	return b.String()
}

// RGBA lets gonum/plot draw with a colour of the page: not with the colour itself, which the reader's mode decides, but
// with a number that stands for it, which themed replaces by its name.
func (c colour) RGBA() (r, g, b, a uint32) {
	for i, known := range palette {
		if known.name == c.name {
			return color.RGBA{R: 1, G: 2, B: uint8(i), A: 255}.RGBA()
		}
	}
	return color.RGBA{R: 1, G: 2, B: 1, A: 255}.RGBA() // ink
}

// themed replaces what RGBA gave, as vgsvg writes it, by the variables of css.
func themed(svg string) string {
	pairs := make([]string, 0, 2*len(palette))
	for i, c := range palette {
		pairs = append(pairs, fmt.Sprintf("#0102%02X", i), "var(--"+c.name+")")
	}
	return strings.NewReplacer(pairs...).Replace(svg)
}
