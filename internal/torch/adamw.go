package torch

import (
	"sync"

	"github.com/retort-ir/retort/internal/torch/raw"
)

// AdamW holds the numbers of one step of AdamW:
//
//	g = scale g;  m += weight1 (g - m);  v += weight2 (g² - v);  w = keep w - rate m / (sqrt(v) + eps)
type AdamW struct{ Scale, Weight1, Weight2, Keep, Rate, Eps float64 }

// AdamW makes a step with weights w, moments m and v and gradient g, contiguous float32 tensors of n elements, and
// zeroes the gradient. On the CPU it passes over memory once, where LibTorch's operations would each make a pass.
func (s *Scope) AdamW(a AdamW, w, m, v, g Tensor, n int64) {
	if !s.ready("adamw", w, m, v, g) {
		return
	}
	if !s.OnCPU() {
		s.adamWByOperations(a, w, m, v, g)
		return
	}
	inParallel(s.rt.threads, n, func(start, end int64) {
		raw.AdamW(w, m, v, g, start, end,
			float32(a.Scale), float32(a.Weight1), float32(a.Weight2), float32(a.Keep), float32(a.Rate), float32(a.Eps))
	})
}

// adamWByOperations is for devices whose memory the CPU cannot access.
func (s *Scope) adamWByOperations(a AdamW, w, m, v, g Tensor) {
	s.ScaleInPlace(g, a.Scale)
	s.LerpInPlace(m, g, a.Weight1)
	s.MulInPlace(g, g)
	s.LerpInPlace(v, g, a.Weight2)
	s.ZeroInPlace(g)
	s.ScaleInPlace(w, a.Keep)
	if a.Rate == 0 {
		return
	}
	denominator := s.Sqrt(v)
	s.AddScalarInPlace(denominator, a.Eps)
	s.ScaleInPlace(denominator, -1/a.Rate)
	s.AddDivInPlace(w, m, denominator)
}

// smallest is the least number of elements per goroutine.
const smallest = 1 << 16

// inParallel splits n elements into one range a thread and calls f with each range.
func inParallel(threads int, n int64, f func(start, end int64)) {
	runs := min(int64(threads), (n+smallest-1)/smallest)
	var wg sync.WaitGroup
	for i := int64(1); i < runs; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(i*n/runs, (i+1)*n/runs)
		}()
	}
	if runs > 0 {
		f(0, n/runs)
	}
	wg.Wait()
}
