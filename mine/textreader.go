package mine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
)

// textReader gives the normalised texts of a corpus, which it holds where they fit in its memory and reads again where
// they do not.
type textReader struct {
	corpus retort.Corpus
	memory int      // bytes of texts that may be held
	held   []string // all texts, or nil
}

// newTextReader reads every passage once, and returns the ascending indices of those that have words.
func newTextReader(ctx context.Context, corpus retort.Corpus, memory int) (r *textReader, withWords []int, err error) {
	r = &textReader{corpus: corpus, memory: memory, held: make([]string, 0, corpus.Len())}
	used := 0
	err = eachContent(ctx, corpus, func(i int, content string) {
		text := lowerWords(content)
		if text != "" {
			withWords = append(withWords, i)
		}
		if used += len(text); used > memory {
			r.held = nil
			return
		}
		r.held = append(r.held, text)
	})
	return r, withWords, err
}

func (r *textReader) read(i int) (string, error) {
	if r.held != nil {
		return r.held[i], nil
	}
	p, err := r.corpus.At(i)
	if err != nil {
		return "", err
	}
	return lowerWords(p.Content()), nil
}

// sort sorts the passages of group by their texts, or by these read backwards, equal ones ascending. The texts are equal
// in their first same bytes. It compares as many of the following bytes as fit in memory for all, and then goes on within
// each group of passages that are equal in these too.
func (r *textReader) sort(ctx context.Context, group []int, same int, backwards bool) error {
	const least = 32
	size := max(least, r.memory/max(1, len(group)))
	cut, equal, err := r.sortBy(ctx, group, same, size, backwards)
	if err != nil || !cut {
		return err
	}
	for _, e := range equal {
		if err := r.sort(ctx, group[e.from:e.to], same+size, backwards); err != nil {
			return err
		}
	}
	return nil
}

type span struct{ from, to int }

// sortBy sorts by size bytes. cut says that some text has more, equal where more than one passage has the same bytes.
func (r *textReader) sortBy(ctx context.Context, group []int, same, size int, backwards bool) (cut bool, equal []span, err error) {
	type piece struct {
		passage int
		text    string
	}
	pieces := make([]piece, len(group))
	for i, passage := range group {
		if err := ctx.Err(); err != nil {
			return false, nil, err
		}
		text, err := r.read(passage)
		if err != nil {
			return false, nil, err
		}
		if r.held == nil {
			var more bool
			text, more = part(text, same, size, backwards)
			cut = cut || more
		}
		pieces[i] = piece{passage, text}
	}
	compare := strings.Compare
	if backwards {
		compare = compareBackwards
	}
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(compare(a.text, b.text), cmp.Compare(a.passage, b.passage))
	})
	for i, p := range pieces {
		group[i] = p.passage
		if i > 0 && p.text == pieces[i-1].text {
			if last := len(equal) - 1; last >= 0 && equal[last].to == i {
				equal[last].to++
			} else {
				equal = append(equal, span{i - 1, i + 1})
			}
		}
	}
	return cut, equal, nil
}

// part returns a copy of the size bytes of a text that follow its first same, or that stand before its last same; more says
// that they are not all.
func part(text string, same, size int, backwards bool) (_ string, more bool) {
	same = min(same, len(text))
	rest := text[same:]
	if backwards {
		rest = text[:len(text)-same]
	}
	if len(rest) <= size {
		return strings.Clone(rest), false
	}
	if backwards {
		return strings.Clone(rest[len(rest)-size:]), true
	}
	return strings.Clone(rest[:size]), true
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
