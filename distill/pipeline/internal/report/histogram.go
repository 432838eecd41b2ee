package report

import (
	"fmt"
	"math"
)

// Histogram counts values in bins of equal width over [Low, High]. It belongs to one goroutine.
type Histogram struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`   // counts in the last bin
	Counts []int   `json:"counts"` // one a bin
	Below  int     `json:"below,omitempty"`
	Above  int     `json:"above,omitempty"`
}

// NewHistogram returns an empty histogram. It needs low < high and at least one bin; teachers' targets lie in [0,1], cosines
// in [-1,1], and fifty bins look well.
func NewHistogram(low, high float64, bins int) (*Histogram, error) {
	if bins < 1 {
		return nil, fmt.Errorf("histogram: %d bins, want at least 1", bins)
	}
	h := &Histogram{Low: low, High: high, Counts: make([]int, bins)}
	if err := h.validate(); err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return h, nil
}

// Add counts a value. One that is not a number is not counted.
func (h *Histogram) Add(value float64) {
	switch {
	case math.IsNaN(value):
	case value < h.Low:
		h.Below++
	case value > h.High:
		h.Above++
	default:
		bin := int((value - h.Low) / (h.High - h.Low) * float64(len(h.Counts)))
		h.Counts[min(bin, len(h.Counts)-1)]++
	}
}

// Total is the number of values counted.
func (h *Histogram) Total() int {
	total := h.Below + h.Above
	for _, n := range h.Counts {
		total += n
	}
	return total
}

const maxBins = 10_000

func (h *Histogram) validate() error {
	switch {
	case !finite(h.Low) || !finite(h.High) || !(h.Low < h.High):
		return fmt.Errorf("range %v to %v", h.Low, h.High)
	case (h.High-h.Low)/math.Max(math.Abs(h.Low), math.Abs(h.High)) < 1e-9:
		return fmt.Errorf("range %v to %v is too narrow to draw", h.Low, h.High)
	case len(h.Counts) == 0 || len(h.Counts) > maxBins:
		return fmt.Errorf("%d bins, want 1 to %d", len(h.Counts), maxBins)
	}
	for _, n := range append([]int{h.Below, h.Above}, h.Counts...) {
		if n < 0 || n > maxCount {
			return fmt.Errorf("a count is %d", n)
		}
	}
	return nil
}
