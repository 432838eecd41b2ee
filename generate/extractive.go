package generate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// The types of query that Extractive makes.
const (
	TypeSentence = "sentence" // a sentence, or a clause of a long one: "gracefully shuts down the server without ..."
	TypeTitle    = "title"    // a part or the content words of a heading; none of an identifier
	TypeKeywords = "keywords" // 3 to 6 words drawn by tf-idf, in the order of the passage
	TypePhrase   = "phrase"   // 2 to 4 consecutive content words: "breast cancer survival"
	TypeHowTo    = "howto"    // of English passages: "how to gracefully shut down the server", from "Shutdown gracefully shuts down the server"
)

// extractiveTypes returns all types of query that Extractive makes.
func extractiveTypes() []string {
	return []string{TypeSentence, TypeTitle, TypeKeywords, TypePhrase, TypeHowTo}
}

// Options are the settings of an Extractive generator. The zero value is valid.
type Options struct {
	// Types to make; nil means all. Fewer types do not change the queries of the other types.
	Types []string
	// PerPassage is the most queries of one passage; 0 means one of each type. They are taken from the types in turn,
	// in an order that differs from passage to passage, so that a small number still gives a mix over the corpus. A
	// larger number only adds queries.
	PerPassage int
	// Seed chooses among what a passage offers.
	Seed uint64
	// MinWords and MaxWords limit sentences and how-to questions; 0 means 4 and 20.
	MinWords, MaxWords int
	// MaxChars is where a passage's text is cut, since an encoder does not read on for ever either; 0 means 2048, as in
	// Tamber et al. 2025 (arXiv 2502.19712).
	MaxChars int
}

// Validate returns an error that names the field with a value out of range.
func (o Options) Validate() error {
	for _, t := range o.Types {
		if !slices.Contains(extractiveTypes(), t) {
			return fmt.Errorf("Options.Types: no type %q, only %s", t, strings.Join(extractiveTypes(), ", "))
		}
	}
	o = o.withDefaults()
	switch {
	case o.PerPassage < 0:
		return fmt.Errorf("Options.PerPassage is %d, want it >= 0", o.PerPassage)
	case o.MinWords < 1:
		return fmt.Errorf("Options.MinWords is %d, want it >= 0", o.MinWords)
	case o.MaxWords < o.MinWords:
		return fmt.Errorf("Options.MaxWords is %d, want it >= MinWords, %d", o.MaxWords, o.MinWords)
	case o.MaxChars < 1:
		return fmt.Errorf("Options.MaxChars is %d, want it >= 0", o.MaxChars)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Types == nil {
		o.Types = extractiveTypes()
	}
	if o.PerPassage == 0 {
		o.PerPassage = len(o.Types)
	}
	o.MinWords = cmp.Or(o.MinWords, 4)
	o.MaxWords = cmp.Or(o.MaxWords, 20)
	o.MaxChars = cmp.Or(o.MaxChars, 2048)
	return o
}

// Extractive makes queries of a passage's own words. What it makes depends on the options, the passage and the corpus's
// statistics only, never on the order of the passages or calls. It is safe for concurrent use.
type Extractive struct {
	options Options
	spoken  languages
	others  bool           // whether a passage is in another language than English
	df      map[string]int // in how many passages of the corpus a word occurs
	n       int            // passages of the corpus
	// Whether most titles are identifiers: then no title is a heading.
	identifiers bool
}

// NewExtractive reads the corpus once for its statistics: in how many passages a word occurs, and whether titles are
// headings or identifiers.
func NewExtractive(ctx context.Context, corpus retort.Corpus, options Options) (*Extractive, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	found, err := retort.DetectLanguages(ctx, corpus)
	if err != nil {
		return nil, err
	}
	e := &Extractive{options: options.withDefaults(), spoken: languagesOf(found), df: map[string]int{}, n: corpus.Len()}
	var titled, identifiers int
	for i := range corpus.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := corpus.At(i)
		if err != nil {
			return nil, fmt.Errorf("count words: passage %d: %w", i, err)
		}
		seen := map[string]bool{}
		content := e.cut(p.Content())
		name := e.spoken.of(content)
		e.others = e.others || name != language.English
		for _, t := range wordsOf(content, name) {
			if word := strings.ToLower(t.text); !seen[word] {
				seen[word] = true
				e.df[word]++
			}
		}
		if p.Title != "" {
			titled++
		}
		if isIdentifier(p.Title) {
			identifiers++
		}
	}
	e.identifiers = 2*identifiers > titled
	return e, nil
}

// ExtractiveTypes are the types of queries that it makes: held-out queries should be of another type.
func (e *Extractive) ExtractiveTypes() []string { return slices.Clone(e.options.Types) }

// Generate returns queries of the passage, which need not be of the corpus. Their ids are passage#type#n, with n rising
// from 0 within the type; a number is left out where another type has made the same query.
func (e *Extractive) Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := e.read(p)
	order := slices.Clone(e.options.Types)
	rng := e.random(p.ID, "order")
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	texts := make([][]string, len(order))
	rounds := 0
	for i, t := range order {
		texts[i] = e.ofType(d, t)
		rounds = max(rounds, len(texts[i]))
	}

	var queries []retort.Query
	seen := map[string]bool{}
	for n := range rounds {
		for i, t := range order {
			if len(queries) == e.options.PerPassage {
				return queries, nil
			}
			if n >= len(texts[i]) || seen[Normalize(texts[i][n])] {
				continue
			}
			seen[Normalize(texts[i][n])] = true
			queries = append(queries, retort.Query{
				ID:     fmt.Sprintf("%s#%s#%d", p.ID, t, n),
				Text:   texts[i][n],
				Type:   t,
				Source: p.ID,
				Origin: retort.OriginExtractive,
			})
		}
	}
	return queries, nil
}

// document is what the types read of a passage.
type document struct {
	id        string
	language  string // "" where it is not known
	title     string // "" where it is an identifier
	sentences []sentence
	own       own
	options   Options
	idf       func(word string) float64 // of a lower-case word
}

func (e *Extractive) read(p retort.Passage) *document {
	title := strings.ToValidUTF8(strings.TrimSpace(e.cut(p.Title)), "")
	text := strings.ToValidUTF8(p.Text, "")
	d := &document{
		id: p.ID, options: e.options, idf: e.idf, own: ownNames(title, e.identifiers), language: e.spoken.of(e.cut(p.Content())),
	}
	if d.language != language.English && strings.ContainsFunc(title, func(r rune) bool { return r >= utf8.RuneSelf }) {
		d.own = own{heading: d.own.heading} // a slash or dot in other languages makes no identifier
	}
	if d.own.symbol == "" {
		d.title = title
		if title == "" && isIdentifier(p.ID) {
			d.own = ownNames(p.ID, true)
		}
	}
	cut := e.cut(text)
	sentences := d.sentencesOf(cut)
	if len(cut) < len(text) && len(sentences) > 1 {
		sentences = sentences[:len(sentences)-1] // cut in the middle
	}
	for _, s := range sentences {
		if !isCode(s) {
			d.sentences = append(d.sentences, readSentence(s, d.own))
		}
	}
	return d
}

func (d *document) sentencesOf(text string) []string {
	if d.language == language.English {
		return sentencesOf(text)
	}
	return otherSentencesOf(text, d.language)
}

func (d *document) contentWords(text string) []string {
	if d.language == language.English {
		return contentWords(text)
	}
	return otherContentWords(text, d.language)
}

// texts returns the title and the sentences without the passage's symbol.
func (d *document) texts() []string {
	texts := make([]string, 0, 1+len(d.sentences))
	if d.title != "" {
		texts = append(texts, plain(d.title))
	}
	for _, s := range d.sentences {
		texts = append(texts, s.body)
	}
	return texts
}

// sentence is one of a passage's sentences.
type sentence struct {
	text string // as a person would type it
	body string // without the passage's symbol
	led  bool   // the symbol was its subject: body begins with the verb
	torn bool   // the symbol stood elsewhere: body has a hole
}

func readSentence(raw string, o own) sentence {
	s := sentence{text: plain(raw)}
	rest, led := afterSymbol(s.text, o)
	if !led {
		rest = s.text
	}
	s.led = led
	s.body = o.without(rest)
	s.torn = o.symbol != "" && s.body != tidy(rest)
	return s
}

// makers return the texts of a type's queries, those to be taken first in front, more than are taken. ofType filters
// them.
var makers = map[string]func(*document, *rand.Rand) []string{
	TypeSentence: sentenceQueries,
	TypeTitle:    titleQueries,
	TypeKeywords: keywordQueries,
	TypePhrase:   phraseQueries,
	TypeHowTo:    howToQueries,
}

// ofType returns the queries of one type in the order in which they are to be taken.
func (e *Extractive) ofType(d *document, queryType string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, text := range makers[queryType](d, e.random(d.id, queryType)) {
		normal := Normalize(text)
		if normal == "" || seen[normal] || d.own.isIn(text) {
			continue
		}
		seen[normal] = true
		kept = append(kept, text)
	}
	return kept
}

// cut returns the first MaxChars characters of the text.
func (e *Extractive) cut(text string) string {
	if len(text) <= e.options.MaxChars || utf8.RuneCountInString(text) <= e.options.MaxChars {
		return text
	}
	n := 0
	for i := range text {
		if n == e.options.MaxChars {
			return text[:i]
		}
		n++
	}
	return text
}

// idf is Lucene's: ln(1 + (N - df + .5) / (df + .5)), > 0.
func (e *Extractive) idf(word string) float64 {
	df := float64(e.df[word])
	return math.Log1p((float64(e.n) - df + .5) / (df + .5))
}

func (e *Extractive) random(names ...string) *rand.Rand { return random(e.options.Seed, names...) }
