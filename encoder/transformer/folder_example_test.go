package transformer_test

import (
	"fmt"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/transformer"
)

// A model folder can be looked at without LibTorch.
func ExampleReadFolder() {
	folder, err := transformer.ReadFolder("testdata/tiny", transformer.Options{QueryTokens: 12})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("towers shared:", folder.Shared())
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		side := folder.Side(role)
		fmt.Printf("%s: prompt %q, at most %d tokens, %s pooling\n", role, side.Prompt, side.Tokens, side.Tower.Pooling)
	}
	// Output:
	// towers shared: true
	// query: prompt "query: ", at most 12 tokens, mean pooling
	// passage: prompt "passage: ", at most 24 tokens, mean pooling
}
