package mine

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/retort-ir/retort"
)

// duplicateNeighbours is how many followers in sorted order a passage is compared with.
const duplicateNeighbours = 9

// duplicateMemory is how many bytes of texts NearDuplicates holds. A corpus of more is read several times.
const duplicateMemory = 256 << 20

// NearDuplicates drops each passage whose Content another passage holds, whole words one after the other, letter case,
// punctuation and space aside; of equal ones the first is kept. As in Tamber et al. 2025 a passage is compared with its
// next nine in the order of the texts and with nine in the order of the texts read backwards, not with all others:
// it finds beginnings, ends and whole copies, but a text from the middle of another only by chance. A passage without
// letters and digits is kept.
//
// It holds up to 256 MiB of texts and a few numbers a passage: a larger corpus is read about four times.
func NearDuplicates(ctx context.Context, corpus retort.Corpus) (Selection, error) {
	s, err := nearDuplicates(ctx, corpus, duplicateMemory)
	if err != nil {
		return Selection{}, fmt.Errorf("near-duplicates: %w", err)
	}
	return s, nil
}

func nearDuplicates(ctx context.Context, corpus retort.Corpus, memory int) (Selection, error) {
	texts, order, err := newTextReader(ctx, corpus, memory)
	if err != nil {
		return Selection{}, err
	}
	dropped := map[int]Drop{}
	for _, backwards := range []bool{false, true} {
		if err := texts.sort(ctx, order, 0, backwards); err != nil {
			return Selection{}, err
		}
		if err := dropAmongNeighbours(ctx, texts, order, dropped); err != nil {
			return Selection{}, err
		}
	}
	followChains(dropped)
	return selectAll(corpus.Len(), dropped), nil
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
func dropAmongNeighbours(ctx context.Context, texts *textReader, order []int, dropped map[int]Drop) error {
	near := map[int]string{} // the texts of the passages at hand
	text := func(i int) (string, error) {
		if _, ok := near[i]; !ok {
			text, err := texts.read(i)
			if err != nil {
				return "", err
			}
			near[i] = text
		}
		return near[i], nil
	}
	for at, a := range order {
		if err := ctx.Err(); err != nil {
			return err
		}
		compared := 0
		for _, b := range order[at+1:] {
			if _, gone := dropped[a]; gone || compared == duplicateNeighbours {
				break
			}
			if _, gone := dropped[b]; gone {
				continue
			}
			ta, err := text(a)
			if err != nil {
				return err
			}
			tb, err := text(b)
			if err != nil {
				return err
			}
			switch aIsPart := len(ta) < len(tb) || len(ta) == len(tb) && a > b; { // of equal ones the later is the part
			case aIsPart && strings.Contains(tb, ta):
				dropped[a] = Drop{a, ReasonNearDuplicate, b}
			case !aIsPart && strings.Contains(ta, tb):
				dropped[b] = Drop{b, ReasonNearDuplicate, a}
				delete(near, b)
			default:
				compared++
			}
		}
		delete(near, a)
	}
	return nil
}

// lowerWords returns the lower-case words of a text, each with a space on both sides; "" for a text without words.
func lowerWords(text string) string {
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
