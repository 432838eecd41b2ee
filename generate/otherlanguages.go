package generate

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// Passages that are not English are read here: by Unicode's boundaries of sentences and words (UAX #29), and by what
// separates words in scripts without spaces. "" is a language that is not known.

// languages tells the language of a passage by its text and by the languages of the corpus.
type languages struct {
	main     string
	frequent []string // of enough passages that stop words of theirs are hardly chance
}

// frequentShare is how many passages have one in a language at least for it to be told by stop words.
const frequentShare = 20

func languagesOf(found retort.Languages) languages {
	l := languages{main: string(found.Main())}
	for _, s := range found.Shares {
		if s.Passages*frequentShare >= found.Sampled {
			l.frequent = append(l.frequent, string(s.Language))
		}
	}
	return l
}

// of returns the language of a text. A Latin text that tells no language of the corpus is in the main one, or in English
// where that is written in other letters.
func (l languages) of(text string) string {
	name, latin := language.Of(text)
	switch {
	case !latin || slices.Contains(l.frequent, name):
		return name
	case language.WritesLatin(l.main):
		return l.main
	}
	return language.English
}

// wordsOf returns the words of a text in some language. In Chinese, Japanese and Thai a word is what stands between two
// particles, so it may be a few words.
func wordsOf(text, name string) []token {
	if name == language.English {
		return tokenize(text)
	}
	var words []token
	run, at := -1, 0 // where the characters of a script without spaces begin
	flush := func() {
		if run >= 0 {
			words = append(words, betweenParticles(text, run, at, language.StopWords(name))...)
			run = -1
		}
	}
	for rest, state := text, -1; rest != ""; {
		var word string
		word, rest, state = uniseg.FirstWordInString(rest, state)
		switch r, _ := utf8.DecodeRuneInString(word); {
		case language.IsUnspaced(r):
			if run < 0 {
				run = at
			}
		case run >= 0 && r == 'ー': // makes a vowel of either kana long
		default:
			flush()
			if strings.ContainsFunc(word, isWordRune) {
				skipped := len(elision(name).FindString(word))
				words = append(words, token{word[skipped:], at + skipped, at + len(word)})
			}
		}
		at += len(word)
	}
	flush()
	return words
}

// betweenParticles splits text[start:end], which is in a script without spaces.
func betweenParticles(text string, start, end int, particles map[string]bool) []token {
	var words []token
	from := start
	add := func(to int) {
		if from < to {
			words = append(words, token{text[from:to], from, to})
		}
	}
	for at := start; at < end; {
		if n := particle(text[at:end], particles); n > 0 {
			add(at)
			at += n
			from = at
			continue
		}
		cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(text[at:end], -1)
		at += len(cluster)
	}
	add(end)
	return words
}

// particle returns the length of the particle that a text begins with, 0 where it begins with none. Hiragana are taken
// for particles and endings: most other words of Japanese are written with Kanji or Katakana.
func particle(text string, particles map[string]bool) int {
	if r, size := utf8.DecodeRuneInString(text); unicode.Is(unicode.Hiragana, r) {
		return size
	}
	longest := 0
	const characters = 6
	for at, n := 0, 0; at < len(text) && n < characters; n++ {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
		if next, _ := utf8.DecodeRuneInString(text[at:]); particles[text[:at]] && !unicode.IsMark(next) {
			longest = at
		}
	}
	return longest
}

var (
	elisions  = regexp.MustCompile(`^(?i:l|d|j|m|t|s|n|c|qu|jusqu|lorsqu|puisqu|un|gl|dell|all|nell|sull|dall|quest|quell)['’]`)
	noElision = regexp.MustCompile(`^\b\B`) // matches nothing
)

// elision matches the article or preposition before an apostrophe: l'eau, dell'acqua.
func elision(name string) *regexp.Regexp {
	if name == "french" || name == "italian" {
		return elisions
	}
	return noElision
}

// mostInWord is how many words may stand between two particles for them to count as one term.
const mostInWord = 4

// otherContentWords returns what contentWords returns of English.
func otherContentWords(text, name string) []string {
	var words []string
	for _, t := range wordsOf(text, name) {
		if word := strings.ToLower(t.text); isOtherContentWord(word, name) {
			words = append(words, word)
		}
	}
	return words
}

func isOtherContentWord(word, name string) bool {
	return !language.StopWords(name)[word] && !isNumber(word) && utf8.RuneCountInString(word) > 1 &&
		language.CountWords(word) <= mostInWord
}

// otherPhrases returns runs of 2 to 4 content words, from either end of what is between stop words, and terms of a
// script without spaces that are about as long.
func otherPhrases(text, name string) []string {
	const fewest, most = 2, 4
	var phrases, run []string
	flush := func() {
		for n := fewest; n <= min(most, len(run)); n++ {
			phrases = append(phrases, strings.Join(run[:n], " "))
			if n < len(run) {
				phrases = append(phrases, strings.Join(run[len(run)-n:], " "))
			}
		}
		run = nil
	}
	end := 0
	for _, t := range wordsOf(text, name) {
		if between := text[end:t.start]; strings.TrimSpace(between) != "" {
			flush()
		}
		end = t.end
		if !isOtherContentWord(strings.ToLower(t.text), name) {
			flush()
			continue
		}
		if strings.ContainsFunc(t.text, language.IsUnspaced) {
			flush()
			if language.CountWords(t.text) >= fewest {
				phrases = append(phrases, t.text)
			}
			continue
		}
		run = append(run, t.text)
	}
	flush()
	return phrases
}

// otherSentencesOf returns what sentencesOf returns of English.
func otherSentencesOf(text, name string) []string {
	var sentences []string
	add := func(s string) {
		if s = strings.TrimSpace(s); strings.ContainsFunc(s, unicode.IsLetter) {
			sentences = append(sentences, s)
		}
	}
	for _, block := range blocks(text) {
		block = joinLines(block)
		open := ""
		for rest, state := block, -1; rest != ""; {
			var s string
			s, rest, state = uniseg.FirstSentenceInString(rest, state)
			if open += s; rest != "" && abbreviated.MatchString(open) {
				continue
			}
			for _, part := range splitClauses(open) {
				add(part)
			}
			open = ""
		}
	}
	return sentences
}

// abbreviated matches a sentence that ends in an initial, a number ("3. Oktober") or an abbreviation.
var abbreviated = regexp.MustCompile(`(?:^|[\s(.])(?:\pL|\d{1,2}|(?i:bzw|ca|usw|nr|abs|art|dr|prof|st|vgl|sog|evtl|ggf|inkl|max|min|str|tel|` +
	`mme|mlle|mr|fig|sra?|núm|pág|etc|dott|sig|ing|num|resp|approx|гг|им|ул|стр|рис|руб|тыс|млн))\.\s+$`)

var wrapped = regexp.MustCompile(`([\p{Han}\p{Hiragana}\p{Katakana}ー、。，；：！？]) ([\p{Han}\p{Hiragana}\p{Katakana}])`)

// joinLines takes out the spaces that blocks puts between wrapped lines of Chinese and Japanese.
func joinLines(block string) string {
	return wrapped.ReplaceAllString(wrapped.ReplaceAllString(block, "$1$2"), "$1$2")
}

// splitClauses splits at the spaces between letters of Thai, Lao, Khmer and Burmese, which end clauses there and hardly
// ever are followed by a sign.
func splitClauses(s string) []string {
	var clauses []string
	from, before := 0, ' '
	for at, r := range s {
		if r != ' ' {
			before = r
			continue
		}
		next, _ := utf8.DecodeRuneInString(s[at+1:])
		if language.IsAlphabetUnspaced(before) && language.IsAlphabetUnspaced(next) {
			clauses, from = append(clauses, s[from:at]), at
		}
	}
	return append(clauses, s[from:])
}

// otherSentenceQueries returns the sentences in random order, first those that fit, then those cut at a comma.
func otherSentenceQueries(d *document, rng *rand.Rand) []string {
	var whole, cut []string
	for _, s := range d.sentences {
		switch text, shorter := otherFit(s.text, d.options.MinWords, d.options.MaxWords); {
		case text == "":
		case shorter:
			cut = append(cut, text)
		default:
			whole = append(whole, text)
		}
	}
	for _, queries := range [][]string{whole, cut} {
		rng.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
	}
	return slices.Concat(whole, cut)
}

var otherClauseBreak = regexp.MustCompile(`[,;:] |[，；：、،؛]|——?| [-–] `)

// otherFit returns what fit returns of English.
func otherFit(s string, fewest, most int) (fitted string, cut bool) {
	s = trimSigns(s)
	for language.CountWords(s) > most {
		breaks := otherClauseBreak.FindAllStringIndex(s, -1)
		if len(breaks) == 0 {
			return "", true
		}
		s = trimSigns(s[:breaks[len(breaks)-1][0]])
		cut = true
	}
	if language.CountWords(s) < fewest {
		return "", cut
	}
	return s, cut
}

var wideBrackets = regexp.MustCompile(`（[^（）]*）`)

// trimSigns takes off the signs around a sentence, and asides in wide brackets.
func trimSigns(s string) string {
	s = wideBrackets.ReplaceAllString(s, "")
	return trimPunctuation(strings.TrimFunc(s, func(r rune) bool { return !isWordRune(r) && !strings.ContainsRune("()[]%°", r) }))
}
