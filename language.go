package retort

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/language"
)

// Language is the English name of a language in lower case: "german". The zero value is a language that is not known.
type Language string

// English is the language that Retort works in where it knows of no other.
const English Language = language.English

// Unspaced reports whether the language puts no spaces between words: Chinese, Japanese, Thai, Lao, Khmer and Burmese.
func (l Language) Unspaced() bool { return language.WritesUnspaced(string(l)) }

// Languages are the languages of a corpus.
type Languages struct {
	// Sampled is the number of passages that were read.
	Sampled int
	// Shares are the languages of the sampled passages, the most frequent first.
	Shares []LanguageShare
	// Unknown are the passages whose language is not known, such as short ones.
	Unknown int
}

// LanguageShare is the number of sampled passages in one language.
type LanguageShare struct {
	Language Language
	Passages int
}

// languageSample is the number of passages that show the languages of a corpus.
const languageSample = 1000

// DetectLanguages reads up to 1,000 passages at equal distances.
func DetectLanguages(ctx context.Context, corpus Corpus) (Languages, error) {
	n := corpus.Len()
	found := Languages{Sampled: min(n, languageSample)}
	passages := map[string]int{}
	for i := range found.Sampled {
		if err := ctx.Err(); err != nil {
			return Languages{}, err
		}
		at := i * n / found.Sampled
		p, err := corpus.At(at)
		if err != nil {
			return Languages{}, fmt.Errorf("detect the languages: passage %d: %w", at, err)
		}
		name, _ := language.Of(p.Content())
		if name == "" {
			found.Unknown++
			continue
		}
		passages[name]++
	}
	for name, count := range passages {
		found.Shares = append(found.Shares, LanguageShare{Language(name), count})
	}
	slices.SortFunc(found.Shares, func(a, b LanguageShare) int {
		return cmp.Or(cmp.Compare(b.Passages, a.Passages), cmp.Compare(a.Language, b.Language))
	})
	return found, nil
}

// mainShare is how many passages have one in the main language at least, if that is not English: stop words of other
// languages are in names and code too.
const mainShare = 4

// Main returns the most frequent language. It is English where no other language has a quarter of the passages.
func (l Languages) Main() Language {
	if len(l.Shares) == 0 || l.Shares[0].Passages*mainShare < l.Sampled {
		return English
	}
	return l.Shares[0].Language
}

// String says how frequent each language is: "german 80%, english 12%, unknown 8%". It leaves out what is rarer than one
// in a hundred.
func (l Languages) String() string {
	var parts []string
	add := func(name string, n int) {
		if 100*n >= l.Sampled && n > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f%%", name, 100*float64(n)/float64(l.Sampled)))
		}
	}
	for _, s := range l.Shares {
		add(string(s.Language), s.Passages)
	}
	add("unknown", l.Unknown)
	return strings.Join(parts, ", ")
}
