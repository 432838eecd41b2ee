package openai_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/openai"
)

// Queries of a passage by a model behind an API, each answer paid for once.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json") // stands for a real server, such as vLLM or llama.cpp
		fmt.Fprint(w, `{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"Query: does coffee keep people awake?"}}],
			"usage":{"prompt_tokens":200,"completion_tokens":9}}`)
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	client, err := openai.New(openai.Options{
		URL: server.URL + "/v1", Model: "HuggingFaceTB/SmolLM2-135M-Instruct", PromptPrice: 0.10, CompletionPrice: 0.40,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := client.Check(ctx); err != nil { // before 10,000 requests are sent
		fmt.Println(err)
		return
	}
	answers, err := generate.OpenAnswers(ctx, filepath.Join(dir, "answers.jsonl"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answers.Close()
	model, err := generate.Recorded(client, answers)
	if err != nil {
		fmt.Println(err)
		return
	}
	generator, err := generate.NewPrompted(model, generate.PromptOptions{PerPassage: 1, Seed: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	passage := retort.Passage{ID: "17", Text: "Coffee drinkers sleep less than others."}
	for range 2 {
		queries, err := generator.Generate(ctx, passage)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(queries[0].Text, queries[0].Origin)
	}
	t := client.Usage()
	fmt.Printf("%d requests, %d + %d tokens, %.5f dollars, %d answers from the file\n", t.Requests, t.PromptTokens, t.Tokens, t.Cost, answers.Reused())
	// Output:
	// does coffee keep people awake? llm/SmolLM2-135M-Instruct
	// does coffee keep people awake? llm/SmolLM2-135M-Instruct
	// 2 requests, 400 + 18 tokens, 0.00005 dollars, 1 answers from the file
}
