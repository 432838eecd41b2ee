package teacher

import (
	"context"
	"iter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/parallel"
)

// BatchTeacher is a Teacher that works faster on several lists at once. ScoreAll makes use of it.
type BatchTeacher interface {
	Teacher
	// BatchSize is how many lists it would like to get at once, >= 1. It takes any number.
	BatchSize() int
	// ScoreBatch yields the outcome of every list under its index, once each and in the order in which they finish. The
	// scores equal those of Score, whatever the other lists are. A list that fails does not affect the others. When the
	// context ends so does the sequence; what is missing then has not been scored.
	ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored]
}

// Work is a list to be scored.
type Work struct {
	Query    retort.Query
	Passages []retort.Passage
}

// Scored is the outcome of one list: one score a passage, as Teacher.Score returns them, or an error.
type Scored struct {
	Scores []float64
	Err    error
	// Agreement is a confidence in the list, from an Ensemble of two members or more: 1 where all of them rank its
	// passages alike, 0 where two rank them the other way round, and about 1/2 where they have nothing to do with each
	// other. It is the mean over the pairs of members of (1 + tau_b) / 2, with Kendall's tau-b, which takes equal
	// scores into account (Kendall 1945, "The treatment of ties in ranking problems", Biometrika 33). A pair of which
	// one member ranks nothing above anything else counts 1/2. It is 0 where nobody says.
	Agreement float64
}

// ScoreAll yields every list with its scores, in the order of lists, whatever finishes first. Scores are checked and
// filled as Score does. workers lists are worked on at the same time, or workers batches of a BatchTeacher; 0 means one
// a processor. Only as many lists are held as are being worked on and a few more, so lists may be a stream of any
// length; it is read from another goroutine.
//
// A list that fails gives an error that names its query, and the sequence goes on, as it does after an error of lists
// itself: whoever wants to stop at the first error leaves the loop. When the context ends, what is scored already still
// comes, up to the first list that is not, and then the context's error. No goroutine outlives the loop.
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
