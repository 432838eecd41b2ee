package training

import (
	"errors"
	"fmt"
)

// ErrExplodingLoss says that the loss has risen too far.
var ErrExplodingLoss = errors.New("the loss explodes")

// lossWindow is the number of steps in the mean of the loss, since a single step can be hard.
const lossWindow = 10

// leastStart bounds the loss of the first steps from below, so that an almost perfect start does not make every later
// loss too high.
const leastStart = 0.01

// watchLoss returns ErrExplodingLoss if the mean loss of the last steps is above maxRise times the highest loss of the
// run's first steps; maxRise 0: never.
func (s *State) watchLoss(loss, maxRise float64) error {
	if s.Step <= lossWindow {
		s.StartLoss = max(s.StartLoss, loss, leastStart)
	}
	s.RecentLosses = append(s.RecentLosses, loss)
	s.RecentLosses = s.RecentLosses[max(0, len(s.RecentLosses)-lossWindow):]
	if maxRise == 0 || s.Step <= lossWindow {
		return nil
	}
	var mean float64
	for _, l := range s.RecentLosses {
		mean += l / float64(len(s.RecentLosses))
	}
	if mean <= maxRise*s.StartLoss {
		return nil
	}
	return fmt.Errorf("%w: its mean over the last %d steps is %.4g, and none of the first %d steps was above %.4g; "+
		"a lower LR or more Warmup may help, and MaxLossRise says what is too high",
		ErrExplodingLoss, len(s.RecentLosses), mean, lossWindow, s.StartLoss)
}
