package distill

import (
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// Settings holds, by name, everything that decides the bits of the student that Train leaves, but for the passages'
// vectors. Functions count only by whether they are set: what they measure is the caller's to name.
func (o Options) Settings(student encoder.Encoder, lists []retort.List) map[string]string {
	s := identity(student, lists, o.Selection.Dev, "", o)
	delete(s, "passages")
	s["DevFraction"], s["Interpolate"] = fmt.Sprint(o.Selection.DevFraction), fmt.Sprint(o.Selection.Interpolate)
	return s
}
