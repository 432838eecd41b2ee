package encodernet

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"sync"

	"github.com/retort-ir/retort/internal/nolibtorch"
)

// CheckPacked returns an error for options of a model that need LibTorch.
func CheckPacked(device, precision string, threads int) error {
	switch {
	case device != "" && device != "cpu":
		return fmt.Errorf("Options.Device is %s: %w", device, nolibtorch.Err)
	case precision == "bf16":
		return fmt.Errorf("Options.Precision is %s: %w", precision, nolibtorch.Err)
	case threads < 0:
		return fmt.Errorf("Options.Threads is %d", threads)
	}
	return nil
}

const (
	// packedTokens are the tokens of a micro-batch where nothing else is said: enough that reading the weights costs little
	// beside computing, and few enough that states stay in a processor's caches.
	packedTokens = 512
	// leastTokens is the smallest micro-batch that a call is cut into so that more processors have work.
	leastTokens = 16
)

// Processors compute micro-batches of all calls of one model, each on one processor.
type Processors struct {
	atWork chan struct{} // holds one element for each one at work
	budget int           // tokens of a micro-batch
}

// NewProcessors returns as many processors as threads, with micro-batches of so many tokens. 0 means GOMAXPROCS threads,
// and the default number of tokens.
func NewProcessors(threads, tokens int) *Processors {
	return &Processors{
		atWork: make(chan struct{}, cmp.Or(threads, runtime.GOMAXPROCS(0))), budget: cmp.Or(tokens, packedTokens),
	}
}

// Each cuts n texts of so many tokens into micro-batches for all processors, and calls do for each micro-batch, with the
// numbers of its texts. It returns the first error. It computes on the calling goroutine if there is but one.
func (p *Processors) Each(
	ctx context.Context, n int, tokens func(i int) int, do func(ctx context.Context, rows []int) error,
) error {
	one := func(ctx context.Context, rows []int) error {
		select {
		case p.atWork <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-p.atWork }()
		return do(ctx, rows)
	}
	batches := p.microBatches(n, tokens)
	if len(batches) == 1 {
		return one(ctx, batches[0])
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan []int)
	var workers sync.WaitGroup
	for range min(len(batches), cap(p.atWork)) {
		workers.Go(func() {
			for rows := range next {
				if err := one(ctx, rows); err != nil {
					cancel(err) // the first call decides the cause
				}
			}
		})
	}
	for i := 0; i < len(batches) && ctx.Err() == nil; i++ {
		next <- batches[i]
	}
	close(next)
	workers.Wait()
	if err := outer.Err(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// microBatches cuts texts, the longest first, into micro-batches for all processors.
func (p *Processors) microBatches(n int, tokens func(i int) int) [][]int {
	rows := make([]int, n)
	all := 0
	for i := range rows {
		rows[i] = i
		all += tokens(i)
	}
	slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(tokens(b), tokens(a)) })
	share := (all + cap(p.atWork) - 1) / cap(p.atWork)
	budget := min(p.budget, max(share, leastTokens))
	var batches [][]int
	for len(rows) > 0 {
		n, sum := 1, tokens(rows[0])
		for n < len(rows) && sum+tokens(rows[n]) <= budget {
			sum += tokens(rows[n])
			n++
		}
		batches = append(batches, rows[:n])
		rows = rows[n:]
	}
	return batches
}

// HashValues hashes the values of a weight.
func HashValues(h hash.Hash, values []float32) {
	for part := range slices.Chunk(values, 1<<16) { // the bytes of a part are copied
		_ = binary.Write(h, binary.LittleEndian, part) // to a hash, which never fails
	}
}
