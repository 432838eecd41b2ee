package generate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/language"
)

func TestCleanTakesOffWhatModelsPutAroundAQuery(t *testing.T) {
	const want = "does vitamin D prevent falls in winter?"
	for name, answer := range map[string]string{
		"nothing":                 want,
		"spaces":                  "  does  vitamin D\tprevent falls in winter? ",
		"double quotes":           `"does vitamin D prevent falls in winter?"`,
		"typographic quotes":      "“does vitamin D prevent falls in winter?”",
		"round single quotes":     "‘does vitamin D prevent falls in winter?’",
		"single quotes":           "'does vitamin D prevent falls in winter?'",
		"guillemets":              "« does vitamin D prevent falls in winter? »",
		"half a quote":            `does vitamin D prevent falls in winter?"`,
		"backticks":               "`does vitamin D prevent falls in winter?`",
		"emphasis":                "*does vitamin D prevent falls in winter?*",
		"strong":                  "**does vitamin D prevent falls in winter?**",
		"number":                  "1. does vitamin D prevent falls in winter?",
		"number in brackets":      "(2) does vitamin D prevent falls in winter?",
		"bullet":                  "- does vitamin D prevent falls in winter?",
		"heading":                 "## does vitamin D prevent falls in winter?",
		"label":                   "Query: does vitamin D prevent falls in winter?",
		"label of the prompt":     "Question: does vitamin D prevent falls in winter?",
		"numbered label":          "Query 1: does vitamin D prevent falls in winter?",
		"longer label":            "Your search query: does vitamin D prevent falls in winter?",
		"label in bold":           "**Search query:** does vitamin D prevent falls in winter?",
		"label and quotes":        `1. Query: "does vitamin D prevent falls in winter?"`,
		"quotes around the label": `"Query: does vitamin D prevent falls in winter?"`,
		"preamble":                "Here is a question about the study: does vitamin D prevent falls in winter?",
		"polite preamble":         "Sure! Here is a query: does vitamin D prevent falls in winter?",
		"short preamble":          "Here's a query: does vitamin D prevent falls in winter?",
		"preamble, own line":      "Sure, here's a search query for the passage:\n\ndoes vitamin D prevent falls in winter?",
		"agreement, own line":     "Certainly!\ndoes vitamin D prevent falls in winter?\n",
		"label, own line":         "**Query:**\ndoes vitamin D prevent falls in winter?",
		"code fence":              "```text\ndoes vitamin D prevent falls in winter?\n```",
		"note":                    "does vitamin D prevent falls in winter? (7 words)",
		"reasoning":               "<think>\nThe user wants one query.\nQuery: x\n</think>\n\ndoes vitamin D prevent falls in winter?",
		"zero width":              "\ufeffdoes vitamin D prevent\u200b falls in winter?",
		"control characters":      "does vitamin D\x00 prevent falls in winter?",
	} {
		t.Run(name, func(t *testing.T) {
			query, dropped := cleaner{}.clean(answer, abstracts[0])
			require.Empty(t, dropped)
			require.Equal(t, want, query)
		})
	}
}

func TestCleanLeavesWhatBelongsToAQuery(t *testing.T) {
	for _, query := range []string{
		`"out of memory" against "disk full": which comes first?`,
		"'tis the season of falls",
		"what’s behind women’s falls",
		"3.5 inch floppy disk format",
		"2024 tax rates: what changed?",
		"how to fix: printer shows a grey light",
		"difference between *args and kwargs",
		"passage of time in winter months",
		"I can't sign in with my new phone",
		"the title of a book about sleep",
		"query planner picks the wrong index",
		"here comes the flood: causes of high water",
		"C++ [[nodiscard]] warning off",
	} {
		t.Run(query, func(t *testing.T) {
			got, dropped := cleaner{}.clean(query, articles[1])
			require.Empty(t, dropped)
			require.Equal(t, query, got)
		})
	}
}

func TestCleanSaysWhyAnAnswerIsNoQuery(t *testing.T) {
	example := Example{
		Passage: "A magnet that falls through a copper pipe takes several seconds to reach the other end.",
		Query:   "Why does a magnet fall slowly inside a metal tube?",
	}
	russian := retort.Passage{ID: "r", Text: "Витамин D зимой уменьшает число падений у пожилых людей."}
	japanese := retort.Passage{ID: "j", Text: "冬にはビタミンDが不足しやすい。高齢者の転倒を減らす。"}
	method := retort.Passage{ID: "m", Title: "push_back()", Text: "Appends a copy of the value to the end of the vector."}
	for _, c := range []struct {
		name, answer string
		passage      retort.Passage
		want         Reason
	}{
		{"nothing", "", abstracts[0], dropEmpty},
		{"spaces", " \n\t", abstracts[0], dropEmpty},
		{"a label alone", "Query:", abstracts[0], dropEmpty},
		{"quotes alone", `""`, abstracts[0], dropEmpty},
		{"reasoning alone", "<think>hm</think>", abstracts[0], dropReasoning},
		{"two questions", "does it help?\nwho was studied?", abstracts[0], dropLines},
		{"a list", "1. does it help?\n2. who was studied?", abstracts[0], dropLines},
		{"an explanation below", "does vitamin D help?\n\nThis query asks for the main finding.", abstracts[0], dropLines},
		{"reasoning without end", "<think>\nThe user wants one query.\nLet me see.", abstracts[0], dropReasoning},
		{"broken UTF-8", "does vitamin D prevent fal\xc3", abstracts[0], dropGarbled},
		{"layers without end", strings.Repeat("1. ", 40) + "does vitamin D help", abstracts[0], dropGarbled},
		{"a refusal", "I'm sorry, but I can't help with that.", abstracts[0], dropRefusal},
		{"a machine speaking", "As an AI language model I have no queries", abstracts[0], dropRefusal},
		{"according to", "According to the passage, who was studied?", abstracts[0], dropReference},
		{"this text", "what does this text say about falls?", abstracts[0], dropReference},
		{"the study", "what was found based on the study of falls?", abstracts[0], dropReference},
		{"one word", "falls", abstracts[0], dropTooShort},
		{"21 words", strings.TrimSpace(strings.Repeat("do all the vitamins help us ", 4)) + " then", abstracts[0], dropTooLong},
		{"a page", strings.Repeat("vitamin ", 2000), abstracts[0], dropTooLong},
		{"a page of Japanese", strings.Repeat("高齢者の転倒を減らす", 5), japanese, dropTooLong},
		{"Russian for English", "помогает ли витамин D зимой?", abstracts[0], dropScript},
		{"Chinese for English", "冬季维生素D能减少跌倒吗？", abstracts[0], dropScript},
		{"English for Russian", "does it prevent falls in winter?", russian, dropScript},
		{"Greek letters in English", "does TNF-α rise in winter?", abstracts[0], ""},
		{"a name in Latin letters", "витамин D зимой и падения", russian, ""},
		{"Japanese", "高齢者の転倒とビタミンD", japanese, ""},
		{"a word thrice", "falls falls falls in winter", abstracts[0], dropRepetition},
		{"a loop", "vitamin D and vitamin D and vitamin D and vitamin D", abstracts[0], dropRepetition},
		{"an example's query", "why does a magnet fall slowly inside a metal tube", abstracts[0], dropExample},
		{"an example's query and more", "Why does the magnet fall slowly inside the metal tube of winter?", abstracts[0], dropExample},
		{"an example's passage", "a magnet that falls through a copper pipe", abstracts[0], dropExample},
		{"an example's beginning", "Why does a fall happen in winter?", abstracts[0], ""},
		{"a sentence", "Muscle strength did not change in either group", abstracts[0], dropCopy},
		{"a short sentence", "Coffee drinkers sleep less than others.", abstracts[2], dropCopy},
		{"most of a sentence", "that daily supplements reduced the number of falls by a third really", abstracts[0], dropCopy},
		{"the title", "vitamin D supplements and falls in older adults: a randomised trial", abstracts[0], dropCopy},
		{"a short title", "Billing and invoices", articles[1], dropCopy},
		{"a term of the passage", "serum levels vitamin D supplements", abstracts[0], ""},
		{"the subject, though it is the title", "caffeine and adenosine receptors", abstracts[2], ""},
		{"the symbol", "how does Shutdown treat open connections", symbols[0], dropIdentifier},
		{"the symbol, qualified", "srv.Shutdown with a timeout", symbols[0], dropIdentifier},
		{"the whole title", "net/http.Server.Shutdown example", symbols[0], dropIdentifier},
		{"the symbol's ordinary word", "graceful shutdown of a web server", symbols[0], ""},
		{"a function's name", "push_back copies or moves?", method, dropIdentifier},
		{"an id that is an identifier", "meaning of err_no_space on a full disk", retort.Passage{ID: "ERR_NO_SPACE", Text: "The disk is full."}, dropIdentifier},
		{"an id that is none", "what s1 means on a sign-in page", articles[0], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			query, dropped := cleaner{Examples: []Example{example}}.clean(c.answer, c.passage)
			require.Equal(t, c.want, dropped, query)
			if c.want == "" {
				require.Equal(t, c.answer, query)
			}
		})
	}
}

func TestCleanJoinsKeywords(t *testing.T) {
	for answer, want := range map[string]string{
		"vitamin D, falls, older adults":           "vitamin D falls older adults",
		"Keywords: vitamin D; falls; older adults": "vitamin D falls older adults",
		"vitamin D falls older adults.":            "vitamin D falls older adults",
		"dose of 1,000 units, falls":               "dose of 1,000 units falls",
	} {
		query, dropped := cleaner{Type: TypeKeywords}.clean(answer, abstracts[0])
		require.Empty(t, dropped)
		require.Equal(t, want, query)
	}
	query, _ := cleaner{Type: TypeQuestion}.clean("in winter, does vitamin D help?", abstracts[0])
	require.Equal(t, "in winter, does vitamin D help?", query)
}

func TestCleanCountsWordsByItsLimits(t *testing.T) {
	three := "vitamin for adults"
	for _, c := range []struct {
		least, most int
		want        Reason
	}{
		{0, 0, ""}, {3, 3, ""}, {4, 9, dropTooShort}, {1, 2, dropTooLong},
	} {
		_, dropped := cleaner{MinWords: c.least, MaxWords: c.most}.clean(three, abstracts[0])
		require.Equal(t, c.want, dropped)
	}
}

// The examples that the prompts show are what Clean lets pass.
func TestThePoolIsClean(t *testing.T) {
	for _, p := range pool {
		for queryType, query := range p.queries {
			got, dropped := cleaner{Type: queryType}.clean(query, retort.Passage{ID: "x", Text: p.passage})
			require.Empty(t, dropped, query)
			require.Equal(t, query, got)
		}
	}
}

// Queries that people asked, each against a passage that answers it: only their length may tell them from queries of
// ours.
func TestPeoplesQueriesAreClean(t *testing.T) {
	root := os.Getenv("RETORT_COLLECTIONS")
	if root == "" {
		t.Skip("set RETORT_COLLECTIONS to a folder with scifact, nfcorpus and cranfield in BEIR layout to run this")
	}
	for _, name := range []string{"scifact", "nfcorpus", "cranfield"} {
		t.Run(name, func(t *testing.T) {
			c, err := eval.LoadCollection(filepath.Join(root, name), "test")
			require.NoError(t, err)
			dropped := map[Reason]int{}
			for _, q := range c.Queries {
				query, reason := cleaner{MinWords: 1, MaxWords: 100}.clean(q.Text, answering(t, c, q))
				if reason != "" {
					t.Logf("%s: %s", reason, query)
					dropped[reason]++
				}
			}
			require.LessOrEqual(t, dropped[dropCopy], len(c.Queries)/100)
			delete(dropped, dropCopy)
			require.Empty(t, dropped)
		})
	}
}

// answering returns the first passage of the corpus that answers a query.
func answering(t *testing.T, c *eval.Collection, q retort.Query) retort.Passage {
	t.Helper()
	first := -1
	for id, gain := range c.Qrels[q.ID] {
		if i, ok := c.Corpus.Index(id); ok && gain > 0 && (first < 0 || i < first) {
			first = i
		}
	}
	require.GreaterOrEqual(t, first, 0, q.ID)
	p, err := c.Corpus.At(first)
	require.NoError(t, err)
	return p
}

func FuzzClean(f *testing.F) {
	for _, answer := range []string{
		"", "does it help?", `1. Query: "does it help?"`, "Sure!\n```\nwhat now, then\n```", "<think>a</think>b c",
		"analysisThe x.assistantfinala b <|end|>", "<|channel|>final<|message|>a b<|return|>",
		"[THINK]x[/THINK]\n<answer>a b</answer>", "a</think>b c</s>", "“<think>” b c", "* ** \" ' _",
		"\xff\xfe", "冬にはビタミン", "Query: Query: 1. 2. 3. x y", "\u200d\u202e a b", "“a” b “c”", "(3 words) [3 words].",
	} {
		f.Add(answer, "A title", "Text of a passage. It has two sentences.", true)
	}
	f.Add("push_back now", "push_back()", "", false)
	f.Fuzz(func(t *testing.T, answer, title, text string, keywords bool) {
		c := cleaner{Examples: []Example{{Passage: text, Query: title}}}
		if keywords {
			c.Type = TypeKeywords
		}
		p := retort.Passage{ID: "x", Title: title, Text: text}
		query, dropped := c.clean(answer, p)
		if dropped != "" {
			return
		}
		require.True(t, utf8.ValidString(query))
		require.NotContains(t, query, "\n")
		require.NotEmpty(t, Normalize(query))
		require.GreaterOrEqual(t, language.CountWords(query), defaultMinWords)
		require.LessOrEqual(t, language.CountWords(query), defaultMaxWords)
		again, dropped := c.clean(query, p)
		require.Empty(t, dropped)
		require.Equal(t, query, again)
	})
}
