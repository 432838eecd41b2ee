package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// metrics count searches, for Prometheus. The zero value is ready. It is safe for concurrent use.
type metrics struct {
	mu       sync.Mutex
	searches map[outcomeOf]int
	buckets  [len(bounds)]int // searches that took at most so many seconds
	seconds  float64
	timed    int
	cut      int
	cosines  float64 // of the best passages of dense searches
	dense    int
}

// outcomeOf labels a search.
type outcomeOf struct {
	by     string
	status int
}

// bounds of the histogram of seconds.
var bounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// searched counts a search. a is nil where it failed.
func (m *metrics) searched(by string, status int, took time.Duration, a *answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.searches == nil {
		m.searches = map[outcomeOf]int{}
	}
	m.searches[outcomeOf{by, status}]++
	if a == nil {
		return
	}
	m.timed++
	m.seconds += took.Seconds()
	for i, bound := range bounds {
		if took.Seconds() <= bound {
			m.buckets[i]++
		}
	}
	if a.cut {
		m.cut++
	}
	if by == byDense && len(a.Hits) > 0 {
		m.dense++
		m.cosines += float64(a.Hits[0].Score)
	}
}

// write writes all in the text format of Prometheus, with what the service knows besides.
func (m *metrics) write(w io.Writer, h health) {
	m.mu.Lock()
	defer m.mu.Unlock()
	family := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	one := func(name, kind, help string, value any) {
		family(name, kind, help)
		fmt.Fprintln(w, name, value)
	}
	family("retort_searches_total", "counter", "Searches by ranking and HTTP status.")
	for _, of := range slices.SortedFunc(maps.Keys(m.searches), func(a, b outcomeOf) int {
		return slices.Compare([]string{a.by, fmt.Sprint(a.status)}, []string{b.by, fmt.Sprint(b.status)})
	}) {
		fmt.Fprintf(w, "retort_searches_total{by=%q,status=\"%d\"} %d\n", of.by, of.status, m.searches[of])
	}
	family("retort_search_seconds", "histogram", "Time of the searches that were answered.")
	for i, bound := range bounds {
		fmt.Fprintf(w, "retort_search_seconds_bucket{le=\"%g\"} %d\n", bound, m.buckets[i])
	}
	fmt.Fprintf(w, "retort_search_seconds_bucket{le=\"+Inf\"} %d\nretort_search_seconds_sum %g\nretort_search_seconds_count %d\n",
		m.timed, m.seconds, m.timed)
	one("retort_queries_cut_total", "counter", "Answered queries that are longer than the model reads.", m.cut)
	family("retort_top_cosine", "summary", "Cosine of query and best passage in dense searches: a fall means other queries.")
	fmt.Fprintf(w, "retort_top_cosine_sum %g\nretort_top_cosine_count %d\n", m.cosines, m.dense)
	one("retort_passages", "gauge", "Passages in the index.", h.Passages)
	one("retort_model_generation", "gauge", "Query encoders since the start of the process.", h.Generation)
	one("retort_model_queries", "gauge", "Queries that the model has seen; -1: it is as it was.", h.serving)
	one("retort_queries_asked", "gauge", "Queries kept for the next training.", h.Asked)
}
