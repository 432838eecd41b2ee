package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/retort-ir/retort/eval"
)

// notMade is the p-value of a test that was not made.
var notMade = math.NaN()

// figure writes ".4367".
func figure(x float64) string {
	return strings.Replace(fmt.Sprintf("%.4f", x), "0.", ".", 1)
}

func signed(x float64) string {
	return strings.Replace(fmt.Sprintf("%+.4f", x), "0.", ".", 1)
}

func interval(c eval.Comparison) string { return signed(c.Low) + " to " + signed(c.High) }

func pValue(p float64) string {
	switch {
	case math.IsNaN(p):
		return ""
	case p < 0.0001:
		return "< .0001"
	case p >= 0.995:
		return "1"
	}
	return strings.TrimPrefix(fmt.Sprintf("%.2g", p), "0")
}

func devMean(r *ranked) string {
	if r == nil {
		return ""
	}
	return figure(r.Mean)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
