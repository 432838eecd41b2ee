package report

import (
	"fmt"
	"math"
	"slices"
)

// What numbers may be, so that a chart of them can be drawn.
const (
	maxNumber = 1e15
	maxCount  = 1 << 40
)

func finite(v float64) bool { return math.Abs(v) <= maxNumber } // false for NaN

// Validate names the first field that is wrong.
func (d Data) Validate() error {
	for section := range d.Missing {
		if !slices.ContainsFunc(sections, func(s sectionText) bool { return s.Section == section }) {
			return fmt.Errorf("missing: there is no section %q", section)
		}
	}
	for i, set := range d.Sets {
		if err := set.validate(); err != nil {
			return fmt.Errorf("sets[%d] %q: %w", i, set.Name, err)
		}
	}
	if d.Training != nil {
		if err := d.Training.validate(); err != nil {
			return fmt.Errorf("training: %w", err)
		}
	}
	for i, f := range d.Funnel.Filters {
		for kind, c := range f.Types {
			if c.Kept < 0 || c.Dropped < 0 || c.Kept > maxCount || c.Dropped > maxCount {
				return fmt.Errorf("funnel.filters[%d] %q: type %q: kept %d, dropped %d", i, f.Name, kind, c.Kept, c.Dropped)
			}
		}
	}
	for i, s := range d.Scores {
		if len(s.Series) == 0 || len(s.Series) > len(seriesColours) {
			return fmt.Errorf("scores[%d] %q: %d series, want 1 to %d", i, s.Title, len(s.Series), len(seriesColours))
		}
		for _, line := range s.Series {
			if err := line.Histogram.validate(); err != nil {
				return fmt.Errorf("scores[%d] %q: series %q: %w", i, s.Title, line.Name, err)
			}
		}
	}
	for i, s := range d.Stages {
		if !finite(s.Seconds) || s.Seconds < 0 || s.PeakBytes < 0 || s.PeakBytes > maxNumber || s.Records < 0 {
			return fmt.Errorf("stages[%d] %q: seconds %v, peak_bytes %d, records %d", i, s.Name, s.Seconds, s.PeakBytes, s.Records)
		}
	}
	for i, h := range d.Hashes {
		if h.Bytes < 0 {
			return fmt.Errorf("hashes[%d] %q: bytes %d", i, h.Name, h.Bytes)
		}
	}
	return nil
}

func (s QuerySet) validate() error {
	for _, m := range s.Metrics {
		for _, v := range []*float64{m.BM25, m.Before, m.Teacher, m.After} {
			if v != nil && !finite(*v) {
				return fmt.Errorf("metric %q: a mean is %v", m.Name, *v)
			}
		}
		if c := m.Difference; c != nil {
			if !finite(c.Delta) || !finite(c.Low) || !finite(c.High) || c.Low > c.High {
				return fmt.Errorf("metric %q: difference %v, interval %v to %v", m.Name, c.Delta, c.Low, c.High)
			}
			if !(c.P >= 0 && c.P <= 1) {
				return fmt.Errorf("metric %q: p is %v, want 0 to 1", m.Name, c.P)
			}
		}
	}
	for _, g := range s.Gains {
		if !finite(g.Before) || !finite(g.After) {
			return fmt.Errorf("query %q: %v before, %v after", g.ID, g.Before, g.After)
		}
		for _, h := range append(slices.Clone(g.TopBefore), g.TopAfter...) {
			if !finite(h.Score) {
				return fmt.Errorf("query %q: passage %q: score %v", g.ID, h.ID, h.Score)
			}
		}
	}
	return nil
}

func (t Training) validate() error {
	last := math.MinInt
	for i, s := range t.Steps {
		if s.Step <= last || s.Step < 0 || s.Step > maxCount || !finite(s.Loss) {
			return fmt.Errorf("steps[%d]: step %d, loss %v: want steps that ascend and a finite loss", i, s.Step, s.Loss)
		}
		last = s.Step
	}
	last = math.MinInt
	for i, e := range t.Evaluations {
		if e.Step <= last || e.Step < 0 || e.Step > maxCount || !finite(e.Score) {
			return fmt.Errorf("evaluations[%d]: step %d, score %v: want steps that ascend and a finite score", i, e.Step, e.Score)
		}
		last = e.Step
	}
	return nil
}
