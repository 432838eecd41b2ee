package generate

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/counted"
)

// Scripts counts the passages of a corpus that what is made for English text reads badly: Extractive, and analyzers
// such as mine.English.
type Scripts struct {
	Passages int
	// Unspaced are those most of whose letters are of a script that puts no spaces between words: Chinese, Japanese,
	// Thai, Lao, Khmer or Burmese. Extractive makes no queries of them.
	Unspaced int
	// Foreign are others most of whose letters are not Latin, or that have eight words and more and hardly one of the
	// commonest of English among them.
	Foreign int
}

const (
	foreignWords = 8  // fewer say nothing
	foreignShare = 25 // English text has far more than one common word of so many
)

// commonWords are frequent in English and rare in languages that use the same letters.
var commonWords = set(`the of and to that with for is are from this by not be it which have has can at on you when`)

// ReadScripts reads the corpus once.
func ReadScripts(ctx context.Context, corpus retort.Corpus) (Scripts, error) {
	s := Scripts{Passages: corpus.Len()}
	for i := range corpus.Len() {
		if err := ctx.Err(); err != nil {
			return Scripts{}, err
		}
		p, err := corpus.At(i)
		if err != nil {
			return Scripts{}, fmt.Errorf("read scripts: passage %d: %w", i, err)
		}
		switch text := p.Content(); {
		case isUnspaced(text):
			s.Unspaced++
		case isForeign(text):
			s.Foreign++
		}
	}
	return s, nil
}

// unspacedScripts names the scripts of Scripts.Unspaced.
const unspacedScripts = "a script without spaces between words (Chinese, Japanese, Thai, Lao, Khmer or Burmese)"

// Check returns warnings for people whose passages extractive queries and BM25 do not suit. It returns an error where
// extractOnly is true, so that extraction alone can make queries, and no passage gives any.
func (s Scripts) Check(extractOnly bool) (warnings []string, err error) {
	switch {
	case s.Unspaced == s.Passages && extractOnly:
		return nil, fmt.Errorf("its %s passages are in %s, and no queries can be extracted from those: give queries of your own, "+
			"or have a language model ask them", counted.Thousands(s.Passages), unspacedScripts)
	case s.Unspaced > 0:
		warnings = append(warnings, fmt.Sprintf("%s: no queries are extracted from them: give queries of your own, or have "+
			"a language model ask them", s.DescribeUnspaced()))
	}
	if s.Foreign*2 > s.Passages-s.Unspaced {
		warnings = append(warnings, fmt.Sprintf("%s of %s passages do not look English, which extractive queries "+
			"are made for: expect less of them, and give judged queries to see what they are worth",
			counted.Thousands(s.Foreign), counted.Thousands(s.Passages)))
	}
	return warnings, nil
}

// DescribeUnspaced says how many passages are Unspaced: "2 of 3 passages are in a script without spaces between words
// (Chinese, Japanese, Thai, Lao, Khmer or Burmese)".
func (s Scripts) DescribeUnspaced() string {
	return fmt.Sprintf("%s of %s passages are in %s", counted.Thousands(s.Unspaced), counted.Thousands(s.Passages), unspacedScripts)
}

// isUnspaced says whether most letters are of scripts that put no spaces between words.
func isUnspaced(text string) bool {
	var unspaced, letters int
	for _, r := range text {
		if r < 0x80 {
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				letters++
			}
			continue
		}
		if unicode.IsLetter(r) {
			letters++
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer,
				unicode.Myanmar) {
				unspaced++
			}
		}
	}
	return 2*unspaced > letters
}

func isForeign(text string) bool {
	var latin, letters int
	for _, r := range text {
		if unicode.IsLetter(r) {
			letters++
			if unicode.Is(unicode.Latin, r) {
				latin++
			}
		}
	}
	if 2*latin < letters {
		return true
	}
	var words, common int
	for _, t := range tokenize(text) {
		if isNumber(t.text) {
			continue
		}
		words++
		if commonWords[strings.ToLower(t.text)] {
			common++
		}
	}
	return words >= foreignWords && common*foreignShare < words
}
