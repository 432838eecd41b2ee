package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

// heldOut are passages of which nothing is trained on, in two halves. The items of one half choose the best of the
// students met in training, the items of the other half test it: the best of several students is a little better on
// what chose it by chance alone, and a test on the same items would take that for a gain.
type heldOut struct {
	Choose, Test *heldOutItems
	// Passages are the ids of the passages that the items were made of and of those with the same text
	// (generate.Normalize). Other near-duplicates are not looked for.
	Passages map[string]bool
}

const (
	knownItemPool = 1000
	// cutoff is the k of nDCG@k and MRR@k.
	cutoff = 10
	// heldOutShare is one passage of so many: that half of them each choose and test costs a fifth of the training
	// queries at most.
	heldOutShare = 5
	// A small corpus gives heldOutLeast passages, as long as that is no more than half of it.
	heldOutLeast = 20
	// testedLeast is how many values a paired randomisation test needs: of n that all gained, 2 of the 2^n assignments
	// of signs are as far from 0, which is below significanceP from 6 on.
	testedLeast = 6
)

// errFewItems says that a corpus gave too few queries of the type that was to be held out.
var errFewItems = errors.New("pipeline: too few held-out items")

// holdOut makes held-out items with the generator, which should make a type of query that is not trained on, of at most n
// passages, 0: 1,000. They are at most a fifth of the corpus, or 20 of a corpus of fewer than 100, of which more than
// half is never taken. Passages are drawn by seed; all items of a passage are in one half. Each half is searched for
// among 1,000 passages; frozen means what it means in newHeldOutItems. Fewer than 12 passages could not be told from chance and are
// an error that wraps errFewItems.
func holdOut(ctx context.Context, corpus retort.Corpus, g generate.QueryGenerator, n int, seed uint64,
	frozen bool,
) (*heldOut, error) {
	p := stages{Corpus: corpus, Generator: g, Mining: Mining{seed: seed}}
	queries, err := p.MakeQueries(ctx, nil)
	if err != nil {
		return nil, err
	}
	sources, bySource := groupBySource(queries)
	size := heldOutSize(corpus.Len(), n)
	drawn, texts, err := drawPassages(corpus, sources, size, seed)
	if err != nil {
		return nil, err
	}
	if len(drawn)/2 < testedLeast {
		return nil, fmt.Errorf("%w: %d passages gave queries of that type for %d passages that may be held out, want at least %d",
			errFewItems, len(sources), size, 2*testedLeast)
	}
	h := &heldOut{}
	if h.Passages, err = passagesWithText(ctx, corpus, drawn, texts); err != nil {
		return nil, err
	}
	half := len(drawn) / 2
	for _, part := range []struct {
		items   **heldOutItems
		sources []string
	}{{&h.Choose, drawn[:half]}, {&h.Test, drawn[half:]}} {
		var items []retort.Query
		for _, s := range part.sources {
			items = append(items, bySource[s]...)
		}
		if *part.items, err = newHeldOutItems(corpus, items, knownItemPool, frozen); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// heldOutSize is how many passages of a corpus are held out.
func heldOutSize(corpus, n int) int {
	if n == 0 {
		n = 1000
	}
	return min(n, max(corpus/heldOutShare, min(heldOutLeast, corpus/2)))
}

// groupBySource returns the sources in the order in which they come.
func groupBySource(queries []retort.Query) (sources []string, bySource map[string][]retort.Query) {
	bySource = map[string][]retort.Query{}
	for _, q := range queries {
		if bySource[q.Source] == nil {
			sources = append(sources, q.Source)
		}
		bySource[q.Source] = append(bySource[q.Source], q)
	}
	return sources, bySource
}

// drawPassages draws passages with texts of their own, which it returns too.
func drawPassages(corpus retort.Corpus, sources []string, size int, seed uint64) ([]string, map[string]bool, error) {
	var drawn []string
	texts := map[string]bool{}
	for _, at := range rand.New(rand.NewPCG(seed, 1)).Perm(len(sources)) {
		if len(drawn) == size {
			break
		}
		index, ok := corpus.Index(sources[at])
		if !ok {
			return nil, nil, fmt.Errorf("pipeline: held-out items: source %q is not in the corpus", sources[at])
		}
		p, err := corpus.At(index)
		if err != nil {
			return nil, nil, fmt.Errorf("pipeline: held-out items: %w", err)
		}
		text := generate.Normalize(p.Content())
		if texts[text] {
			continue
		}
		texts[text] = true
		drawn = append(drawn, sources[at])
	}
	return drawn, texts, nil
}

// passagesWithText are the passages drawn and all others with one of the texts.
func passagesWithText(ctx context.Context, corpus retort.Corpus, drawn []string,
	texts map[string]bool,
) (map[string]bool, error) {
	passages := map[string]bool{}
	for _, id := range drawn {
		passages[id] = true
	}
	for i := range corpus.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := corpus.At(i)
		if err != nil {
			return nil, fmt.Errorf("pipeline: held-out items: %w", err)
		}
		if text := generate.Normalize(p.Content()); text != "" && texts[text] {
			passages[p.ID] = true
		}
	}
	return passages, nil
}

// Queries are all items, those that choose first. As stages.TestQueries they keep copies of theirs out of training
// that were made of other passages.
func (h *heldOut) Queries() []retort.Query {
	return append(h.Choose.items(), h.Test.items()...)
}

// Fingerprint identifies all items and passages.
func (h *heldOut) Fingerprint() string {
	return hashOf([]any{h.Choose.items(), h.Choose.pool, h.Test.items(), h.Test.pool, h.Passages})
}
