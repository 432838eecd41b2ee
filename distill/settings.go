package distill

import (
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// Settings returns, by name, every setting that affects the bits of the trained student, except for Options.Vectors.
// For a function it records only whether it is set; the caller must identify what the function measures.
func (o Options) Settings(student encoder.Encoder, lists []retort.List) map[string]string {
	s := identity(student, lists, o.Selection.Dev, "", o)
	delete(s, "passages")
	s["DevFraction"], s["Interpolate"] = fmt.Sprint(o.Selection.DevFraction), fmt.Sprint(o.Selection.Interpolate)
	return s
}
