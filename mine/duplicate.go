package mine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/retort-ir/retort"
)

// duplicateNeighbours is how many followers in sorted order a passage is compared with.
const duplicateNeighbours = 9

// NearDuplicates drops each passage whose Content another passage holds, whole words one after the other, letter case,
// punctuation and space aside; of equal ones the first is kept. As in Tamber et al. 2025 a passage is compared with its
// next nine in the order of the texts and with nine in the order of the texts read backwards, not with all others:
// it finds beginnings, ends and whole copies, but a text from the middle of another only by chance. A passage without
// letters and digits is kept.
func NearDuplicates(ctx context.Context, corpus retort.Corpus) (Selection, error) {
	texts := make([]string, corpus.Len())
	if err := eachContent(ctx, corpus, func(i int, content string) { texts[i] = normalise(content) }); err != nil {
		return Selection{}, fmt.Errorf("near-duplicates: %w", err)
	}
	dropped := map[int]Drop{}
	order := make([]int, 0, len(texts))
	for i, text := range texts {
		if text != "" {
			order = append(order, i)
		}
	}
	for _, compare := range []func(a, b string) int{strings.Compare, compareBackwards} {
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(compare(texts[a], texts[b]), cmp.Compare(a, b))
		})
		if err := dropAmongNeighbours(ctx, texts, order, dropped); err != nil {
			return Selection{}, fmt.Errorf("near-duplicates: %w", err)
		}
	}
	followChains(dropped)
	return selectAll(len(texts), dropped), nil
}

// followChains names for each near-duplicate a passage that stays, since the one that held it may have gone later.
func followChains(dropped map[int]Drop) {
	for i, d := range dropped {
		for {
			next, gone := dropped[d.Of]
			if !gone {
				break
			}
			d.Of = next.Of
		}
		dropped[i] = d
	}
}

// dropAmongNeighbours compares each text with the next nine that stay.
func dropAmongNeighbours(ctx context.Context, texts []string, order []int, dropped map[int]Drop) error {
	for at, a := range order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, gone := dropped[a]; gone {
			continue
		}
		compared := 0
		for _, b := range order[at+1:] {
			if _, gone := dropped[b]; gone {
				continue
			}
			part, whole := partAndWhole(a, b, texts)
			if strings.Contains(texts[whole], texts[part]) {
				dropped[part] = Drop{part, ReasonNearDuplicate, whole}
			} else if compared++; compared == duplicateNeighbours {
				break
			}
			if _, gone := dropped[a]; gone {
				break
			}
		}
	}
	return nil
}

// partAndWhole says which of two passages can only be a part of the other: the shorter, of equal ones the later.
func partAndWhole(a, b int, texts []string) (part, whole int) {
	if len(texts[a]) < len(texts[b]) || len(texts[a]) == len(texts[b]) && a > b {
		return a, b
	}
	return b, a
}

// normalise returns the lower-case words of a text, each with a space on both sides; "" for a text without words.
func normalise(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 2)
	inWord := false
	for _, r := range text {
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

// compareBackwards orders texts by their last bytes first.
func compareBackwards(a, b string) int {
	for i := 1; i <= min(len(a), len(b)); i++ {
		if c := cmp.Compare(a[len(a)-i], b[len(b)-i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
