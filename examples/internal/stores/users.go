package stores

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/retort-ir/retort"
)

// users ask queries, several at once, and count what became of them.
type users struct {
	search  *search
	queries []retort.Query

	mu       sync.Mutex
	answered map[int]int // by the generation of the encoder
	failed   int
	first    error // of the failures
}

const (
	usersAtOnce = 4
	pause       = 5 * time.Millisecond // of a user, between an answer and the next query
)

// start lets the users ask until ctx ends or the returned function is called, which waits for the last answer.
func (u *users) start(ctx context.Context) (stop func()) {
	u.answered = map[int]int{}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for first := range usersAtOnce {
		wg.Go(func() {
			for i := first; ; i += usersAtOnce {
				u.ask(context.WithoutCancel(ctx), u.queries[i%len(u.queries)])
				if ctx.Err() != nil {
					return
				}
				select {
				case <-time.After(pause):
				case <-ctx.Done(): // one last query
				}
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// ask counts the answer to a query. Its context does not end, so a failure is the search's own.
func (u *users) ask(ctx context.Context, q retort.Query) {
	a, err := u.search.ask(ctx, q.Text)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.answered[a.generation]++
		return
	}
	u.failed++
	if u.first == nil {
		u.first = fmt.Errorf("query %q: %w", q.ID, err)
	}
}
