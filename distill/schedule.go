package distill

import (
	"math"
	"math/rand/v2"
)

// schedule gives the learning rate of each step and the lists of each step. It has no state: a step number is enough to
// go on from.
type schedule struct {
	lists, perStep, epochs int
	lr, warmup, least      float64
	seed                   uint64

	epoch int // that order belongs to
	order []int
}

func newSchedule(lists int, s Schedule) *schedule {
	return &schedule{
		lists: lists, perStep: s.QueriesPerStep, epochs: s.Epochs,
		lr: s.LR, warmup: s.Warmup, least: s.MinLR, seed: s.Seed, epoch: -1,
	}
}

// stepsPerEpoch counts the last, shorter step of an epoch too.
func (s *schedule) stepsPerEpoch() int { return (s.lists + s.perStep - 1) / s.perStep }

func (s *schedule) steps() int { return s.epochs * s.stepsPerEpoch() }

// batch returns the numbers of the lists of a step, 0 <= step < steps().
func (s *schedule) batch(step int) []int {
	epoch, n := step/s.stepsPerEpoch(), step%s.stepsPerEpoch()
	if epoch != s.epoch {
		s.order = rand.New(rand.NewPCG(s.seed, uint64(epoch))).Perm(s.lists)
		s.epoch = epoch
	}
	return s.order[n*s.perStep : min((n+1)*s.perStep, s.lists)]
}

// rate returns the learning rate of a step: with w warm-up steps of n, LR (step+1)/w during warm-up, then
// LR (n-step)/(n-w), but not below the least one.
func (s *schedule) rate(step int) float64 {
	n := s.steps()
	w := int(math.Round(s.warmup * float64(n)))
	if step < w {
		return s.lr * float64(step+1) / float64(w)
	}
	return s.lr * max(s.least, float64(n-step)/float64(n-w))
}
