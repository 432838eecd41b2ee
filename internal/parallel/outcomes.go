package parallel

import (
	"context"
	"fmt"
	"iter"
)

// Outcomes yields exactly one outcome for each of the n items of a batch: first the outcomes of got, by index, then
// failed(reason) for the items that got omitted. Outcomes stops reading got at an index that does not exist or occurs
// twice. by names the answerer in errors.
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

// Collect is Outcomes as a slice. If an index of got does not exist or occurs twice, all items fail: which outcome
// belongs to which item is unknown.
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

// InTurn yields the results of do(0) to do(n-1), one after another, until the context ends: a batch for a do that takes
// single items.
func InTurn[R any](ctx context.Context, n int, do func(i int) R) iter.Seq2[int, R] {
	return func(yield func(int, R) bool) {
		for i := 0; i < n && ctx.Err() == nil; i++ {
			if !yield(i, do(i)) {
				return
			}
		}
	}
}

// answers records which items of a batch are answered.
type answers struct {
	by    string
	had   []bool
	wrong error
}

// take records an outcome of item i and says whether it is valid.
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
	return fmt.Errorf("%s did not answer this item of a batch", a.by)
}
