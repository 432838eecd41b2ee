package training

import (
	"math"
	"math/rand/v2"
)

// The constants of AdamW.
const (
	Beta1 = 0.9
	Beta2 = 0.999
	Eps   = 1e-8
)

// Schedule gives the learning rate and the items of each step. Both depend on the number of the step alone, so that
// training can resume at any step. Only Rate is safe for concurrent use.
type Schedule struct {
	Items   int // number of training items
	PerStep int // items per step; the last step of an epoch may have fewer
	Epochs  int // passes over the items
	Seed    uint64
	LR      float64 // peak of the learning rate
	Warmup  float64 // share of the steps, in [0,1], over which the rate rises to LR
	MinLR   float64 // the linear decay towards 0 stops at this share of LR, in [0,1]

	order []int // of the items in epoch
	epoch int
}

// StepsPerEpoch counts the last, shorter step of an epoch too.
func (s *Schedule) StepsPerEpoch() int { return (s.Items + s.PerStep - 1) / s.PerStep }

// Steps is the number of all steps.
func (s *Schedule) Steps() int { return s.Epochs * s.StepsPerEpoch() }

// Epoch returns the epoch of a step, 0 <= step < Steps().
func (s *Schedule) Epoch(step int) int { return step / s.StepsPerEpoch() }

// Passes returns the number of passes over the items after a number of steps.
func (s *Schedule) Passes(steps int) float64 { return float64(steps) / float64(s.StepsPerEpoch()) }

// Batch returns the numbers in [0,Items) of the items of a step, 0 <= step < Steps(). Each epoch has every item once,
// in its own order. Do not change the slice.
func (s *Schedule) Batch(step int) []int {
	epoch, n := s.Epoch(step), step%s.StepsPerEpoch()
	if s.order == nil || epoch != s.epoch {
		s.order = rand.New(rand.NewPCG(s.Seed, uint64(epoch))).Perm(s.Items)
		s.epoch = epoch
	}
	return s.order[n*s.PerStep : min((n+1)*s.PerStep, s.Items)]
}

// Rate returns the learning rate of a step: with w warm-up steps of n, LR (step+1)/w during warm-up, then
// LR (n-step)/(n-w), but at least MinLR LR.
func (s *Schedule) Rate(step int) float64 {
	n := s.Steps()
	w := int(math.Round(s.Warmup * float64(n)))
	if step < w {
		return s.LR * float64(step+1) / float64(w)
	}
	return s.LR * max(s.MinLR, float64(n-step)/float64(n-w))
}
