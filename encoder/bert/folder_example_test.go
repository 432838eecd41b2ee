package bert_test

import (
	"fmt"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/bert"
)

// A model folder can be looked at, and its tokenizer used, without LibTorch.
func ExampleReadFolder() {
	folder, err := bert.ReadFolder("testdata/tiny", bert.Options{QueryTokens: 12})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("towers shared:", folder.Shared())
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		side := folder.Side(role)
		ids := side.Tower.Tokenizer.Encode(side.Prompt+"How do I read a file line by line?", side.Tokens)
		fmt.Printf("%s: prompt %q, %d of at most %d tokens\n", role, side.Prompt, len(ids), side.Tokens)
	}
	// Output:
	// towers shared: true
	// query: prompt "query: ", 12 of at most 12 tokens
	// passage: prompt "passage: ", 17 of at most 24 tokens
}
