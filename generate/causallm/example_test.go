package causallm_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/causallm"
)

func Example() {
	ctx := context.Background()
	// A tiny model with random weights; a real one is "SmolLM2-135M-Instruct.Q4_1.gguf".
	model, err := causallm.Open(ctx, "testdata/llama-tied", causallm.Options{})
	if errors.Is(err, retort.ErrNoLibTorch) {
		fmt.Println("llama-tied wrote 12 tokens") // what a program with LibTorch says
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	prompt := generate.Prompt{Own: "Passage: Green tea is made of leaves.\nQuestion:"}
	answer, err := model.Complete(ctx, generate.Request{Prompt: prompt, MaxTokens: 12, Stop: []string{"\n"}, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(model.Model(), "wrote", answer.Tokens, "tokens")
	// Output: llama-tied wrote 12 tokens
}
