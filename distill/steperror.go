package distill

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/retort-ir/retort/internal/training"
)

// What is wrong with the loss of a step, inside a stepFailure.
var (
	errNonFiniteLoss = errors.New("the loss is not finite")
	errExplodingLoss = training.ErrExplodingLoss
)

// stepFailure says which step of Train failed.
type stepFailure struct {
	Step, Steps int      // from 1, of the run
	Queries     []string // ids of the step's lists
	// Checkpoint is the folder of the last good checkpoint, and CheckpointStep its number of completed steps; empty and
	// 0 if there is none.
	Checkpoint     string
	CheckpointStep int
	Err            error
}

// namedQueries is the largest number of queries that an error lists.
const namedQueries = 20

func (e *stepFailure) Error() string {
	var ids []string
	for i, id := range e.Queries {
		if i == namedQueries {
			ids = append(ids, fmt.Sprintf("and %d more", len(e.Queries)-i))
			break
		}
		ids = append(ids, fmt.Sprintf("%q", id))
	}
	return fmt.Sprintf("distill: step %d of %d: %v; queries of the step: %s; %s",
		e.Step, e.Steps, e.Err, strings.Join(ids, ", "), training.DescribeLastGood(e.Checkpoint, e.CheckpointStep))
}

// Unwrap returns what went wrong.
func (e *stepFailure) Unwrap() error { return e.Err }

// stepError does not return a stepFailure for the end of the context or the loss of a worker.
func (t *trainer) stepError(step int, err error) error {
	steps := t.loop.Schedule.Steps()
	if t.current == nil {
		return fmt.Errorf("distill: step %d of %d: %w", step, steps, err)
	}
	failed := &stepFailure{Step: step, Steps: steps, Err: err}
	for _, e := range t.current.batch {
		failed.Queries = append(failed.Queries, e.id)
	}
	failed.Checkpoint, failed.CheckpointStep = t.loop.LastGood()
	return failed
}

// checkLoss returns errNonFiniteLoss where a loss is not finite.
func checkLoss(loss float64) error {
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%w: %v", errNonFiniteLoss, loss)
	}
	return nil
}
