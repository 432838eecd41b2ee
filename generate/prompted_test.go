package generate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// fake answers as told, or with words that depend on the request's seed.
type fake struct {
	answer func(Request) (Completion, error)
	mu     sync.Mutex
	asked  []Request
}

func (f *fake) Model() string { return "fake-1b" }

type nameless struct{ fake }

func (*nameless) Model() string { return "" }

func (f *fake) Complete(_ context.Context, r Request) (Completion, error) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	f.mu.Unlock()
	if f.answer != nil {
		return f.answer(r)
	}
	return Completion{Text: fmt.Sprintf(" what of number %d", r.Seed), PromptTokens: 100, Tokens: 6}, nil
}

// batchFake answers batches, the last request first.
type batchFake struct {
	fake
	sizes []int
}

func (f *batchFake) BatchSize() int { return 12 }

func (f *batchFake) CompleteBatch(ctx context.Context, requests []Request) iter.Seq2[int, Outcome] {
	f.mu.Lock()
	f.sizes = append(f.sizes, len(requests))
	f.mu.Unlock()
	return func(yield func(int, Outcome) bool) {
		for i, r := range slices.Backward(requests) {
			if ctx.Err() != nil {
				return
			}
			c, err := f.Complete(ctx, r)
			if !yield(i, Outcome{c, err}) {
				return
			}
		}
	}
}

func passages(n int) []retort.Passage {
	ps := make([]retort.Passage, n)
	for i := range ps {
		ps[i] = retort.Passage{ID: fmt.Sprintf("p%d", i), Text: fmt.Sprintf("The text of passage %d is short.", i)}
	}
	return ps
}

func collect(t testing.TB, g QueryGenerator, ps []retort.Passage) []retort.Query {
	t.Helper()
	var all []retort.Query
	for q, err := range All(t.Context(), g, corpusOf(t, ps), 2) {
		require.NoError(t, err)
		all = append(all, q)
	}
	return all
}

func TestPromptedAsksForOneQueryOfEachType(t *testing.T) {
	f := &fake{}
	queries, err := prompted(t, f, PromptOptions{}).Generate(t.Context(), articles[0])
	require.NoError(t, err)
	var types []string
	for _, q := range queries {
		types = append(types, q.Type)
		require.Equal(t, fmt.Sprintf("s1#llm-%s#0", q.Type), q.ID)
		require.Equal(t, "s1", q.Source)
		require.Equal(t, "llm/fake-1b", q.Origin)
		require.Regexp(t, `^what of number \d+$`, q.Text)
		require.False(t, q.Extractive())
	}
	require.ElementsMatch(t, allTypes(), types)
	for _, r := range f.asked {
		require.Equal(t, 50, r.MaxTokens)
		require.Equal(t, .8, r.Temperature)
		require.Equal(t, []string{"\n"}, r.Stop)
		require.Contains(t, r.Prompt.Own, articles[0].Text)
	}
}

func TestPromptedDoesNotDependOnOrderOrBatches(t *testing.T) {
	ps := passages(40)
	want := collect(t, prompted(t, &fake{}, PromptOptions{PerPassage: 4}), ps)
	require.Len(t, want, 160)
	f := &batchFake{}
	require.Equal(t, want, collect(t, prompted(t, f, PromptOptions{PerPassage: 4}), ps), "in batches")
	require.ElementsMatch(t, append(slices.Repeat([]int{12}, 13), 4), f.sizes)

	slices.Reverse(ps)
	reversed := collect(t, prompted(t, &fake{}, PromptOptions{PerPassage: 4}), ps)
	require.ElementsMatch(t, want, reversed, "another order")
	require.NotEqual(t, want, collect(t, prompted(t, &fake{}, PromptOptions{PerPassage: 4, Seed: 1}), passages(40)), "another seed")
}

func TestPromptedMixesTheTypesOverTheCorpus(t *testing.T) {
	types, err := QueryTypes(TypeQuestion, TypeKeywords)
	require.NoError(t, err)
	twice := append(types, types[0])
	count := func(o PromptOptions) map[string]int {
		n := map[string]int{}
		for _, q := range collect(t, prompted(t, &fake{}, o), passages(300)) {
			n[q.Type]++
		}
		return n
	}
	one := count(PromptOptions{Types: types, PerPassage: 1})
	require.Equal(t, 300, one[TypeQuestion]+one[TypeKeywords])
	require.InDelta(t, 150, one[TypeQuestion], 30)
	weighted := count(PromptOptions{Types: twice, PerPassage: 1})
	require.InDelta(t, 200, weighted[TypeQuestion], 30)
	require.Equal(t, map[string]int{TypeQuestion: 600, TypeKeywords: 300}, count(PromptOptions{Types: twice}))
}

func TestMoreQueriesOfAPassageOnlyAdd(t *testing.T) {
	few := collect(t, prompted(t, &fake{}, PromptOptions{PerPassage: 3}), passages(1))
	many := collect(t, prompted(t, &fake{}, PromptOptions{PerPassage: 13}), passages(1))
	require.Equal(t, few, many[:3])
	require.Len(t, many, 13)
	require.Equal(t, 2, strings.Count(many[12].ID+many[6].ID, many[0].Type), "in turn")
	require.True(t, strings.HasSuffix(many[12].ID, "#2"))
}

func TestPromptedTellsOfEveryAnswer(t *testing.T) {
	types, err := QueryTypes(TypeQuestion)
	require.NoError(t, err)
	texts := []string{"what is short?", "What is SHORT", "short", "The text of passage 0 is short.", "one two three"}
	n := 0
	f := &fake{answer: func(Request) (Completion, error) {
		n++
		return Completion{Text: texts[n-1], Truncated: n == 5, PromptTokens: 10, Tokens: n}, nil
	}}
	var tally Tally
	var answers []Answer
	g := prompted(t, f, PromptOptions{Types: types, PerPassage: 5, Observe: func(a Answer) {
		answers = append(answers, a)
		tally.Add(a)
	}})
	queries, err := g.Generate(t.Context(), passages(1)[0])
	require.NoError(t, err)
	require.Len(t, queries, 1)
	var reasons []Reason
	for i, a := range answers {
		reasons = append(reasons, a.Dropped)
		require.Equal(t, texts[i], a.Text)
		require.Equal(t, fmt.Sprintf("p0#llm-question#%d", i), a.Query.ID)
		require.Regexp(t, "^question/[0-7]$", a.Prompt)
	}
	require.Equal(t, []Reason{"", dropDuplicate, dropTooShort, dropCopy, dropTruncated}, reasons)

	queries, err = g.Generate(t.Context(), retort.Passage{ID: "empty", Title: "  ", Text: "\n"})
	require.NoError(t, err)
	require.Empty(t, queries)
	require.Equal(t, 5, n, "nothing is asked about an empty passage")
	require.Equal(t, Reason(dropNoPassage), answers[5].Dropped)
	require.Equal(t, "empty", answers[5].Query.Source)

	require.Equal(t, map[string]int{"question": 1}, tally.Kept())
	require.Equal(t, map[string]int{"question": 1}, tally.Dropped()[dropDuplicate])
	read, written := tally.Tokens()
	require.Equal(t, []int{50, 15}, []int{read, written})
	require.Equal(t, "kept 1 of 6; dropped: copy of the passage 1, cut at the token limit 1, duplicate 1, the passage has no text 1, "+
		"too short 1", tally.String())
	require.Equal(t, "kept 0 of 0", new(Tally).String())
}

// The model copies an example that its own prompt shows.
func TestPromptedFindsCopiesOfThePromptsExamples(t *testing.T) {
	types, err := QueryTypes(TypeMSMARCO)
	require.NoError(t, err)
	f := &fake{answer: func(r Request) (Completion, error) {
		return Completion{Text: r.Prompt.Messages[1].Content}, nil
	}}
	var tally Tally
	require.Empty(t, collect(t, prompted(t, f, PromptOptions{Types: types, Observe: tally.Add}), passages(20)))
	require.Equal(t, map[Reason]map[string]int{dropExample: {TypeMSMARCO: 20}}, tally.Dropped())
}

func TestGreedyIsTemperatureZero(t *testing.T) {
	f := &fake{}
	_, err := prompted(t, f, PromptOptions{Greedy: true}).Generate(t.Context(), articles[0])
	require.NoError(t, err)
	require.Zero(t, f.asked[0].Temperature)
}

func TestAFailedRequestFailsItsPassageOnly(t *testing.T) {
	broken := errors.New("out of memory")
	f := &batchFake{fake: fake{answer: func(r Request) (Completion, error) {
		if strings.Contains(r.Prompt.Own, "passage 1 ") && strings.Contains(r.Prompt.Name, "claim") {
			return Completion{}, broken
		}
		return Completion{Text: "what is short?"}, nil
	}}}
	made := prompted(t, f, PromptOptions{}).generate(t.Context(), passages(3))
	require.ErrorIs(t, made[1].Err, broken)
	require.ErrorContains(t, made[1].Err, `query "p1#llm-claim#0"`)
	require.Empty(t, made[1].Queries)
	for _, i := range []int{0, 2} {
		require.NoError(t, made[i].Err)
		require.Len(t, made[i].Queries, 1)
	}
}

// badBatch yields what it must not.
type badBatch struct {
	fake
	outcomes []int
}

func (b *badBatch) BatchSize() int { return 0 }

func (b *badBatch) CompleteBatch(context.Context, []Request) iter.Seq2[int, Outcome] {
	return func(yield func(int, Outcome) bool) {
		for _, i := range b.outcomes {
			if !yield(i, Outcome{Completion: Completion{Text: "what is short?"}}) {
				return
			}
		}
	}
}

func TestABatchThatIsAnsweredWrongIsAnError(t *testing.T) {
	types, err := QueryTypes(TypeQuestion, TypeClaim)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		outcomes []int
		want     string
	}{
		"one missing": {[]int{1}, "the model did not answer this item"},
		"one twice":   {[]int{0, 0}, "answered item 0 of a batch twice"},
		"one more":    {[]int{0, 1, 2}, "answered item 2 of a batch of 2"},
		"negative":    {[]int{-1}, "answered item -1 of a batch of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			queries, err := prompted(t, &badBatch{outcomes: c.outcomes}, PromptOptions{Types: types}).Generate(t.Context(), articles[0])
			require.ErrorContains(t, err, c.want)
			require.Empty(t, queries)
		})
	}
}

func TestPromptedStopsWithItsContext(t *testing.T) {
	for name, model := range map[string]func(cancel func()) Completer{
		"one at a time": func(cancel func()) Completer {
			return &fake{answer: func(Request) (Completion, error) { cancel(); return Completion{Text: "what is short?"}, nil }}
		},
		"batches": func(cancel func()) Completer {
			return &batchFake{fake: fake{answer: func(Request) (Completion, error) { cancel(); return Completion{Text: "what is short?"}, nil }}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := prompted(t, model(cancel), PromptOptions{}).Generate(ctx, articles[0])
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

type printed struct {
	fake
	print string
}

func (p *printed) Fingerprint() string { return p.print }

func TestFingerprintTellsApartWhatDecidesTheQueries(t *testing.T) {
	types, err := QueryTypes(TypeQuestion)
	require.NoError(t, err)
	own := slices.Clone(types)
	own[0].Instructions = []string{"Ask something."}
	fewer := slices.Clone(types)
	fewer[0].Examples = fewer[0].Examples[:4]
	seen := map[string]string{}
	for name, g := range map[string]*Prompted{
		"default":      prompted(t, &fake{}, PromptOptions{}),
		"model":        prompted(t, &printed{print: "a"}, PromptOptions{}),
		"weights":      prompted(t, &printed{print: "b"}, PromptOptions{}),
		"seed":         prompted(t, &fake{}, PromptOptions{Seed: 1}),
		"types":        prompted(t, &fake{}, PromptOptions{Types: types}),
		"instructions": prompted(t, &fake{}, PromptOptions{Types: own}),
		"examples":     prompted(t, &fake{}, PromptOptions{Types: fewer}),
		"number":       prompted(t, &fake{}, PromptOptions{PerPassage: 2}),
		"temperature":  prompted(t, &fake{}, PromptOptions{Temperature: 1}),
		"greedy":       prompted(t, &fake{}, PromptOptions{Greedy: true}),
		"tokens":       prompted(t, &fake{}, PromptOptions{MaxTokens: 20}),
		"words":        prompted(t, &fake{}, PromptOptions{MinWords: 3}),
		"characters":   prompted(t, &fake{}, PromptOptions{MaxChars: 100}),
	} {
		require.Empty(t, seen[g.Fingerprint()], name)
		seen[g.Fingerprint()] = name
	}
	observed := prompted(t, &fake{}, PromptOptions{Observe: new(Tally).Add, PerPassage: 6, Temperature: .8, MaxTokens: 50})
	require.Equal(t, "default", seen[observed.Fingerprint()], "the defaults, written out")
}

func TestRequestKeysTellRequestsApart(t *testing.T) {
	f := &fake{}
	_, err := prompted(t, f, PromptOptions{PerPassage: 12}).Generate(t.Context(), articles[0])
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, r := range f.asked {
		require.False(t, seen[r.Key()])
		seen[r.Key()] = true
		require.Equal(t, r.Key(), r.Key())
	}
}

func TestPromptOptionsValidateNamesTheField(t *testing.T) {
	good, err := QueryTypes(TypeQuestion)
	require.NoError(t, err)
	with := func(change func(*QueryType)) []QueryType {
		bad := good[0]
		bad.Examples = slices.Clone(bad.Examples)
		change(&bad)
		return []QueryType{good[0], bad}
	}
	for want, o := range map[string]PromptOptions{
		"PromptOptions.Types is empty":                                       {Types: []QueryType{}},
		`Types[1]: want a Name of one word without slashes and #, not "a b"`: {Types: with(func(q *QueryType) { q.Name = "a b" })},
		`Types[1]: question: want a Label of one line, not ""`:               {Types: with(func(q *QueryType) { q.Label = "" })},
		"Types[1]: question: no Instructions":                                {Types: with(func(q *QueryType) { q.Instructions = nil })},
		"Types[1]: question: Instructions[0] is empty":                       {Types: with(func(q *QueryType) { q.Instructions = []string{" "} })},
		"Types[1]: question: Examples[2]: the Passage is empty":              {Types: with(func(q *QueryType) { q.Examples[2].Passage = "" })},
		`Types[1]: question: Examples[2]: the Query "?" has no words`:        {Types: with(func(q *QueryType) { q.Examples[2].Query = "?" })},
		"Types[1]: question: Examples[2]: the Query \"a\\nb\" has":           {Types: with(func(q *QueryType) { q.Examples[2].Query = "a\nb" })},
		`another type of the name "question"`:                                {Types: with(func(q *QueryType) { q.Label = "Ask" })},
		"PromptOptions.PerPassage is -1":                                     {PerPassage: -1},
		"PromptOptions.Temperature is -1":                                    {Temperature: -1},
		"PromptOptions.MaxTokens is -1":                                      {MaxTokens: -1},
		"PromptOptions.MinWords is -1":                                       {MinWords: -1},
		"PromptOptions.MaxWords is 1":                                        {MaxWords: 1},
		"PromptOptions.MaxChars is -1":                                       {MaxChars: -1},
	} {
		require.ErrorContains(t, o.Validate(), want)
		_, err := NewPrompted(&fake{}, o)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, PromptOptions{}.Validate())
	_, err = NewPrompted(nil, PromptOptions{})
	require.ErrorContains(t, err, "needs a model")
	_, err = NewPrompted(&nameless{}, PromptOptions{})
	require.ErrorContains(t, err, "the model *generate.nameless has no name")
	_, err = prompted(t, &fake{}, PromptOptions{Types: good}).Prompt(articles[0], TypeClaim)
	require.ErrorContains(t, err, `no query type "claim"`)
}

func TestAnswersOfTheWrongLengthAreAnError(t *testing.T) {
	g := shortBatch{}
	failed := 0
	for _, err := range All(t.Context(), g, corpusOf(t, passages(2)), 1) {
		failed++
		require.ErrorContains(t, err, "the generator did not answer this item")
	}
	require.Equal(t, 1, failed)
}

type shortBatch struct{}

func (shortBatch) Generate(context.Context, retort.Passage) ([]retort.Query, error) { return nil, nil }
func (shortBatch) BatchSize() int                                                   { return 2 }
func (shortBatch) GenerateBatch(context.Context, []retort.Passage) iter.Seq2[int, Made] {
	return slices.All(make([]Made, 1))
}
