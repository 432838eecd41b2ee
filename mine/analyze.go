package mine

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/token/lowercase"
	"github.com/blevesearch/bleve/v2/analysis/token/porter"
	"github.com/blevesearch/bleve/v2/analysis/token/stop"
	segment "github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"

	"github.com/retort-ir/retort/internal/language"
)

// Analyzer splits a text into terms for indexing and search. Implementations are deterministic and safe for concurrent
// use.
type Analyzer interface {
	// Terms returns the terms in the order of the text, repeated where the text repeats them.
	Terms(text string) []string
}

// English returns an analyzer that is equivalent to Lucene's EnglishAnalyzer: it splits words by the Unicode rules (UAX
// #29), removes a final 's, converts to lower case, removes Lucene's stop words and stems by Porter's algorithm (1980,
// with the two changes of Porter's C version). Words are split after 255 characters. Bytes that are not UTF-8 separate
// words.
func English() Analyzer {
	stopWords := analysis.NewTokenMap()
	for _, w := range strings.Fields(englishStopWords) {
		stopWords.AddToken(w)
	}
	return english{
		tokenizer: segment.NewUnicodeTokenizer(),
		filters: []analysis.TokenFilter{
			en.NewPossessiveFilter(),
			lowercase.NewLowerCaseFilter(),
			stop.NewStopTokensFilter(stopWords),
			porter.NewPorterStemmer(),
		},
	}
}

// Code returns an analyzer for English text with identifiers of program code. It splits each identifier into words and
// then applies [English]: "net/http.Server.ListenAndServe" has the terms net, http, server, listen and serv. Dots,
// slashes, colons, dashes, underscores and camelCase separate words: "HTTPServer" has the words HTTP and Server.
// "utf8", "URLs" and "IPv4" are one word each, and "3.14" stays one number.
func Code() Analyzer { return code{English()} }

// englishStopWords are the stop words of Lucene's EnglishAnalyzer.
const englishStopWords = `a an and are as at be but by for if in into is it no not of on or such that the their then there
these they this to was will with`

type english struct {
	tokenizer analysis.Tokenizer
	filters   []analysis.TokenFilter
}

func (a english) Terms(text string) []string {
	// The filters write into the bytes of the tokens, so they get a copy.
	return termsOf(cutLongWords(a.tokenizer.Tokenize([]byte(readable(text)))), a.filters)
}

// String returns the name of the analyzer.
func (english) String() string { return language.English }

// readable returns the text as bleve can read it: bytes that are not UTF-8 are spaces, and capitals whose small letter
// has fewer bytes (İ, ẞ, the sign of Kelvin) are small already, since bleve's filter would garble the rest of the word.
func readable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return r
		}
		if small := unicode.ToLower(r); utf8.RuneLen(small) < utf8.RuneLen(r) {
			return small
		}
		return r
	}, strings.ToValidUTF8(text, " "))
}

func termsOf(tokens analysis.TokenStream, filters []analysis.TokenFilter) []string {
	for _, f := range filters {
		tokens = f.Filter(tokens)
	}
	terms := make([]string, 0, len(tokens))
	for _, t := range tokens {
		if len(t.Term) > 0 {
			terms = append(terms, string(t.Term))
		}
	}
	return terms
}

// cutLongWords splits words after every 255 characters, like Lucene. The stemmer recurses over repeated y's, so a word
// of megabytes would overflow the stack.
func cutLongWords(tokens analysis.TokenStream) analysis.TokenStream {
	const longest = 255
	if !slices.ContainsFunc(tokens, func(t *analysis.Token) bool { return len(t.Term) > longest }) {
		return tokens
	}
	var cut analysis.TokenStream
	for _, t := range tokens {
		start := t.Start
		for rest := string(t.Term); rest != ""; {
			piece := firstChars(rest, longest)
			end := start + len(piece)
			cut = append(cut, &analysis.Token{Term: []byte(piece), Start: start, End: end, Type: t.Type})
			rest, start = rest[len(piece):], end
		}
	}
	return cut
}

func firstChars(s string, n int) string {
	for at := range s {
		if n <= 0 {
			return s[:at]
		}
		n--
	}
	return s
}

type code struct{ words Analyzer }

// String returns the name of the analyzer.
func (code) String() string { return codeName }

func (a code) Terms(text string) []string { return a.words.Terms(splitIdentifiers(text)) }
