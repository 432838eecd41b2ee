package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/retort-ir/retort/internal/torch"
)

// peak is a product of an [m x k] and a [k x n] matrix, whose speed is measured.
type peak struct {
	M         int64  `json:"m"`
	K         int64  `json:"k"`
	N         int64  `json:"n"`
	Precision string `json:"precision"`
	Threads   int    `json:"threads"`
	Device    string `json:"device"`
}

// speed is what a peak found.
type speed struct {
	M     int64   `json:"m"` // smaller than asked for where that would have taken long
	K     int64   `json:"k"`
	N     int64   `json:"n"`
	Flops float64 `json:"flops"` // a second; the best of several
}

// slow is how long one product may take: where bf16 is not in the processor, a large one takes minutes.
const slow = 5.0

func (p peak) run(ctx context.Context) (speed, error) {
	rt, err := torch.Open(torch.Options{Threads: p.Threads, Device: p.Device})
	if err != nil {
		return speed{}, err
	}
	defer func() { _ = rt.Close() }()
	small := p
	small.M, small.K, small.N = min(p.M, 256), min(p.K, 256), min(p.N, 256)
	guess, err := small.best(ctx, rt, 1)
	if err != nil {
		return speed{}, err
	}
	for p.operations()/guess > slow && p.M > 256 {
		p.M, p.K, p.N = p.M/2, p.K/2, p.N/2
	}
	best, err := p.best(ctx, rt, 5)
	return speed{M: p.M, K: p.K, N: p.N, Flops: best}, err
}

func (p peak) operations() float64 { return 2 * float64(p.M) * float64(p.K) * float64(p.N) }

// best returns operations a second, the most of some times after one that warms up.
func (p peak) best(ctx context.Context, rt *torch.Runtime, times int) (best float64, err error) {
	products := 1
	if p.Device != "cpu" {
		products = 20 // they are queued, and waited for together
	}
	err = rt.Run(ctx, func(s *torch.Scope) error {
		a, b := p.random(s, p.M, p.K), p.random(s, p.K, p.N)
		for i := range times + 1 {
			if err := ctx.Err(); err != nil {
				return err
			}
			start := time.Now()
			s.Sub(func(s *torch.Scope) torch.Tensor {
				var c torch.Tensor
				for range products {
					c = s.MatMul(a, b)
				}
				s.Floats(s.As(s.Narrow(s.Narrow(c, 0, 0, 1), 1, 0, 1), torch.Float32))
				return nil
			})
			if i > 0 {
				best = max(best, float64(products)*p.operations()/time.Since(start).Seconds())
			}
		}
		return s.Err()
	})
	return best, err
}

func (p peak) random(s *torch.Scope, rows, cols int64) torch.Tensor {
	rng := rand.New(rand.NewPCG(5, 6))
	data := make([]float32, rows*cols)
	for i := range data {
		data[i] = rng.Float32() - 0.5
	}
	t := s.FromFloats(data, rows, cols)
	if p.Precision == "bf16" {
		return s.As(t, torch.BFloat16)
	}
	return t
}
