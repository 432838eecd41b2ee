package generate_test

import (
	"context"
	"fmt"

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

// The dots of abbreviations, numbers and identifiers end nothing.
func ExampleSentences() {
	text := `Use a short timeout, e.g. 1.5 seconds. It is
passed to http.Client.

  - Retries are off by default
  - Set max.retries to turn them on`
	for _, s := range generate.Sentences(text) {
		fmt.Println(s)
	}
	// Output:
	// Use a short timeout, e.g. 1.5 seconds.
	// It is passed to http.Client.
	// Retries are off by default
	// Set max.retries to turn them on
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
