package mine

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// The reasons of the filters of queries.
const (
	reasonNearDuplicate Reason = "near-duplicate"
	reasonFewWords      Reason = "too few words"
	reasonManyWords     Reason = "too many words"
)

// QueryLength drops the generated queries of fewer than least or more than most words, separated by white space; most =
// 0 means no limit. Two to four characters of scripts without spaces count as a word. Tamber et al. 2025 keep queries of
// fewer than 20 words. It keeps queries without a source, which a person wrote.
func QueryLength(queries []retort.Query, least, most int) (Selection, error) {
	if least < 0 || most < 0 || most > 0 && most < least {
		return Selection{},
			fmt.Errorf("query length: from %d to %d words: want 0 <= least <= most, or most 0 for no limit",
				least, most)
	}
	dropped := map[int]Drop{}
	for i, q := range queries {
		if q.Source == "" {
			continue
		}
		words := len(strings.Fields(q.Text))
		if strings.ContainsFunc(q.Text, language.IsUnspaced) {
			words = language.CountWords(q.Text)
		}
		switch {
		case words < least:
			dropped[i] = Drop{i, reasonFewWords, -1}
		case most > 0 && words > most:
			dropped[i] = Drop{i, reasonManyWords, -1}
		}
	}
	return selectAll(len(queries), dropped), nil
}

// NearDuplicateQueries drops each query that nearly repeats an earlier kept query. It compares the sets A and B of
// their words, or of their pairs of characters in scripts without spaces, ignoring case, punctuation and order, by the
// Jaccard coefficient:
//
//	|A ∩ B| / |A ∪ B| >= overlap, 0 < overlap <= 1
//
// overlap = 1 requires equal sets. Drop.Of is the repeated query. A query without letters and digits is kept.
//
// The result is exact. Candidates are found by their rarest words: two sets with this overlap share one of the rarest n
// - ceil(overlap·n) + 1 words of each set of n words. References: Chaudhuri, Ganti, Kaushik (2006), "A primitive
// operator for similarity joins in data cleaning", ICDE; Bayardo, Ma, Srikant (2007), "Scaling up all pairs similarity
// search", WWW.
func NearDuplicateQueries(ctx context.Context, queries []retort.Query, overlap float64) (Selection, error) {
	if !(overlap > 0 && overlap <= 1) {
		return Selection{}, fmt.Errorf("near-duplicate queries: overlap is %v: must be above 0 and at most 1", overlap)
	}
	sets := wordSets(queries)
	holders := map[int32][]int{} // maps a word to the kept queries that have it among their rarest words
	compared := make([]int, len(queries))
	dropped := map[int]Drop{}
	for i, set := range sets {
		if err := ctx.Err(); err != nil {
			return Selection{}, fmt.Errorf("near-duplicate queries: %w", err)
		}
		rarest := set[:rarestWords(len(set), overlap)]
		if of := firstNear(sets, i, rarest, holders, compared, overlap); of >= 0 {
			dropped[i] = Drop{i, reasonNearDuplicate, of}
			continue
		}
		for _, word := range rarest {
			holders[word] = append(holders[word], i)
		}
	}
	return selectAll(len(queries), dropped), nil
}

// firstNear returns the first kept query that is near query i, or -1. compared marks the queries that were compared
// with it.
func firstNear(sets [][]int32, i int, rarest []int32, holders map[int32][]int, compared []int, overlap float64) int {
	first := -1
	for _, word := range rarest {
		for _, j := range holders[word] {
			if first >= 0 && j >= first {
				break // they ascend
			}
			if compared[j] == i+1 {
				continue
			}
			compared[j] = i + 1
			if isNear(sets[i], sets[j], overlap) {
				first = j
			}
		}
	}
	return first
}

// wordSets returns the distinct words of each query as ranks by frequency, rarest first.
func wordSets(queries []retort.Query) [][]int32 {
	words := make([][]string, len(queries))
	count := map[string]int{}
	for i, q := range queries {
		words[i] = language.PairUnspaced(strings.Fields(lowerWords(q.Text)))
		slices.Sort(words[i])
		words[i] = slices.Compact(words[i])
		for _, w := range words[i] {
			count[w]++
		}
	}
	order := make([]string, 0, len(count))
	for w := range count {
		order = append(order, w)
	}
	slices.SortFunc(order, func(a, b string) int { return cmp.Or(cmp.Compare(count[a], count[b]), strings.Compare(a, b)) })
	rank := make(map[string]int32, len(order))
	for i, w := range order {
		rank[w] = int32(i)
	}
	sets := make([][]int32, len(queries))
	for i := range words {
		for _, w := range words[i] {
			sets[i] = append(sets[i], rank[w])
		}
		slices.Sort(sets[i])
	}
	return sets
}

// rarestWords returns the number of a set's n words to look up: n - ceil(overlap·n) + 1.
func rarestWords(n int, overlap float64) int {
	// Rounding may put the product just above an integer; one word more costs only time.
	return min(n, n-int(math.Ceil(overlap*float64(n)-1e-9))+1)
}

// isNear merges two ascending sets.
func isNear(a, b []int32, overlap float64) bool {
	shared := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			shared, i, j = shared+1, i+1, j+1
		}
	}
	return float64(shared) >= overlap*float64(len(a)+len(b)-shared)-1e-9
}

// lowerWords returns the lower-case words of a text, each with a space on both sides; "" for a text without words. Each
// character of a script without spaces between words is a word.
func lowerWords(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 2)
	inWord := false
	for _, r := range language.SplitUnspaced(text) {
		isWord := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		if isWord && !inWord {
			b.WriteByte(' ')
		}
		if isWord {
			b.WriteRune(unicode.ToLower(r))
		}
		inWord = isWord
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	return b.String()
}
