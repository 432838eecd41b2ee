package generate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

// Queries for a corpus without any model.
func Example() {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{
			ID: "net/http.Server.Shutdown", Title: "net/http.Server.Shutdown",
			Text: "Shutdown gracefully shuts down the server without interrupting any active connections.",
		},
		{
			ID: "password", Title: "Reset your password",
			Text: "To reset a forgotten password, open the sign-in page. A link is sent to the address of your account.",
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	generator, err := generate.NewExtractive(ctx, corpus, generate.Options{
		Types: []string{generate.TypeHowTo, generate.TypeSentence},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for query, err := range generate.All(ctx, generator, corpus, 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", query.ID, query.Text)
	}
	// Output:
	// net/http.Server.Shutdown#howto#0: how to gracefully shut down the server without interrupting any active connections
	// net/http.Server.Shutdown#sentence#0: gracefully shuts down the server without interrupting any active connections
	// password#sentence#0: To reset a forgotten password, open the sign-in page
	// password#howto#0: how to reset a forgotten password
}

// echo stands for a language model: package generate/causallm runs one, and any other needs these two methods.
type echo struct{}

func (echo) Model() string { return "echo" }

func (echo) Complete(_ context.Context, r generate.Request) (generate.Completion, error) {
	if strings.HasPrefix(r.Prompt.Name, generate.TypeKeywords) {
		return generate.Completion{Text: "Keywords: server, graceful stop, open connections"}, nil
	}
	return generate.Completion{Text: ` "What does Shutdown do?"`}, nil
}

// Queries by a language model, and why some of its answers are none.
func ExamplePrompted() {
	types, err := generate.QueryTypes(generate.TypeQuestion, generate.TypeKeywords)
	if err != nil {
		fmt.Println(err)
		return
	}
	generator, err := generate.NewPrompted(echo{}, generate.PromptOptions{
		Types: types,
		Observe: func(a generate.Answer) {
			if a.Dropped != "" {
				fmt.Printf("not %q: %s\n", a.Query.Text, a.Dropped)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	queries, err := generator.Generate(context.Background(), retort.Passage{
		ID: "17", Title: "net/http.Server.Shutdown",
		Text: "Shutdown gracefully shuts down the server without interrupting any active connections.",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, q := range queries {
		fmt.Printf("%s by %s: %s\n", q.ID, q.Origin, q.Text)
	}
	// Output:
	// not "What does Shutdown do?": holds the passage's identifier
	// 17#llm-keywords#0 by llm/echo: server graceful stop open connections
}

// A prompt's first part is that of many passages: a model need read it only once.
func ExamplePrompted_Prompt() {
	generator, err := generate.NewPrompted(echo{}, generate.PromptOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	prompt, err := generator.Prompt(retort.Passage{ID: "17", Text: "Close closes the file.\nIt may be called twice."}, generate.TypeZeroShot)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n%q\n", prompt.Prefix, prompt.Own)
	// Output:
	// "A user of a search engine was happy to find the passage below. Write the query, at most 20 words long, and nothing else.\n\nPassage:"
	// " Close closes the file. It may be called twice.\nQuery:"
}

// Case, spaces and punctuation do not make another query.
func ExampleDedup() {
	kept, dropped := generate.Dedup([]retort.Query{
		{ID: "1", Text: "how to close a file", Type: "howto"},
		{ID: "2", Text: "How to close a file?", Type: "sentence"},
	})
	fmt.Println(len(kept), dropped)
	// Output: 1 map[sentence:1]
}

// A model is asked for an answer once, also over several runs of a program.
func ExampleRecorded() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	answers, err := generate.OpenAnswers(context.Background(), filepath.Join(dir, "answers.jsonl"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close()
	model, err := generate.Recorded(echo{}, answers)
	if err != nil {
		fmt.Println(err)
		return
	}
	request := generate.Request{Prompt: generate.Prompt{Prefix: "Passage:", Own: " Close closes the file.\nQuery:"}, MaxTokens: 50}
	for range 3 {
		if _, err := model.Complete(context.Background(), request); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(answers.Len(), "answer, reused", answers.Reused(), "times")
	// Output: 1 answer, reused 2 times
}
