package generate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Tally counts answers. The zero value is ready; it is safe for concurrent use.
type Tally struct {
	mu                   sync.Mutex
	kept                 map[string]int
	dropped              map[Reason]map[string]int
	promptTokens, tokens int
}

// Add counts an answer. It can stand as PromptOptions.Observe.
func (t *Tally) Add(a Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept, t.dropped = map[string]int{}, map[Reason]map[string]int{}
	}
	t.promptTokens += a.PromptTokens
	t.tokens += a.Tokens
	if a.Dropped == "" {
		t.kept[a.Query.Type]++
		return
	}
	if t.dropped[a.Dropped] == nil {
		t.dropped[a.Dropped] = map[string]int{}
	}
	t.dropped[a.Dropped][a.Query.Type]++
}

// Kept returns how many queries of each type there are.
func (t *Tally) Kept() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.kept)
}

// Dropped returns how many answers of each type were dropped for each reason. The type is "" where nothing was asked.
func (t *Tally) Dropped() map[Reason]map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[Reason]map[string]int, len(t.dropped))
	for reason, of := range t.dropped {
		all[reason] = maps.Clone(of)
	}
	return all
}

// Tokens returns how many tokens were read and written, as far as the model says.
func (t *Tally) Tokens() (prompt, written int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.promptTokens, t.tokens
}

// String says it in one line: "kept 412 of 500; dropped: copy of the passage 61, too long 27".
func (t *Tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := sum(t.kept)
	counts := map[Reason]int{}
	total := kept
	for reason, of := range t.dropped {
		counts[reason] = sum(of)
		total += counts[reason]
	}
	line := fmt.Sprintf("kept %d of %d", kept, total)
	if len(counts) == 0 {
		return line
	}
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b Reason) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(reasons))
	for i, reason := range reasons {
		parts[i] = fmt.Sprintf("%s %d", reason, counts[reason])
	}
	return line + "; dropped: " + strings.Join(parts, ", ")
}

func sum(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}
