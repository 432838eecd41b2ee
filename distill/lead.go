package distill

import "context"

// Rank 0 leads: what it reads, decides and chooses is given to the others here.

// shareStart gives all workers the state that rank 0 begins with: that of its checkpoint, where it has one.
func (t *trainer) shareStart(ctx context.Context) error {
	start := struct {
		State   *trainState
		Resumed *bool
	}{&t.state, &t.resumed}
	return t.workers.broadcastJSON(ctx, &start)
}

// shareDecision gives all workers the state after an evaluation, and the student where it was drawn back.
func (t *trainer) shareDecision(ctx context.Context) error {
	if err := t.workers.broadcastJSON(ctx, &t.state); err != nil {
		return err
	}
	if n := len(t.state.History); n == 0 || t.state.History[n-1].DrawnBack == 0 {
		return nil
	}
	return t.workers.shareStudent(ctx, t.student)
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
