package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/examples/service/live"
)

// traffic sends queries, as the users of a search would, and counts answers and failures.
type traffic struct {
	store   *store
	encoder *live.Encoder
	queries []string
	workers int
	every   time.Duration // between two queries of a worker

	mu     sync.Mutex
	full   int // hits that an answer must have
	phases []*phase
}

// phase holds the statistics of the queries during one phase of the program.
type phase struct {
	name        string
	failed      int
	first       error
	times       []time.Duration
	generations map[int]int // how many queries each encoder answered
}

// enter starts a phase. An answer with fewer than full hits is a failure.
func (t *traffic) enter(name string, full int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.full = full
	t.phases = append(t.phases, &phase{name: name, generations: map[int]int{}})
}

// k is the number of passages per answer.
const k = 10

// start sends queries until ctx ends or the returned function is called, which waits for the last answer.
func (t *traffic) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for w := range t.workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ticker := time.NewTicker(t.every)
			defer ticker.Stop()
			for i := w; ; i += t.workers {
				t.one(ctx, t.queries[i%len(t.queries)])
				select {
				case <-ticker.C:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

func (t *traffic) one(ctx context.Context, text string) {
	t.mu.Lock()
	p, full := t.phases[len(t.phases)-1], t.full
	t.mu.Unlock()
	start := time.Now()
	generation, hits, err := ask(ctx, t.store, t.encoder, text)
	took := time.Since(start)
	if err == nil {
		err = t.store.ask(ctx, text)
	}
	if err == nil && len(hits) < full {
		err = fmt.Errorf("%d hits for %q, want %d", len(hits), text, full)
	}
	if ctx.Err() != nil {
		return // nobody waits for this answer
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p.times = append(p.times, took)
	p.generations[generation]++
	if err != nil {
		p.failed++
		if p.first == nil {
			p.first = err
		}
	}
}

// ask encodes a query with the current encoder and searches.
func ask(ctx context.Context, s *store, e *live.Encoder, text string) (generation int, hits []hit, err error) {
	lease, err := e.Acquire()
	if err != nil {
		return 0, nil, err
	}
	defer lease.Release()
	vector, err := lease.Encode(ctx, encoder.Query, []string{text})
	if err != nil {
		return lease.Generation, nil, err
	}
	hits, err = s.search(ctx, vector.Data, k)
	return lease.Generation, hits, err
}

// total returns how many queries were asked and failed, and the first failure.
func (t *traffic) total() (asked, failed int, first error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.phases {
		asked += len(p.times)
		failed += p.failed
		if first == nil && p.first != nil {
			first = fmt.Errorf("while %s: %w", p.name, p.first)
		}
	}
	return asked, failed, first
}

// print writes one line a phase.
func (t *traffic) print(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "queries while\tasked\tfailed\tby the first encoder\tby the second\tmedian ms\t99% ms")
	for _, p := range t.phases {
		slices.Sort(p.times)
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\n", p.name, len(p.times), p.failed, p.generations[1],
			p.generations[2], p.quantile(.5), p.quantile(.99))
	}
	return table.Flush()
}

// quantile is in milliseconds; times are sorted.
func (p *phase) quantile(q float64) float64 {
	if len(p.times) == 0 {
		return 0
	}
	return p.times[int(q*float64(len(p.times)-1))].Seconds() * 1000
}
