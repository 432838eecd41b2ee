package mine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort"
)

// Reason says why a filter dropped something.
type Reason string

// The reasons.
const (
	ReasonTooShort      Reason = "too short"
	ReasonNearDuplicate Reason = "near-duplicate"
	ReasonNotInTopK     Reason = "source not in the top k"
)

// Selection is what a filter kept and dropped, by index in what it was given, both ascending.
type Selection struct {
	Kept    []int
	Dropped []Drop
}

// Drop is one passage or query that a filter dropped.
type Drop struct {
	Index  int
	Reason Reason
	Of     int // of a near-duplicate: the passage that holds its text; otherwise -1
}

// Counts returns how many were dropped for each reason.
func (s Selection) Counts() map[Reason]int {
	counts := map[Reason]int{}
	for _, d := range s.Dropped {
		counts[d.Reason]++
	}
	return counts
}

// Queries returns the queries that a selection among them, all of them, kept.
func (s Selection) Queries(queries []retort.Query) []retort.Query {
	kept := make([]retort.Query, len(s.Kept))
	for i, at := range s.Kept {
		kept[i] = queries[at]
	}
	return kept
}

// Passages returns the passages that a selection among those of the corpus kept.
func (s Selection) Passages(corpus retort.Corpus) ([]retort.Passage, error) {
	kept := make([]retort.Passage, len(s.Kept))
	for i, at := range s.Kept {
		p, err := corpus.At(at)
		if err != nil {
			return nil, err
		}
		kept[i] = p
	}
	return kept, nil
}

// CleanOptions are the settings of Clean. The zero value keeps every passage whole that is no near-duplicate.
type CleanOptions struct {
	MinChars int // a passage with fewer characters is dropped
	MaxChars int // a longer passage is cut; 0 means never
}

// DefaultCleanOptions are those of Tamber et al. 2025: passages of 10 characters and more, cut at 2,048.
func DefaultCleanOptions() CleanOptions { return CleanOptions{MinChars: 10, MaxChars: 2048} }

// Clean returns the corpus without its too short passages and near-duplicates, with long passages cut, and which
// passages of the given corpus these are. Nothing left is an error.
func Clean(ctx context.Context, corpus retort.Corpus, options CleanOptions) (*retort.MemoryCorpus, Selection, error) {
	if options.MinChars < 0 || options.MaxChars < 0 {
		return nil, Selection{}, fmt.Errorf("clean: %+v: both must be at least 0", options)
	}
	if options.MaxChars > 0 && options.MaxChars < options.MinChars {
		return nil, Selection{}, fmt.Errorf("clean: MaxChars is %d, below MinChars %d", options.MaxChars, options.MinChars)
	}
	long, err := TooShort(ctx, corpus, options.MinChars)
	if err != nil {
		return nil, Selection{}, err
	}
	passages, err := long.Passages(corpus)
	if err != nil {
		return nil, Selection{}, err
	}
	if options.MaxChars > 0 {
		for i, p := range passages {
			passages[i] = Cut(p, options.MaxChars)
		}
	}
	cut, err := retort.NewCorpus(passages)
	if err != nil {
		return nil, Selection{}, fmt.Errorf("clean: %w", err)
	}
	distinct, err := NearDuplicates(ctx, cut)
	if err != nil {
		return nil, Selection{}, err
	}
	if passages, err = distinct.Passages(cut); err != nil {
		return nil, Selection{}, err
	}
	if len(passages) == 0 {
		return nil, Selection{}, errors.New("clean: no passage is left")
	}
	cleaned, err := retort.NewCorpus(passages)
	return cleaned, long.then(distinct), err
}

// then returns the selection of a second filter, run on what the first kept, in terms of what the first was given.
func (s Selection) then(second Selection) Selection {
	reasons := make(map[int]Drop, len(s.Dropped)+len(second.Dropped))
	for _, d := range s.Dropped {
		reasons[d.Index] = d
	}
	for _, d := range second.Dropped {
		d.Index = s.Kept[d.Index]
		if d.Of >= 0 {
			d.Of = s.Kept[d.Of]
		}
		reasons[d.Index] = d
	}
	return selectAll(len(s.Kept)+len(s.Dropped), reasons)
}

// selectAll keeps what is not dropped.
func selectAll(n int, dropped map[int]Drop) Selection {
	var s Selection
	for i := range n {
		if d, ok := dropped[i]; ok {
			s.Dropped = append(s.Dropped, d)
		} else {
			s.Kept = append(s.Kept, i)
		}
	}
	return s
}

// TooShort drops the passages whose Content has fewer than minChars characters (code points).
func TooShort(ctx context.Context, corpus retort.Corpus, minChars int) (Selection, error) {
	dropped := map[int]Drop{}
	err := eachContent(ctx, corpus, func(i int, content string) {
		if utf8.RuneCountInString(content) < minChars {
			dropped[i] = Drop{i, ReasonTooShort, -1}
		}
	})
	if err != nil {
		return Selection{}, fmt.Errorf("too short: %w", err)
	}
	return selectAll(corpus.Len(), dropped), nil
}

// Cut returns the passage with its text cut so that its Content has at most maxChars characters (code points); a title
// that is as long as that is cut too. Never inside a character.
func Cut(p retort.Passage, maxChars int) retort.Passage {
	if utf8.RuneCountInString(p.Content()) <= maxChars {
		return p
	}
	title, text := strings.TrimSpace(p.Title), strings.TrimSpace(p.Text)
	room := maxChars
	if title != "" {
		room -= utf8.RuneCountInString(title) + 1
	}
	p.Title, p.Text = firstChars(title, maxChars), firstChars(text, room)
	return p
}

func firstChars(s string, n int) string {
	for at := range s {
		if n <= 0 {
			return s[:at]
		}
		n--
	}
	return s
}

// RoundTrip keeps the queries whose source is among the first k of their ranking, so that somebody who asks the query
// finds the passage it was made from (Tamber et al. 2025 take k = 20 of the student's ranking). Queries without a source
// are kept. There is one ranking a query; a source that the corpus lacks and k < 1 are errors.
func RoundTrip(corpus retort.Corpus, queries []retort.Query, rankings [][]Hit, k int) (Selection, error) {
	if err := checkK(k); err != nil {
		return Selection{}, fmt.Errorf("round trip: %w", err)
	}
	if len(queries) != len(rankings) {
		return Selection{}, fmt.Errorf("round trip: %d queries and %d rankings", len(queries), len(rankings))
	}
	dropped := map[int]Drop{}
	for i, q := range queries {
		source, err := sourceOf(corpus, q)
		if err != nil {
			return Selection{}, fmt.Errorf("round trip: %w", err)
		}
		if source >= 0 && !holds(rankings[i][:min(k, len(rankings[i]))], source) {
			dropped[i] = Drop{i, ReasonNotInTopK, -1}
		}
	}
	return selectAll(len(queries), dropped), nil
}

// sourceOf returns the index of the query's source, -1 where it has none.
func sourceOf(corpus retort.Corpus, q retort.Query) (int, error) {
	if q.Source == "" {
		return -1, nil
	}
	i, ok := corpus.Index(q.Source)
	if !ok {
		return 0, fmt.Errorf("query %q: its source %q is not in the corpus", q.ID, q.Source)
	}
	return i, nil
}

func holds(ranking []Hit, index int) bool {
	for _, h := range ranking {
		if h.Index == index {
			return true
		}
	}
	return false
}

// eachContent calls do with the Content of every passage.
func eachContent(ctx context.Context, corpus retort.Corpus, do func(i int, content string)) error {
	for i := range corpus.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := corpus.At(i)
		if err != nil {
			return err
		}
		do(i, p.Content())
	}
	return nil
}
