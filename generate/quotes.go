package generate

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/retort-ir/retort"
)

// WithoutQuotes returns the passage without what the query quotes of it: its title, and those sentences of its text that the
// query is taken from. What remains is what a ranker is to learn from: that the query's words stand in the passage
// literally is a shortcut that no person's query offers (the inverse cloze task of Lee, Chang and Toutanova 2019, arXiv
// 1906.00300). It reports whether anything was removed; where nothing else would be left, nothing is.
//
// A query of at least five words quotes a sentence that has four fifths of them, and any query one of whose words it has half.
func WithoutQuotes(p retort.Passage, query string) (retort.Passage, bool) {
	words := wordSet(query)
	rest := p
	if quotes(words, p.Title) {
		rest.Title = ""
	}
	for _, s := range Sentences(p.Text) {
		if quotes(words, s) {
			rest.Text = without(rest.Text, s)
		}
	}
	if rest == p || len(Sentences(rest.Text)) == 0 {
		return p, false
	}
	return rest, true
}

const quoteWords = 5

func quotes(query map[string]bool, sentence string) bool {
	words := wordSet(sentence)
	shared := 0
	for w := range words {
		if query[w] {
			shared++
		}
	}
	return shared > 0 && (2*shared >= len(words) || len(query) >= quoteWords && 5*shared >= 4*len(query))
}

func wordSet(text string) map[string]bool { return set(Normalize(text)) }

// without removes the sentence where it stands, however its lines are wrapped.
func without(text, sentence string) string {
	words := strings.Fields(sentence)
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	at := regexp.MustCompile(strings.Join(words, `\s+`)).FindStringIndex(text)
	if at == nil {
		return text
	}
	return strings.TrimRight(text[:at[0]], " ") + " " + strings.TrimLeft(text[at[1]:], " ")
}

// HideQuotes returns lists in which the source of an extractive query is a copy of it without what the query quotes
// ([WithoutQuotes]), and a corpus that has these copies behind its own passages. copies[i] is the id of list i's
// copy, or "" where the list has stayed as it was. Queries and their Source stay.
func HideQuotes(corpus retort.Corpus, lists []retort.List) (_ retort.Corpus, hidden []retort.List, copies []string, err error) {
	all := &withCopies{Corpus: corpus, index: map[string]int{}}
	hidden, copies = make([]retort.List, len(lists)), make([]string, len(lists))
	for i, l := range lists {
		hidden[i] = l
		if !IsExtractive(l.Query) {
			continue
		}
		p, ok, err := all.hide(l.Query)
		if err != nil {
			return nil, nil, nil, err
		}
		if !ok {
			continue
		}
		copies[i] = p.ID
		hidden[i].IDs = append([]string(nil), l.IDs...)
		for j, id := range l.IDs {
			if id == l.Query.Source {
				hidden[i].IDs[j] = p.ID
			}
		}
	}
	return all, hidden, copies, nil
}

// withCopies is a corpus with further passages behind its own.
type withCopies struct {
	retort.Corpus
	copies []retort.Passage
	index  map[string]int // of a copy's id, in copies
}

// hide adds a copy of the query's source without what the query quotes.
func (c *withCopies) hide(q retort.Query) (retort.Passage, bool, error) {
	i, ok := c.Corpus.Index(q.Source)
	if !ok {
		return retort.Passage{}, false, nil
	}
	p, err := c.Corpus.At(i)
	if err != nil {
		return p, false, err
	}
	rest, ok := WithoutQuotes(p, q.Text)
	if !ok {
		return p, false, nil
	}
	rest.ID = fmt.Sprintf("%s, without query %s", p.ID, q.ID)
	if _, taken := c.Index(rest.ID); taken {
		return p, false, fmt.Errorf("generate: two lists have the query id %q, or a passage has the id %q", q.ID, rest.ID)
	}
	c.index[rest.ID] = len(c.copies)
	c.copies = append(c.copies, rest)
	return rest, true, nil
}

func (c *withCopies) Len() int { return c.Corpus.Len() + len(c.copies) }

func (c *withCopies) At(i int) (retort.Passage, error) {
	if own := c.Corpus.Len(); i >= own && i < own+len(c.copies) {
		return c.copies[i-own], nil
	}
	return c.Corpus.At(i)
}

func (c *withCopies) Index(id string) (int, bool) {
	if i, ok := c.index[id]; ok {
		return c.Corpus.Len() + i, true
	}
	return c.Corpus.Index(id)
}
