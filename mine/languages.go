package mine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/ar"
	"github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	"github.com/blevesearch/bleve/v2/analysis/lang/ckb"
	"github.com/blevesearch/bleve/v2/analysis/lang/da"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/es"
	"github.com/blevesearch/bleve/v2/analysis/lang/fa"
	"github.com/blevesearch/bleve/v2/analysis/lang/fi"
	"github.com/blevesearch/bleve/v2/analysis/lang/fr"
	"github.com/blevesearch/bleve/v2/analysis/lang/hu"
	"github.com/blevesearch/bleve/v2/analysis/lang/it"
	"github.com/blevesearch/bleve/v2/analysis/lang/nl"
	"github.com/blevesearch/bleve/v2/analysis/lang/no"
	"github.com/blevesearch/bleve/v2/analysis/lang/pt"
	"github.com/blevesearch/bleve/v2/analysis/lang/ro"
	"github.com/blevesearch/bleve/v2/analysis/lang/ru"
	"github.com/blevesearch/bleve/v2/analysis/lang/sv"
	"github.com/blevesearch/bleve/v2/analysis/lang/tr"
	"github.com/blevesearch/bleve/v2/registry"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/language"
)

// LanguageAnalyzer returns the analyzer of a language. A language without one has [English], which at least splits its
// words. Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese share "cjk": pairs of adjacent characters.
func LanguageAnalyzer(l retort.Language) Analyzer {
	if l == language.Korean || l.Unspaced() {
		l = cjkName
	}
	build, ok := languages[string(l)]
	if !ok {
		return English()
	}
	return build(string(l))
}

// DetectAnalyzer returns the [LanguageAnalyzer] of the main language of a corpus, by retort.DetectLanguages. found says
// what it found and took: "german 80%, english 12%: analyzer german".
func DetectAnalyzer(ctx context.Context, corpus retort.Corpus) (a Analyzer, found string, err error) {
	languages, err := retort.DetectLanguages(ctx, corpus)
	if err != nil {
		return nil, "", err
	}
	a = LanguageAnalyzer(languages.Main())
	return a, fmt.Sprintf("%s: analyzer %s", languages, a), nil
}

// AnalyzerNamed returns the analyzer of a name in AnalyzerNames: [English], [Code], or the analyzer of a language.
func AnalyzerNamed(name string) (Analyzer, error) {
	switch name {
	case language.English:
		return English(), nil
	case codeName:
		return Code(), nil
	}
	build, ok := languages[name]
	if !ok {
		return nil, fmt.Errorf("no analyzer %q, only %s", name, strings.Join(AnalyzerNames(), ", "))
	}
	return build(name), nil
}

// AnalyzerNames returns the names of all analyzers in alphabetical order.
func AnalyzerNames() []string {
	names := append(slices.Collect(maps.Keys(languages)), language.English, codeName)
	slices.Sort(names)
	return names
}

const (
	cjkName  = "cjk"
	codeName = "code"
)

// languages make the analyzers of languages but English. Each is bleve's, which follows Lucene's analyzer of that
// language, with its own stop words and stemmer.
var languages = map[string]func(name string) Analyzer{
	"arabic":     bleve(ar.AnalyzerName, asciiDigits),
	cjkName:      bleve(cjk.AnalyzerName, nil),
	"danish":     bleve(da.AnalyzerName, nil),
	"dutch":      bleve(nl.AnalyzerName, nil),
	"finnish":    bleve(fi.AnalyzerName, nil),
	"french":     bleve(fr.AnalyzerName, nil),
	"german":     bleve(de.AnalyzerName, nil),
	"hungarian":  bleve(hu.AnalyzerName, nil),
	"italian":    bleve(it.AnalyzerName, nil),
	"norwegian":  bleve(no.AnalyzerName, nil),
	"persian":    bleve(fa.AnalyzerName, asciiDigits),
	"portuguese": bleve(pt.AnalyzerName, nil),
	"romanian":   bleve(ro.AnalyzerName, cedillas.Replace),
	"russian":    bleve(ru.AnalyzerName, nil),
	"sorani":     bleve(ckb.AnalyzerName, asciiDigits),
	"spanish":    bleve(es.AnalyzerName, nil),
	"swedish":    bleve(sv.AnalyzerName, nil),
	"turkish":    bleve(tr.AnalyzerName, turkishLower),
}

// cedillas writes Romanian as its stop words and stemmer know it: they are older than the letters with commas.
var cedillas = strings.NewReplacer("ș", "ş", "Ș", "Ş", "ț", "ţ", "Ț", "Ţ")

// turkishLower is Lucene's TurkishLowerCaseFilter: I is the capital of ı, and İ that of i.
func turkishLower(text string) string { return strings.ToLowerSpecial(unicode.TurkishCase, text) }

// asciiDigits is Lucene's DecimalDigitFilter for the digits of Arabic and Persian.
func asciiDigits(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case '٠' <= r && r <= '٩':
			return r - '٠' + '0'
		case '۰' <= r && r <= '۹':
			return r - '۰' + '0'
		}
		return r
	}, text)
}

// bleve returns what makes the analyzer that bleve has under a name. prepare, which may be nil, changes a text first.
func bleve(registered string, prepare func(string) string) func(string) Analyzer {
	return func(name string) Analyzer {
		a, err := registry.NewCache().AnalyzerNamed(registered)
		parts, ok := a.(*analysis.DefaultAnalyzer)
		if err != nil || !ok {
			panic(fmt.Sprintf("mine: bleve has no analyzer %q that can be taken apart: %T, %v", registered, a, err)) // a fault of the table above
		}
		return ofLanguage{name: name, bleve: parts, prepare: prepare}
	}
}

type ofLanguage struct {
	name    string
	bleve   *analysis.DefaultAnalyzer
	prepare func(string) string
}

func (a ofLanguage) Terms(text string) []string {
	if a.prepare != nil {
		text = a.prepare(text)
	}
	input := []byte(readable(text))
	for _, f := range a.bleve.CharFilters {
		input = f.Filter(input)
	}
	tokens := a.bleve.Tokenizer.Tokenize(input)
	if a.name == cjkName {
		tokens = withUnspaced(tokens, input)
	}
	return termsOf(cutLongWords(tokens), a.bleve.TokenFilters)
}

// String returns the name of the analyzer.
func (a ofLanguage) String() string { return a.name }

// Fingerprint implements [encoder.Fingerprinter].
func (a ofLanguage) Fingerprint() string { return a.name }

// withUnspaced gives words of Hangul the type of which bleve's filter makes pairs, as Lucene's CJKAnalyzer does, and adds
// the words of scripts such as Thai, which bleve's tokenizer leaves out because only a dictionary tells them apart.
func withUnspaced(tokens analysis.TokenStream, text []byte) analysis.TokenStream {
	all := make(analysis.TokenStream, 0, len(tokens))
	from := 0
	for _, t := range tokens {
		all = append(all, runsOfUnspaced(text, from, t.Start)...)
		if bytes.ContainsFunc(t.Term, func(r rune) bool { return unicode.Is(unicode.Hangul, r) }) {
			t.Type = analysis.Ideographic
		}
		all, from = append(all, t), t.End
	}
	return append(all, runsOfUnspaced(text, from, len(text))...)
}

func runsOfUnspaced(text []byte, from, to int) analysis.TokenStream {
	var runs analysis.TokenStream
	for from < to {
		start := bytes.IndexFunc(text[from:to], language.IsUnspaced)
		if start < 0 {
			break
		}
		start += from
		from = to
		if end := bytes.IndexFunc(text[start:to], func(r rune) bool { return !language.IsUnspaced(r) }); end >= 0 {
			from = start + end
		}
		runs = append(runs, &analysis.Token{Term: slices.Clone(text[start:from]), Start: start, End: from, Type: analysis.Ideographic})
	}
	return runs
}
