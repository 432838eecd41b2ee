package teacher

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/retort-ir/retort"
)

// BatchTeacher is a Teacher that works faster on several lists at once. ScoreAll makes use of it.
type BatchTeacher interface {
	Teacher
	// BatchSize is how many lists it would like to get at once, >= 1. It takes any number.
	BatchSize() int
	// ScoreBatch yields the outcome of every list under its index, once each and in the order in which they finish. The scores
	// equal those of Score, whatever lists stand beside. Where one list fails the others stand. When the context ends so does
	// the sequence; what is missing then has not been scored.
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
	// Agreement says how far an Ensemble's members agree on the list, in [0,1] (see Agreement); 0 where nobody says.
	Agreement float64
}

// ScoreAll yields every list with its scores, in the order of lists, whatever finishes first. Scores are checked and filled
// as Score does. workers lists are worked on at the same time, or workers batches of a BatchTeacher; 0 means one a processor.
// Only as many lists are held as are being worked on and a few more, so lists may be a stream of any length; it is read
// from another goroutine.
//
// A list that fails gives an error that names its query, and the sequence goes on, as it does after an error of lists
// itself: whoever wants to stop at the first error leaves the loop. When the context ends, what is scored already still
// comes, up to the first list that is not, and then the context's error. No goroutine outlives the loop.
func ScoreAll(ctx context.Context, t Teacher, lists iter.Seq2[Work, error], workers int) iter.Seq2[Work, Scored] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(Work, Scored) bool) {
		outer := ctx
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for batch := range startBatches(ctx, t, lists, workers, &wg) {
			<-batch.done
			for i, work := range batch.lists {
				if err := outer.Err(); err != nil && batch.outcomes[i].Err != nil {
					yield(Work{}, Scored{Err: err})
					return
				}
				if !yield(work, batch.outcomes[i]) {
					return
				}
			}
		}
		if err := outer.Err(); err != nil {
			yield(Work{}, Scored{Err: err})
		}
	}
}

// scoreBatch are lists that are scored together; outcomes may be read once done is closed.
type scoreBatch struct {
	lists    []Work
	outcomes []Scored
	done     chan struct{}
}

// startBatches starts the work and returns a channel of the batches, in the order of lists.
func startBatches(ctx context.Context, t Teacher, lists iter.Seq2[Work, error], workers int, wg *sync.WaitGroup) <-chan *scoreBatch {
	const ahead = 2 // batches a worker, so that none waits for the slowest
	queue := make(chan *scoreBatch, ahead*workers)
	slots := make(chan struct{}, workers)
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer close(queue)
		for batch := range batches(lists, batchSize(t)) {
			select {
			case queue <- batch:
			case <-ctx.Done():
				return
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				batch.abandon(ctx.Err())
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				batch.score(ctx, t)
				<-slots
			}()
		}
	}()
	return queue
}

// batches cuts the stream. A list that could not be read is an outcome already.
func batches(lists iter.Seq2[Work, error], size int) iter.Seq[*scoreBatch] {
	fresh := func() *scoreBatch { return &scoreBatch{done: make(chan struct{})} }
	return func(yield func(*scoreBatch) bool) {
		batch := fresh()
		for work, err := range lists {
			batch.lists, batch.outcomes = append(batch.lists, work), append(batch.outcomes, Scored{Err: err})
			if len(batch.lists) < size {
				continue
			}
			if !yield(batch) {
				return
			}
			batch = fresh()
		}
		if len(batch.lists) > 0 {
			yield(batch)
		}
	}
}

func (b *scoreBatch) abandon(err error) {
	defer close(b.done)
	for i := range b.outcomes {
		b.outcomes[i] = Scored{Err: err}
	}
}

func (b *scoreBatch) score(ctx context.Context, t Teacher) {
	defer close(b.done)
	var readable []Work
	var at []int
	for i, work := range b.lists {
		if b.outcomes[i].Err == nil {
			readable, at = append(readable, work), append(at, i)
		}
	}
	for n, scored := range rawEach(ctx, t, readable) {
		if scored.Err == nil {
			scored.Scores = FillMissing(scored.Scores)
		}
		b.outcomes[at[n]] = scored
	}
}

func batchSize(t Teacher) int {
	if b, ok := t.(BatchTeacher); ok {
		return max(1, b.BatchSize())
	}
	return 1
}

// rawEach is rawScores for many lists: every list has exactly one outcome, whatever the teacher does.
func rawEach(ctx context.Context, t Teacher, lists []Work) iter.Seq2[int, Scored] {
	b, ok := t.(BatchTeacher)
	if !ok {
		return oneByOne(ctx, t, lists)
	}
	return func(yield func(int, Scored) bool) {
		answered := make([]bool, len(lists))
		var wrong error
		for i, scored := range b.ScoreBatch(ctx, lists) {
			if i < 0 || i >= len(lists) {
				wrong = fmt.Errorf("the teacher answered list %d of a batch of %d", i, len(lists))
				break
			}
			if answered[i] {
				wrong = fmt.Errorf("the teacher answered query %q of a batch twice", lists[i].Query.ID)
				break
			}
			answered[i] = true
			scores, err := checkScores(lists[i].Query, lists[i].Passages, scored.Scores, scored.Err)
			if !yield(i, Scored{scores, err, scored.Agreement}) {
				return
			}
		}
		for i, work := range lists {
			if !answered[i] && !yield(i, Scored{Err: unanswered(ctx, work.Query, wrong)}) {
				return
			}
		}
	}
}

func unanswered(ctx context.Context, q retort.Query, wrong error) error {
	switch {
	case wrong != nil:
		return fmt.Errorf("score query %q: %w", q.ID, wrong)
	case ctx.Err() != nil:
		return fmt.Errorf("score query %q: %w", q.ID, ctx.Err())
	}
	return fmt.Errorf("score query %q: the teacher left it out of its answers to a batch", q.ID)
}

func oneByOne(ctx context.Context, t Teacher, lists []Work) iter.Seq2[int, Scored] {
	return func(yield func(int, Scored) bool) {
		for i, work := range lists {
			var scored Scored
			if ctx.Err() != nil {
				scored.Err = unanswered(ctx, work.Query, nil)
			} else {
				scored.Scores, scored.Err = rawScores(ctx, t, work.Query, work.Passages)
			}
			if !yield(i, scored) {
				return
			}
		}
	}
}
