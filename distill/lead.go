package distill

import (
	"context"
	"errors"
)

// Rank 0 leads: what it reads, decides and chooses is given to the others here.

// shareStart gives all workers the state that rank 0 begins with: that of its checkpoint, where it has one.
func (t *trainer) shareStart(ctx context.Context) error {
	start := struct {
		State   *trainState
		Resumed *bool
	}{&t.state, &t.loop.Resumed}
	return t.workers.broadcastJSON(ctx, &start)
}

// lead is the loop's group.
type lead struct{ *trainer }

// Leads says whether this worker is rank 0.
func (l lead) Leads() bool { return l.workers.leads() }

// Lost says whether an error is the loss of another worker.
func (l lead) Lost(err error) bool { return errors.Is(err, ErrWorkerLost) }

// ShareModel gives all workers the student of rank 0.
func (l lead) ShareModel(ctx context.Context) error { return l.workers.shareStudent(ctx, l.student) }

// ShareDecision gives all workers the state after an evaluation, and the student where it was drawn back.
func (l lead) ShareDecision(ctx context.Context) error {
	if err := l.workers.broadcastJSON(ctx, &l.state); err != nil {
		return err
	}
	if n := len(l.state.History); n == 0 || l.state.History[n-1].DrawnBack == 0 {
		return nil
	}
	return l.ShareModel(ctx)
}

// shareResult gives all workers the result and the student that won.
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
