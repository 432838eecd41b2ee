package teacher

import (
	"context"
	"iter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/parallel"
)

// BatchTeacher is a Teacher that is faster on several lists at once. ScoreAll uses it.
type BatchTeacher interface {
	Teacher
	// BatchSize returns the preferred number of lists per call, >= 1. ScoreBatch accepts any number.
	BatchSize() int
	// ScoreBatch yields the index and the outcome of every list once, in the order of completion. The scores equal the
	// scores of Score and do not depend on the other lists. An error of one list does not affect the other lists. When
	// ctx ends the sequence ends; lists without an outcome have not been scored.
	ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored]
}

// Work is a list to score.
type Work struct {
	Query    retort.Query
	Passages []retort.Passage
}

// Scored is the outcome of one list: one score per passage, as from Teacher.Score, or an error.
type Scored struct {
	Scores []float64
	Err    error
	// Agreement is the agreement of the members of an Ensemble on the list, in [0,1]: 1 if all members rank the
	// passages equally, 0 if two members rank them in opposite orders, and about 1/2 if the rankings are uncorrelated.
	// It is the mean of (1 + tau_b) / 2 over the pairs of members, with Kendall's tau-b, which handles ties (Kendall
	// 1945, "The treatment of ties in ranking problems", Biometrika 33). A pair counts 1/2 if one member gives all
	// passages the same score. It is 0 if the teacher is not an Ensemble of two or more members.
	Agreement float64
}

// ScoreAll yields every list with its scores, in the order of lists. It checks and fills scores like Score. It scores
// workers lists at a time, or workers batches of a BatchTeacher; 0 means one per processor. It keeps only a bounded
// number of lists in memory, so lists may be a stream of any length; it is read from another goroutine.
//
// A failed list, or an error of lists itself, yields an error that names the query, and the sequence continues; leave
// the loop to stop at the first error. When the context ends, ScoreAll yields the lists that are already scored, up to
// the first list that is not, and then the context's error. No goroutine outlives the loop.
func ScoreAll(ctx context.Context, t Teacher, lists iter.Seq2[Work, error], workers int) iter.Seq2[Work, Scored] {
	return func(yield func(Work, Scored) bool) {
		all := func(yield func(listed) bool) {
			for work, err := range lists {
				if !yield(listed{work, err}) {
					return
				}
			}
		}
		score := func(ctx context.Context, lists []listed) []Scored { return scoreListed(ctx, t, lists) }
		for list, scored := range parallel.Map(ctx, all, batchSize(t), workers, score) {
			if ctx.Err() != nil && scored.Err != nil {
				break
			}
			if !yield(list.work, scored) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Work{}, Scored{Err: err})
		}
	}
}

// listed is a list, or the error with which it could not be read.
type listed struct {
	work Work
	err  error
}

func scoreListed(ctx context.Context, t Teacher, lists []listed) []Scored {
	outcomes := make([]Scored, len(lists))
	var readable []Work
	var at []int
	for i, l := range lists {
		if outcomes[i].Err = l.err; l.err == nil {
			readable, at = append(readable, l.work), append(at, i)
		}
	}
	for n, scored := range rawEach(ctx, t, readable) {
		if scored.Err == nil {
			scored.Scores = fillMissing(scored.Scores)
		}
		outcomes[at[n]] = scored
	}
	return outcomes
}

func batchSize(t Teacher) int {
	if b, ok := t.(BatchTeacher); ok {
		return max(1, b.BatchSize())
	}
	return 1
}

// rawEach is rawScores for many lists: every list has exactly one outcome, whatever the teacher does.
func rawEach(ctx context.Context, t Teacher, lists []Work) iter.Seq2[int, Scored] {
	var got iter.Seq2[int, Scored]
	if b, ok := t.(BatchTeacher); ok {
		got = b.ScoreBatch(ctx, lists)
	} else {
		got = parallel.InTurn(ctx, len(lists), func(i int) Scored {
			scores, err := t.Score(ctx, lists[i].Query, lists[i].Passages)
			return Scored{Scores: scores, Err: err}
		})
	}
	failed := func(err error) Scored { return Scored{Err: err} }
	return func(yield func(int, Scored) bool) {
		for i, scored := range parallel.Outcomes(ctx, len(lists), "the teacher", got, failed) {
			scores, err := checkScores(lists[i].Query, lists[i].Passages, scored.Scores, scored.Err)
			if !yield(i, Scored{scores, err, scored.Agreement}) {
				return
			}
		}
	}
}
