package generate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The types of query that a language model is asked for, after Tamber et al. 2025 (arXiv 2502.19712). Titles and
// keywords have the same names as the types of Extractive; a query's Origin tells them apart.
const (
	TypeQuestion = "question"  // one that a person asks, with its question mark
	TypeClaim    = "claim"     // a statement that the passage supports or refutes
	TypeMSMARCO  = "msmarco"   // as typed into a web search: short, lower case, seldom a sentence
	TypeZeroShot = "zero-shot" // whatever the model takes for a search query, without examples
)

// QueryType is a kind of query and how a model is asked for one. QueryTypes returns the built-in ones; change a copy,
// or write one with examples of your own collection: a dozen judged queries with their passages are worth more than any
// general example.
type QueryType struct {
	// Name becomes retort.Query.Type. It has no spaces, slashes or #.
	Name string
	// Label precedes each query of the raw form, without its colon: "Question".
	Label string
	// Instructions say what to write, where {words} is replaced by the most words allowed. The eight fixed prompts of
	// the type use them in turn.
	Instructions []string
	// Examples are drawn from for each fixed prompt; none means prompts without examples.
	Examples []Example
}

// wordsMark is replaced by PromptOptions.MaxWords in an instruction.
const wordsMark = "{words}"

// Example is a passage and a query that it answers.
type Example struct {
	// Field names the subject ("law"). The examples of one prompt come from different fields where there are enough; ""
	// is a field too.
	Field string
	// Passage is shown on one line.
	Passage string
	Query   string
}

// QueryTypes returns the built-in types of these names in their order, all six without names: question, claim, title,
// keywords, msmarco, zero-shot.
func QueryTypes(names ...string) ([]QueryType, error) {
	all := builtInTypes()
	if len(names) == 0 {
		return all, nil
	}
	types := make([]QueryType, len(names))
	for i, name := range names {
		at := slices.IndexFunc(all, func(t QueryType) bool { return t.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("no query type %q, only %s", name, strings.Join(namesOf(all), ", "))
		}
		types[i] = all[at]
	}
	return types, nil
}

func namesOf(types []QueryType) []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Name
	}
	return names
}

func (t QueryType) validate() error {
	switch {
	case t.Name == "" || strings.ContainsAny(t.Name, "/# \t\r\n"):
		return fmt.Errorf("want a Name of one word without slashes and #, not %q", t.Name)
	case strings.TrimSpace(t.Label) == "" || strings.ContainsAny(t.Label, "\r\n"):
		return fmt.Errorf("%s: want a Label of one line, not %q", t.Name, t.Label)
	case len(t.Instructions) == 0:
		return fmt.Errorf("%s: no Instructions", t.Name)
	}
	for i, s := range t.Instructions {
		if strings.TrimSpace(s) == "" {
			return fmt.Errorf("%s: Instructions[%d] is empty", t.Name, i)
		}
	}
	for i, e := range t.Examples {
		if err := e.validate(); err != nil {
			return fmt.Errorf("%s: Examples[%d]: %w", t.Name, i, err)
		}
	}
	return nil
}

func (e Example) validate() error {
	switch {
	case strings.TrimSpace(e.Passage) == "":
		return errors.New("the Passage is empty")
	case Normalize(e.Query) == "":
		return fmt.Errorf("the Query %q has no words", e.Query)
	case strings.ContainsAny(e.Query, "\r\n"):
		return fmt.Errorf("the Query %q has several lines", e.Query)
	}
	return nil
}

func builtInTypes() []QueryType {
	return []QueryType{
		{TypeQuestion, "Question", []string{
			"Write one question that a person might ask and that the passage answers. The question must make sense to somebody who has never " +
				"seen the passage. Use your own words and at most {words} of them. Answer with the question alone.",
		}, examplesOf(TypeQuestion)},
		{TypeClaim, "Claim", []string{
			"Write one claim that can be checked against the passage. The claim must make sense to somebody who has never seen the passage. " +
				"Use your own words and at most {words} of them. Answer with the claim alone.",
		}, examplesOf(TypeClaim)},
		{TypeTitle, "Title", []string{
			"Write the title of a page or paper that a reader of this passage would want to find. Do not copy the passage's own title. " +
				"Use at most {words} words. Answer with the title alone.",
		}, examplesOf(TypeTitle)},
		{TypeKeywords, "Keywords", []string{
			"Write the few keywords that somebody would type into a search box to find this passage, separated by spaces, most important first. " +
				"Use at most 8 words. Answer with the keywords alone.",
		}, examplesOf(TypeKeywords)},
		{TypeMSMARCO, "Query", []string{
			"Write a web search that this passage satisfies, as people type it: short, in lower case, not always a full sentence. " +
				"Use at most {words} words. Answer with the search alone.",
		}, examplesOf(TypeMSMARCO)},
		{TypeZeroShot, "Query", []string{
			"Write one search query for which the passage below is a good result. Use at most {words} words. Answer with the query alone.",
			"What would somebody search for who needs the passage below? Answer with one search query of at most {words} words and nothing else.",
			"A user of a search engine was happy to find the passage below. Write the query, at most {words} words long, and nothing else.",
			"Read the passage below. Write a query, in at most {words} words of your own, whose best answer is this passage. Write only the query.",
			"Write a search query about one specific point of the passage below. Use at most {words} words. Answer with the query alone.",
			"Write a search query about the main subject of the passage below. Use at most {words} words. Answer with the query alone.",
			"Somebody has a problem that the passage below helps to solve. Write what they search for, in at most {words} words and nothing else.",
			"An expert looks for the passage below but does not remember its wording. Write their search query, at most {words} words, and nothing else.",
		}, nil},
	}
}
