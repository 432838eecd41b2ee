package encodernet

import (
	"math"

	"github.com/retort-ir/retort/internal/modelfolder"
)

// rotarySchema is the schema of rope_parameters and rope_scaling.
var rotarySchema = modelfolder.Schema{
	Read: []string{"rope_type", "type", "rope_theta", "factor"},
	Refused: []modelfolder.Refusal{
		{Key: "partial_rotary_factor", OK: []string{"1", "1.0"}, Remedy: "a head turns as a whole"},
		{Key: "mixed_b", Remedy: "only NTK scaling by one factor is"},
	},
}

// rotary reads the rotary positions of heads of width d: the theta beside rope_scaling or within it, and a scaling.
// rope_scaling wins over rope_parameters, as in transformers.
func (r *configReader) rotary(theta float64, d int) Rotary {
	r.read("rope_theta", &theta)
	key := "rope_parameters"
	if r.s.IsSet("rope_scaling") {
		key = "rope_scaling"
	}
	return r.rotaryOf(key, theta, d)
}

// rotaryOf reads the object of a key; theta is for an object that has none.
func (r *configReader) rotaryOf(key string, theta float64, d int) Rotary {
	if r.err != nil || d < 2 {
		return Rotary{}
	}
	inner, err := r.s.Object(key)
	if err == nil {
		_, err = rotarySchema.Check(inner)
	}
	if err != nil {
		r.err = err
		return Rotary{}
	}
	o := &configReader{s: inner}
	kind, factor := "default", 1.0
	if !o.read("rope_type", &kind) {
		o.read("type", &kind)
	}
	o.read("rope_theta", &theta)
	o.read("factor", &factor)
	if o.err == nil && !(theta > 0 && theta < 1e12) {
		o.fail("rope_theta", "is %v", theta)
	}
	if o.err == nil && !(factor >= 1 && factor < 1e6) {
		o.fail("factor", "is %v", factor)
	}
	r.err = o.err
	switch {
	case r.err != nil || kind == "default":
	case kind == "linear":
		return Rotary{Theta: theta, Divisor: factor}
	case kind == "ntk":
		// Of the code beside gte's models: https://kexue.fm/archives/9706.
		return Rotary{Theta: theta * factor, Divisor: math.Pow(factor, 2/float64(d))}
	default:
		r.err = inner.Errorf("rope_type", "is %q; default, linear and ntk are supported", kind)
	}
	return Rotary{Theta: theta, Divisor: 1}
}
