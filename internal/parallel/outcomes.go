package parallel

import (
	"context"
	"fmt"
	"iter"
)

// Outcomes yields exactly one outcome for each of the n items of a batch, whatever got does: those that got gives under
// the items' indexes, and then, for the items that it left out, what failed makes of the reason. Once got gives an
// index that does not exist, or one twice, nothing more of it is used. by names in errors who answers.
func Outcomes[R any](
	ctx context.Context, n int, by string, got iter.Seq2[int, R], failed func(error) R,
) iter.Seq2[int, R] {
	return func(yield func(int, R) bool) {
		a := answers{by: by, had: make([]bool, n)}
		for i, outcome := range got {
			if !a.take(i) {
				break
			}
			if !yield(i, outcome) {
				return
			}
		}
		for i := range n {
			if !a.had[i] && !yield(i, failed(a.reason(ctx))) {
				return
			}
		}
	}
}

// Collect is Outcomes as a slice. Where got gives an index that does not exist, or one twice, all items fail: nobody
// knows which outcome belongs to which item.
func Collect[R any](ctx context.Context, n int, by string, got iter.Seq2[int, R], failed func(error) R) []R {
	all := make([]R, n)
	a := answers{by: by, had: make([]bool, n)}
	for i, outcome := range got {
		if !a.take(i) {
			clear(a.had)
			break
		}
		all[i] = outcome
	}
	for i := range all {
		if !a.had[i] {
			all[i] = failed(a.reason(ctx))
		}
	}
	return all
}

// InTurn yields what do returns for 0 to n-1, one after the other, until the context ends: the outcomes of a batch for
// what takes no batches.
func InTurn[R any](ctx context.Context, n int, do func(i int) R) iter.Seq2[int, R] {
	return func(yield func(int, R) bool) {
		for i := 0; i < n && ctx.Err() == nil; i++ {
			if !yield(i, do(i)) {
				return
			}
		}
	}
}

// answers knows which items of a batch are answered.
type answers struct {
	by    string
	had   []bool
	wrong error
}

// take says whether an outcome of item i is in order.
func (a *answers) take(i int) bool {
	switch {
	case i < 0 || i >= len(a.had):
		a.wrong = fmt.Errorf("%s answered item %d of a batch of %d", a.by, i, len(a.had))
	case a.had[i]:
		a.wrong = fmt.Errorf("%s answered item %d of a batch twice", a.by, i)
	default:
		a.had[i] = true
	}
	return a.wrong == nil
}

// reason says why an item has no outcome.
func (a *answers) reason(ctx context.Context) error {
	switch {
	case a.wrong != nil:
		return a.wrong
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%s left it out of the answers to a batch", a.by)
}
