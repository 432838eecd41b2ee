package generate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

const abstract = `BACKGROUND: Low levels of vitamin D are common in winter, and supplements are cheap. METHODS: We followed 312 adults
(aged 60-75) for 2.5 years; serum levels were measured every spring. We found that daily supplements reduced the number of
falls by a third (p = 0.02) [12, 13]. However, muscle strength did not change in either group. These effects were seen at
two sites. To compare the two sites fairly, recruitment followed the same written protocol.`

// The three kinds of collection: documentation of symbols, abstracts, support articles.
var (
	symbols = []retort.Passage{
		{ID: "net/http.Server.Shutdown", Title: "net/http.Server.Shutdown", Text: `Shutdown gracefully shuts down the server without interrupting any
active connections. Shutdown works by first closing all open listeners, then closing all idle connections, and then
waiting indefinitely for connections to return to idle. If the provided context expires before the shutdown is complete, Shutdown
returns the context's error.

When Shutdown is called, Serve and ListenAndServe immediately return ErrServerClosed. Make sure the program doesn't exit and waits
instead.

	srv.Shutdown(ctx)

A server that is stopping does not wait for hijacked connections such as WebSockets.`},
		{ID: "strings.Contains", Title: "strings.Contains", Text: "Contains reports whether substr is within s."},
		{ID: "io.Copy", Title: "io.Copy", Text: "Copy copies from src to dst until either EOF is reached on src or an error occurs. It returns the number of bytes copied and the first error encountered while copying, if any."},
		{ID: "bufio.Reader.Reset", Title: "bufio.Reader.Reset", Text: "Reset discards any buffered data, resets all state, and switches the buffered reader to read from r."},
		{ID: "net/http", Title: "net/http", Text: "Package http provides HTTP client and server implementations. Clients must close the response body when they are finished with it."},
		{ID: "json.Decoder", Title: "json.Decoder", Text: "A Decoder reads and decodes JSON values from an input stream."},
		{ID: "net/http.Header", Title: "net/http.Header", Text: "A Header represents the key-value pairs in an HTTP header."},
	}
	abstracts = []retort.Passage{
		{ID: "a1", Title: "Vitamin D supplements and falls in older adults: a randomised trial", Text: abstract},
		{ID: "a2", Title: "Heat transfer in a compressible laminar boundary layer", Text: "An exact solution is given for the laminar boundary layer over a flat plate. The wall temperature is constant. Heat transfer rates agree with wind tunnel measurements."},
		{ID: "a3", Title: "Caffeine", Text: "Coffee drinkers sleep less than others. Caffeine blocks adenosine receptors in the brain."},
	}
	articles = []retort.Passage{
		{ID: "s1", Title: "Reset your password", Text: "To reset a forgotten password, open the sign-in page and choose Forgot password. You can change the address that receives the link in your account settings."},
		{ID: "s2", Title: "Billing and invoices", Text: "Invoices are sent on the first day of every month. If you need to download older invoices, open the archive."},
	}
)

func corpusOf(t testing.TB, passages []retort.Passage) *retort.MemoryCorpus {
	t.Helper()
	c, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return c
}

func extractive(t testing.TB, passages []retort.Passage, o Options) *Extractive {
	t.Helper()
	e, err := NewExtractive(t.Context(), corpusOf(t, passages), o)
	require.NoError(t, err)
	return e
}

func queriesOf(t testing.TB, e *Extractive, p retort.Passage) []retort.Query {
	t.Helper()
	queries, err := e.Generate(t.Context(), p)
	require.NoError(t, err)
	return queries
}

// texts returns all queries of one type, sorted.
func texts(t testing.TB, passages []retort.Passage, i int, queryType string) []string {
	e := extractive(t, passages, Options{Types: []string{queryType}, PerPassage: 100})
	var texts []string
	for _, q := range queriesOf(t, e, passages[i]) {
		texts = append(texts, q.Text)
	}
	slices.Sort(texts)
	return texts
}

func TestHowToQueries(t *testing.T) {
	for _, c := range []struct {
		passages []retort.Passage
		i        int
		want     []string
	}{
		{symbols, 0, []string{
			"how to gracefully shut down the server without interrupting any active connections",
		}},
		{symbols, 1, []string{"how to check whether substr is within s"}},
		{symbols, 2, []string{
			"how to copy from src to dst until either EOF is reached on src or an error occurs",
			"how to get the number of bytes copied and the first error encountered while copying",
		}},
		{symbols, 3, []string{"how to discard any buffered data, reset all state, and switch the buffered reader to read from r"}},
		{symbols, 4, nil},
		{symbols, 5, []string{"how to read and decode JSON values from an input stream"}},
		{symbols, 6, nil},
		{abstracts, 0, []string{"how to compare the two sites fairly"}},
		{articles, 0, []string{"how to change the address that receives the link in your account settings", "how to reset a forgotten password"}},
		{articles, 1, []string{"how to download older invoices"}},
	} {
		t.Run(c.passages[c.i].ID, func(t *testing.T) { require.Equal(t, c.want, texts(t, c.passages, c.i, TypeHowTo)) })
	}
}

func TestSentenceQueries(t *testing.T) {
	for _, c := range []struct {
		passages []retort.Passage
		i        int
		want     []string
	}{
		{symbols, 1, []string{"reports whether substr is within s"}},
		{symbols, 4, []string{"Clients must close the response body when they are finished with it", "provides HTTP client and server implementations"}},
		{abstracts, 0, []string{
			"Low levels of vitamin D are common in winter, and supplements are cheap",
			"To compare the two sites fairly, recruitment followed the same written protocol",
			"We followed 312 adults for 2.5 years; serum levels were measured every spring",
			"daily supplements reduced the number of falls by a third",
			"muscle strength did not change in either group",
		}},
		{abstracts, 2, []string{"Coffee drinkers sleep less than others"}}, // the other sentence holds the title
	} {
		t.Run(c.passages[c.i].ID, func(t *testing.T) { require.Equal(t, c.want, texts(t, c.passages, c.i, TypeSentence)) })
	}
}

func TestSentencesAreCutToTheirClaim(t *testing.T) {
	for in, want := range map[string]string{
		"CONCLUSIONS: Statins reduce mortality.":                           "Statins reduce mortality.",
		"CONCLUSIONS Statins reduce mortality.":                            "Statins reduce mortality.",
		"Objective To assess the effect of eggs.":                          "To assess the effect of eggs.",
		"COPD Assessment Tests are short.":                                 "COPD Assessment Tests are short.",
		"Results vary with age.":                                           "Results vary with age.",
		"However, strength did not change.":                                "strength did not change.",
		"These results suggest that Notch signalling is involved.":         "Notch signalling is involved.",
		"Here we show that p53 is needed.":                                 "p53 is needed.",
		"It is well known that shocks heat the wall.":                      "shocks heat the wall.",
		"Thus, in conclusion we stop.":                                     "in conclusion we stop.",
		"See [Client.Do] and [the guide](https://example.org/x) [3, 4-6].": "See Client.Do and the guide.",
		"The mean (SD) ratio was f(x) at **most** `1.5`.":                  "The mean ratio was f(x) at most 1.5.",
	} {
		require.Equal(t, want, withoutOpening(plain(in)))
	}
}

func TestFitPrefersNothingToAHalfSentence(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		cut            bool
	}{
		{"short enough", "The wall is cold.", "The wall is cold", false},
		{"cut at a comma", "The wall is cold, and the flow over it is slow.", "The wall is cold", true},
		{"a number's comma is none", "About 31,209 women in all of Norway took part", "", true},
		{"the verb comes late", "Between 1990 and 2000, all patients were seen once more", "", true},
		{"too short", "It works.", "", false},
		{"a path", "lib/time/zone/info.zip", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, cut := fit(c.in, 4, 6)
			require.Equal(t, c.want, got)
			if got != "" {
				require.Equal(t, c.cut, cut)
			}
		})
	}
}

func TestTitleQueriesAreOfHeadingsAndNeverWhole(t *testing.T) {
	for i := range symbols {
		require.Empty(t, texts(t, symbols, i, TypeTitle))
	}
	require.Contains(t, texts(t, abstracts, 0, TypeTitle), "Vitamin D supplements and falls in older adults")
	require.Contains(t, texts(t, abstracts, 1, TypeTitle), "heat transfer compressible laminar boundary layer")
	require.Empty(t, texts(t, abstracts, 2, TypeTitle), "one word has no part")
	require.NotContains(t, texts(t, articles, 0, TypeTitle), "reset your password")
}

func TestKeywordQueriesAreThreeToSixContentWordsInTheirOrder(t *testing.T) {
	content := Normalize(abstracts[0].Content())
	queries := texts(t, abstracts, 0, TypeKeywords)
	require.Greater(t, len(queries), 2)
	for _, q := range queries {
		words := strings.Fields(q)
		require.GreaterOrEqual(t, len(words), 3)
		require.LessOrEqual(t, len(words), 6)
		at := -1
		for _, w := range words {
			require.False(t, isStopWord(w), q)
			first := slices.Index(strings.Fields(content), w)
			require.Greater(t, first, at, "%s: not in the order of first occurrence", q)
			at = first
		}
	}
}

func TestPhraseQueriesAreTwoToFourConsecutiveWords(t *testing.T) {
	content := Normalize(abstracts[1].Content())
	queries := texts(t, abstracts, 1, TypePhrase)
	require.Contains(t, queries, "wind tunnel measurements")
	require.Contains(t, queries, "laminar boundary layer")
	for _, q := range queries {
		n := len(strings.Fields(q))
		require.True(t, n >= 2 && n <= 4, q)
		require.Contains(t, content, Normalize(q))
	}
}

func TestQueriesNeverHoldTheTitleOrSymbolWhole(t *testing.T) {
	for _, passages := range [][]retort.Passage{symbols, abstracts, articles} {
		for seed := range uint64(5) {
			e := extractive(t, passages, Options{PerPassage: 100, Seed: seed})
			for _, p := range passages {
				for _, q := range queriesOf(t, e, p) {
					require.NotContains(t, strings.ToLower(q.Text), strings.ToLower(p.Title))
					if symbol := lastIdentifier(p.Title); isIdentifier(p.Title) {
						require.NotContains(t, strings.FieldsFunc(q.Text, func(r rune) bool { return !isWordRune(r) }), symbol, q.Text)
					}
				}
			}
		}
	}
}

func TestGenerateFillsTheFields(t *testing.T) {
	queries := queriesOf(t, extractive(t, abstracts, Options{PerPassage: 100}), abstracts[0])
	ids := map[string]bool{}
	types := map[string]bool{}
	for _, q := range queries {
		require.Equal(t, "a1", q.Source)
		require.Equal(t, "extractive", q.Origin)
		require.True(t, strings.HasPrefix(q.ID, "a1#"+q.Type+"#"), q.ID)
		require.False(t, ids[q.ID])
		ids[q.ID], types[q.Type] = true, true
	}
	require.Len(t, types, len(extractiveTypes()))
}

func TestGenerateDependsOnSeedAndPassageOnly(t *testing.T) {
	o := Options{PerPassage: 3, Seed: 7}
	reversed := slices.Clone(abstracts)
	slices.Reverse(reversed)
	a, b := extractive(t, abstracts, o), extractive(t, reversed, o)
	other := extractive(t, abstracts, Options{PerPassage: 3, Seed: 8})
	differ := false
	for _, p := range reversed {
		want := queriesOf(t, a, p)
		require.Equal(t, want, queriesOf(t, b, p))
		require.Equal(t, want, queriesOf(t, a, p), "asked again")
		differ = differ || !slices.Equal(want, queriesOf(t, other, p))
	}
	require.True(t, differ, "the seed changes nothing")
}

func TestMoreQueriesOfAPassageBeginWithTheFewer(t *testing.T) {
	all := queriesOf(t, extractive(t, abstracts, Options{PerPassage: 100}), abstracts[0])
	for n := 1; n < len(all); n++ {
		require.Equal(t, all[:n], queriesOf(t, extractive(t, abstracts, Options{PerPassage: n}), abstracts[0]))
	}
	byDefault := queriesOf(t, extractive(t, abstracts, Options{}), abstracts[0])
	require.Len(t, byDefault, len(extractiveTypes()))
}

func TestFewerTypesDoNotChangeTheOthers(t *testing.T) {
	all := queriesOf(t, extractive(t, abstracts, Options{PerPassage: 100}), abstracts[0])
	for _, queryType := range extractiveTypes() {
		var want []string
		for _, q := range all {
			if q.Type == queryType {
				want = append(want, q.Text)
			}
		}
		var got []string
		for _, q := range queriesOf(t, extractive(t, abstracts, Options{Types: []string{queryType}, PerPassage: 100}), abstracts[0]) {
			got = append(got, q.Text)
		}
		require.Subset(t, got, want, queryType)
	}
}

func TestFewQueriesStillMixTheTypes(t *testing.T) {
	var passages []retort.Passage
	for i := range 50 {
		p := abstracts[0]
		p.ID = fmt.Sprint(i)
		passages = append(passages, p)
	}
	e := extractive(t, passages, Options{PerPassage: 1})
	types := map[string]int{}
	for _, p := range passages {
		for _, q := range queriesOf(t, e, p) {
			types[q.Type]++
		}
	}
	require.Len(t, types, len(extractiveTypes()))
	for queryType, n := range types {
		require.Greater(t, n, 2, queryType)
	}
}

func TestGenerateReadsTheTextOnlyUpToTheLimit(t *testing.T) {
	p := retort.Passage{ID: "long", Title: "Rivers", Text: "Small streams carry fine sand downhill. " + strings.Repeat("The délta grows slowly. ", 200) + "Volcanoes erupt without any warning."}
	e := extractive(t, []retort.Passage{p}, Options{PerPassage: 100, MaxChars: 60})
	for _, q := range queriesOf(t, e, p) {
		require.NotContains(t, Normalize(q.Text), "volcanoes")
		require.NotEqual(t, "The délta grows", q.Text, "a sentence that was cut")
	}
	whole := extractive(t, []retort.Passage{p}, Options{PerPassage: 100, MaxChars: 10_000, Types: []string{TypeSentence}})
	require.Len(t, queriesOf(t, whole, p), 3)
}

func TestGenerateCopesWithAnyPassage(t *testing.T) {
	e := extractive(t, abstracts, Options{PerPassage: 100})
	for _, p := range []retort.Passage{
		{ID: "empty"},
		{ID: "title only", Title: "Reset your password now"},
		{ID: "punctuation", Title: "???", Text: "!!! ... ---"},
		{ID: "invalid", Title: "a\xffb c\x80", Text: "The \xff\xfe file is \x80 broken and nobody knows why."},
		{ID: "brackets", Title: "f((", Text: "f(( does )] this [( and ) that (("},
		{ID: "one word", Text: strings.Repeat("x", 100_000)},
		{ID: "pkg.F", Text: "F opens the named file for reading."},
	} {
		t.Run(p.ID, func(t *testing.T) {
			for _, q := range queriesOf(t, e, p) {
				require.NotEmpty(t, Normalize(q.Text))
				require.Equal(t, strings.ToValidUTF8(q.Text, ""), q.Text)
			}
		})
	}
	// Without a title the id names the symbol.
	for _, q := range queriesOf(t, e, retort.Passage{ID: "pkg.F", Text: "F opens the named file for reading."}) {
		require.NotContains(t, strings.Fields(q.Text), "F")
	}
}

func TestOptionsNameTheWrongField(t *testing.T) {
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Types: []string{"sentence", "haiku"}}, `Options.Types: no type "haiku", only sentence, title, keywords, phrase, howto`},
		{Options{PerPassage: -1}, "Options.PerPassage is -1"},
		{Options{MinWords: -2}, "Options.MinWords is -2"},
		{Options{MaxWords: 3}, "Options.MaxWords is 3, want it >= MinWords, 4"},
		{Options{MaxChars: -1}, "Options.MaxChars is -1"},
	} {
		_, err := NewExtractive(t.Context(), corpusOf(t, nil), c.options)
		require.ErrorContains(t, err, c.want)
	}
	require.NoError(t, Options{}.Validate())
}

func TestExtractiveStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := NewExtractive(ctx, corpusOf(t, abstracts), Options{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = extractive(t, abstracts, Options{}).Generate(ctx, abstracts[0])
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzGenerate(f *testing.F) {
	for _, p := range slices.Concat(symbols, abstracts, articles) {
		f.Add(p.Title, p.Text)
	}
	e := extractive(f, slices.Concat(symbols, abstracts, articles), Options{PerPassage: 100})
	f.Fuzz(func(t *testing.T, title, text string) {
		queries, err := e.Generate(t.Context(), retort.Passage{ID: "p", Title: title, Text: text})
		require.NoError(t, err)
		own := ownNames(strings.TrimSpace(strings.ToValidUTF8(title, "")), false)
		for _, q := range queries {
			require.NotEmpty(t, Normalize(q.Text))
			require.False(t, own.isIn(q.Text), "%q holds %q", q.Text, title)
			require.NotContains(t, q.Text, "\n")
		}
	})
}

func BenchmarkGenerate(b *testing.B) {
	e := extractive(b, abstracts, Options{})
	b.ReportAllocs()
	for b.Loop() {
		queriesOf(b, e, abstracts[0])
	}
}
