package distill

import (
	"context"
	"errors"
)

// Rank 0 leads: this file sends its state and decisions to the other workers.

// shareStart sends the initial state of rank 0 to all workers, including the state of its checkpoint if there is one.
func (t *trainer) shareStart(ctx context.Context) error {
	start := struct {
		State   *trainState
		Resumed *bool
	}{&t.state, &t.loop.Resumed}
	return t.workers.broadcastJSON(ctx, &start)
}

// lead is the loop's group.
type lead struct{ *trainer }

// Leads reports whether this worker is rank 0.
func (l lead) Leads() bool { return l.workers.leads() }

// Lost reports whether err means that another worker was lost.
func (l lead) Lost(err error) bool { return errors.Is(err, ErrWorkerLost) }

// ShareModel sends the student of rank 0 to all workers.
func (l lead) ShareModel(ctx context.Context) error { return l.workers.shareStudent(ctx, l.student) }

// ShareDecision sends the state after an evaluation to all workers, and the student if its weights were interpolated.
func (l lead) ShareDecision(ctx context.Context) error {
	if err := l.workers.broadcastJSON(ctx, &l.state); err != nil {
		return err
	}
	if n := len(l.state.History); n == 0 || l.state.History[n-1].DrawnBack == 0 {
		return nil
	}
	return l.ShareModel(ctx)
}

// shareResult sends the result and the best student to all workers.
func (t *trainer) shareResult(ctx context.Context, result *Result) (*Result, error) {
	if result == nil {
		result = &Result{}
	}
	if err := t.workers.broadcastJSON(ctx, result); err != nil {
		return nil, err
	}
	if result.Best.Step == result.Steps && result.Alpha == 1 {
		return result, nil
	}
	return result, t.workers.shareStudent(ctx, t.student)
}
