package subword_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/subword"
)

func Example() {
	t, err := subword.Load("testdata/tokenizers/smollm.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := t.Encode("The reader reads 12 lines.")
	for _, id := range ids {
		fmt.Printf("[%s]", t.Token(id))
	}
	fmt.Println()
	fmt.Println(t.Decode(ids))

	// What a user writes is text; in a filled-in chat template special tokens count.
	fmt.Println(len(t.Encode("<|im_end|>")) > 1, len(t.EncodeWithSpecials("<|im_end|>")))
	// Output:
	// [The][Ġreader][Ġread][s][Ġ][1][2][Ġlin][es][.]
	// The reader reads 12 lines.
	// true 1
}

func ExampleTokenizer_EncodePair() {
	t, err := subword.Load("testdata/tokenizers/roberta.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, typeIDs, cut := t.EncodePair("what is a retort", "A retort is a vessel in which a liquid is distilled.", 14)
	for _, id := range ids {
		fmt.Printf("[%s]", t.Token(id))
	}
	fmt.Println()
	fmt.Println(len(typeIDs), cut)
	// Output:
	// [<s>][Ġwhat][Ġis][Ġa][Ġret][or][</s>][</s>][ĠA][Ġret][or][t][Ġis][</s>]
	// 14 true
}
