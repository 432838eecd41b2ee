package teacher

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// batcher scores as its teacher does, several lists at once, last list first.
type batcher struct {
	Teacher
	size int

	mu      sync.Mutex
	batches [][]Work
}

func (b *batcher) Fingerprint() string { return "batcher" }
func (b *batcher) BatchSize() int      { return b.size }

func (b *batcher) ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored] {
	b.mu.Lock()
	b.batches = append(b.batches, lists)
	b.mu.Unlock()
	return func(yield func(int, Scored) bool) {
		for i, work := range slices.Backward(lists) {
			scores, err := b.Score(ctx, work.Query, work.Passages)
			if ctx.Err() != nil || !yield(i, Scored{Scores: scores, Err: err}) {
				return
			}
		}
	}
}

// answers is a batch teacher that answers as it is told to.
type answers struct {
	Teacher
	each []int // the lists answered, in this order
}

func (a answers) BatchSize() int { return 3 }

func (a answers) ScoreBatch(context.Context, []Work) iter.Seq2[int, Scored] {
	return func(yield func(int, Scored) bool) {
		for _, i := range a.each {
			if !yield(i, Scored{Scores: []float64{1}}) {
				return
			}
		}
	}
}

// works are lists of 1 to 5 passages.
func works(n int) []Work {
	lists := make([]Work, n)
	for i := range lists {
		lists[i].Query = retort.Query{ID: fmt.Sprint("q", i), Text: fmt.Sprint("query ", i)}
		for j := range 1 + i%5 {
			lists[i].Passages = append(lists[i].Passages, retort.Passage{ID: fmt.Sprint("p", j), Text: fmt.Sprintf("%0*d", i+j+1, 7)})
		}
	}
	return lists
}

func stream(lists []Work) iter.Seq2[Work, error] {
	return func(yield func(Work, error) bool) {
		for _, w := range lists {
			if !yield(w, nil) {
				return
			}
		}
	}
}

func scoreAll(t testing.TB, teacher Teacher, lists []Work, workers int) [][]float64 {
	t.Helper()
	var all [][]float64
	for work, scored := range ScoreAll(t.Context(), teacher, stream(lists), workers) {
		require.NoError(t, scored.Err)
		require.Equal(t, lists[len(all)], work, "in the stream's order")
		all = append(all, scored.Scores)
	}
	return all
}

func TestScoreAllGivesWhatScoreGives(t *testing.T) {
	store := openStore(t, t.TempDir())
	ensemble := func(members ...Teacher) Teacher {
		var all []Member
		for i, m := range members {
			all = append(all, Member{Teacher: m, Weight: float64(i + 1)})
		}
		e, err := NewEnsemble(all...)
		require.NoError(t, err)
		return e
	}
	missing := Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(ps))
		for i, p := range ps {
			scores[i] = float64(len(q.Text) * len(p.Text) % 7)
		}
		scores[0] = nan
		return scores, nil
	})
	for _, c := range []struct {
		name    string
		teacher Teacher
	}{
		{"one by one", &lengths{name: "l"}},
		{"batches", &batcher{Teacher: missing, size: 4}},
		{"with a fingerprint", WithFingerprint(&batcher{Teacher: missing, size: 4}, "f")},
		{"with a fingerprint, one by one", WithFingerprint(missing, "g")},
		{"cached", cache(t, &batcher{Teacher: &lengths{}, size: 4}, store)},
		{"ensemble", ensemble(&batcher{Teacher: missing, size: 4}, &lengths{}, &batcher{Teacher: missing, size: 9})},
		{"cached ensemble", cache(t, ensemble(&batcher{Teacher: missing, size: 4}, &lengths{name: "m"}), store)},
	} {
		for _, workers := range []int{1, 3, 0} {
			t.Run(fmt.Sprint(c.name, " ", workers), func(t *testing.T) {
				lists := works(23)
				got := scoreAll(t, c.teacher, lists, workers)
				require.Len(t, got, len(lists))
				for i, work := range lists {
					want, err := Score(t.Context(), c.teacher, work.Query, work.Passages)
					require.NoError(t, err)
					require.Equal(t, want, got[i], "%d", i)
				}
			})
		}
	}
}

func TestScoreAllUsesBatchesOfTheSizeThatTheTeacherLikes(t *testing.T) {
	b := &batcher{Teacher: &lengths{}, size: 4}
	scoreAll(t, b, works(10), 1)
	var sizes []int
	for _, batch := range b.batches {
		sizes = append(sizes, len(batch))
	}
	require.Equal(t, []int{4, 4, 2}, sizes)
}

func TestACacheAsksABatchTeacherOnlyForWhatTheStoreLacks(t *testing.T) {
	b := &batcher{Teacher: &lengths{}, size: 8}
	c := cache(t, b, openStore(t, t.TempDir()))
	lists := works(5)
	_, err := Score(t.Context(), c, lists[1].Query, lists[1].Passages)
	require.NoError(t, err)
	_, err = Score(t.Context(), c, lists[4].Query, lists[4].Passages[1:])
	require.NoError(t, err)
	first := scoreAll(t, c, lists, 1)
	require.Len(t, b.batches, 1)
	var asked []string
	for _, work := range b.batches[0] {
		asked = append(asked, fmt.Sprint(work.Query.ID, " ", len(work.Passages)))
	}
	require.Equal(t, []string{"q0 1", "q2 3", "q3 4", "q4 1"}, asked)
	require.Equal(t, first, scoreAll(t, c, lists, 1))
	require.Len(t, b.batches, 1, "nothing is lacking any more")
}

func TestScoreAllNamesTheQueryOfAWrongAnswerAndGoesOn(t *testing.T) {
	down := errors.New("the service is down")
	failing := Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		scores := make([]float64, len(ps))
		switch q.ID {
		case "q1":
			return nil, down
		case "q2":
			return scores[1:], nil
		case "q3":
			scores[2] = math.Inf(1)
		}
		return scores, nil
	})
	want := []string{
		"", `score query "q1": the service is down`, `score query "q2": the teacher gave 2 scores for 3 passages`,
		`score query "q3": the teacher gave +Inf for passage "p2"`, "",
	}
	for _, c := range []struct {
		name    string
		teacher Teacher
		prefix  string
	}{
		{"one by one", failing, ""},
		{"batches", &batcher{Teacher: failing, size: 3}, ""},
		{"ensemble", &Ensemble{members: []Member{{Name: "m", Teacher: &batcher{Teacher: failing, size: 3}, Weight: 1}}}, "member m of the ensemble: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := 0
			for work, scored := range ScoreAll(t.Context(), c.teacher, stream(works(5)), 2) {
				require.Equal(t, fmt.Sprint("q", i), work.Query.ID)
				if want[i] == "" {
					require.NoError(t, scored.Err)
				} else {
					require.ErrorContains(t, scored.Err, want[i])
					require.Nil(t, scored.Scores)
				}
				if i == 1 {
					require.ErrorIs(t, scored.Err, down)
				}
				i++
			}
			require.Equal(t, 5, i)
		})
	}
}

func TestScoreAllRefusesABatchTeacherThatMiscounts(t *testing.T) {
	for _, c := range []struct {
		name string
		each []int
		want []string // a list's error
	}{
		{"left out", []int{0, 2}, []string{"", `"q1": the teacher did not answer this item of a batch`, ""}},
		{"twice", []int{2, 2, 0}, []string{`"q0": the teacher answered item 2 of a batch twice`, `"q1": the teacher answered`, ""}},
		{"beyond", []int{1, 3}, []string{`"q0": the teacher answered item 3 of a batch of 3`, "", `"q2": the teacher answered item 3`}},
		{"below", []int{-1}, []string{"item -1 of", "item -1 of", "item -1 of"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lists := works(3)
			for i := range lists {
				lists[i].Passages = lists[i].Passages[:1]
			}
			i := 0
			for _, scored := range ScoreAll(t.Context(), answers{fixed(1), c.each}, stream(lists), 1) {
				if c.want[i] == "" {
					require.NoError(t, scored.Err)
				} else {
					require.ErrorContains(t, scored.Err, c.want[i])
				}
				i++
			}
			require.Equal(t, 3, i)
		})
	}
}

func TestScoreAllPassesAnErrorOfTheStreamOn(t *testing.T) {
	unreadable := errors.New("lists.jsonl:2: not JSON")
	lists := func(yield func(Work, error) bool) {
		all := works(3)
		_ = yield(all[0], nil) && yield(Work{}, unreadable) && yield(all[2], nil)
	}
	var errs []error
	for _, scored := range ScoreAll(t.Context(), &batcher{Teacher: &lengths{}, size: 5}, lists, 2) {
		errs = append(errs, scored.Err)
	}
	require.Equal(t, []error{nil, unreadable, nil}, errs)
}

func TestScoreAllHoldsFewLists(t *testing.T) {
	var read, done atomic.Int64
	lists := func(yield func(Work, error) bool) {
		for _, w := range works(500) {
			read.Add(1)
			if !yield(w, nil) {
				return
			}
		}
	}
	for range ScoreAll(t.Context(), &batcher{Teacher: &lengths{}, size: 5}, lists, 2) {
		require.LessOrEqual(t, read.Load()-done.Add(1), int64(5*(2*2+3)))
	}
	require.EqualValues(t, 500, done.Load())
}

func TestScoreAllStopsWhenTheLoopOrTheContextEnds(t *testing.T) {
	endless := func(yield func(Work, error) bool) {
		for yield(works(1)[0], nil) {
		}
	}
	n := 0
	for range ScoreAll(t.Context(), &lengths{}, endless, 3) {
		if n++; n == 10 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	blocked := Func(func(ctx context.Context, _ retort.Query, _ []retort.Passage) ([]float64, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	start := time.Now()
	var last error
	for _, scored := range ScoreAll(ctx, &batcher{Teacher: blocked, size: 4}, endless, 3) {
		last = scored.Err
	}
	require.ErrorIs(t, last, context.Canceled)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestAnEnsembleDoesNotAskTheNextMemberForAListThatFailed(t *testing.T) {
	failing := Func(func(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
		if q.ID == "q1" {
			return nil, errors.New("no")
		}
		return make([]float64, len(ps)), nil
	})
	second := &batcher{Teacher: &lengths{}, size: 3}
	e, err := NewEnsemble(Member{Teacher: failing}, Member{Teacher: second})
	require.NoError(t, err)
	for range e.ScoreBatch(t.Context(), works(3)) {
	}
	require.Len(t, second.batches, 1)
	require.Len(t, second.batches[0], 2)
}
