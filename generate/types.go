package generate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/retort-ir/retort/internal/language"
)

// sentenceQueries returns the sentences that make sense alone, in random order: first those that fit, then those
// cut short, last those with a hole where the symbol stood.
func sentenceQueries(d *document, rng *rand.Rand) []string {
	if d.language != language.English {
		return otherSentenceQueries(d, rng)
	}
	var whole, cut, torn []string
	for _, s := range d.sentences {
		if startsWithPronoun(s.text) || initials.MatchString(s.text) {
			continue
		}
		text := s.body
		if s.led {
			text = copula.ReplaceAllString(text, "")
		}
		text, shorter := fit(withoutOpening(text), d.options.MinWords, d.options.MaxWords)
		switch {
		case text == "":
		case s.torn:
			torn = append(torn, text)
		case shorter:
			cut = append(cut, text)
		default:
			whole = append(whole, text)
		}
	}
	for _, queries := range [][]string{whole, cut, torn} {
		rng.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
	}
	return slices.Concat(whole, cut, torn)
}

var (
	copula   = regexp.MustCompile(`^(?:is|are|was|were) `)
	initials = regexp.MustCompile(`(?:^|\s)\pL\. ?\pL\. ?\pL`) // of authors
)

var titleBreak = regexp.MustCompile(`: |; |\? |\. | [-–—] |—|[：；｜]`)

// titleQueries returns parts of a heading, then its content words without the least telling ones, more of them left out
// each time. None is the whole heading: a part may be, and is dropped by ofType then.
func titleQueries(d *document, rng *rand.Rand) []string {
	var queries []string
	parts := titleBreak.Split(plain(d.title), -1)
	rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	for _, part := range parts {
		part = trimPunctuation(part)
		if n := len(tokenize(part)); len(d.contentWords(part)) >= 2 && n <= d.options.MaxWords && len(parts) > 1 {
			queries = append(queries, part)
		}
	}
	const fewest, most = 2, 8
	words := d.contentWords(d.title)
	keep := min(most, len(words))
	if len(words) == len(d.own.heading) {
		keep = min(keep, len(words)-1)
	}
	for ; keep >= fewest && len(queries) < 4; keep-- {
		queries = append(queries, strings.Join(topWords(words, keep, d.idf), " "))
	}
	return queries
}

// topWords returns the k words with the highest idf, in their order.
func topWords(words []string, k int, idf func(string) float64) []string {
	order := make([]int, len(words))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(idf(words[j]), idf(words[i])) })
	order = order[:k]
	slices.Sort(order)
	top := make([]string, k)
	for i, at := range order {
		top[i] = words[at]
	}
	return top
}

// keywordQueries returns draws of 3 to 6 of the passage's words by tf-idf, in the order in which they first occur.
func keywordQueries(d *document, rng *rand.Rand) []string {
	const fewest, most, pool, draws = 3, 6, 12, 6
	tf := map[string]float64{}
	var words []string
	for _, text := range d.texts() {
		for _, word := range d.contentWords(text) {
			if strings.EqualFold(word, d.own.symbol) {
				continue
			}
			if tf[word] == 0 {
				words = append(words, word)
			}
			tf[word]++
		}
	}
	weight := func(word string) float64 { return tf[word] * d.idf(word) }
	words = topWords(words, min(pool, len(words)), weight)
	if len(words) < fewest {
		return nil
	}
	var queries []string
	for range draws {
		k := min(fewest+rng.IntN(most-fewest+1), len(words))
		chosen := weightedOrder(words, weight, rng)[:k]
		slices.Sort(chosen)
		drawn := make([]string, k)
		for i, at := range chosen {
			drawn[i] = words[at]
		}
		queries = append(queries, strings.Join(drawn, " "))
	}
	return queries
}

// phraseQueries returns runs of 2 to 4 content words, drawn by their mean idf and how often they occur.
func phraseQueries(d *document, rng *rand.Rand) []string {
	const pool = 12
	count := map[string]float64{}
	var phrases []string
	texts := d.texts()
	for i, s := range d.sentences {
		if s.led {
			_, texts[len(texts)-len(d.sentences)+i], _ = strings.Cut(s.body, " ") // behind the verb
		}
	}
	for _, text := range texts {
		for _, phrase := range d.phrasesOf(text) {
			if count[phrase] == 0 {
				phrases = append(phrases, phrase)
			}
			count[phrase]++
		}
	}
	weight := func(phrase string) float64 {
		words := strings.Fields(strings.ToLower(phrase))
		var sum float64
		for _, w := range words {
			sum += d.idf(w)
		}
		return count[phrase] * sum / float64(len(words))
	}
	phrases = topWords(phrases, min(pool, len(phrases)), weight)
	queries := make([]string, len(phrases))
	for i, at := range weightedOrder(phrases, weight, rng) {
		queries[i] = phrases[at]
	}
	return queries
}

// phrasesOf returns the phrases of a text, as often as it has them.
func (d *document) phrasesOf(text string) []string {
	if d.language != language.English {
		return otherPhrases(text, d.language)
	}
	const fewest, most = 2, 4
	var phrases []string
	for _, run := range contentRuns(text) {
		for n := fewest; n <= min(most, len(run)); n++ {
			phrases = append(phrases, strings.Join(run[len(run)-n:], " ")) // English phrases have their head at the end
		}
	}
	return phrases
}

// contentRuns returns the runs of consecutive content words: no stop word, verb, number or punctuation between them.
func contentRuns(text string) [][]string {
	var runs [][]string
	var run []string
	flush := func() {
		for len(run) > 0 && strings.HasSuffix(run[len(run)-1], "ed") {
			run = run[:len(run)-1] // "white space removed"
		}
		if len(run) > 1 {
			runs = append(runs, run)
		}
		run = nil
	}
	end := 0
	for _, t := range tokenize(text) {
		if strings.TrimSpace(text[end:t.start]) != "" {
			flush()
		}
		end = t.end
		word := strings.ToLower(t.text)
		if !isContentWord(word) || plainVerbs[word] || strings.HasSuffix(word, "ly") || strings.HasSuffix(word, "ing") && len(run) == 0 {
			flush()
			continue
		}
		run = append(run, t.text)
	}
	flush()
	return runs
}

// contentWords returns the words of a text that are no stop words and no numbers, in lower case.
func contentWords(text string) []string {
	var words []string
	for _, t := range tokenize(text) {
		if word := strings.ToLower(t.text); isContentWord(word) {
			words = append(words, word)
		}
	}
	return words
}

func isContentWord(word string) bool {
	return !stopWords[word] && !isNumber(word) && utf8.RuneCountInString(word) > 1
}

// weightedOrder returns the indexes of the items in random order, those with more weight sooner (Efraimidis and
// Spirakis 2006, Weighted random sampling with a reservoir).
func weightedOrder(items []string, weight func(string) float64, rng *rand.Rand) []int {
	order := make([]int, len(items))
	keys := make([]float64, len(items))
	for i, item := range items {
		order[i] = i
		keys[i] = -math.Log(1-rng.Float64()) / weight(item)
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(keys[i], keys[j]) })
	return order
}
