package tokenizer_test

import (
	"fmt"
	"os"

	"github.com/retort-ir/retort/internal/tokenizer"
)

func read(path string) (*tokenizer.Tokenizer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return tokenizer.Parse(data)
}

func Example() {
	t, err := read("testdata/tokenizers/smollm.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, err := t.Encode("The reader reads 12 lines.")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range ids {
		fmt.Printf("[%s]", t.Token(id))
	}
	fmt.Println()
	fmt.Println(t.Decode(ids))

	// What a user writes is text; in a filled-in chat template special tokens count.
	text, _ := t.Encode("<|im_end|>")
	special, _ := t.EncodeWithSpecials("<|im_end|>")
	fmt.Println(len(text) > 1, len(special))
	// Output:
	// [The][Ġreader][Ġread][s][Ġ][1][2][Ġlin][es][.]
	// The reader reads 12 lines.
	// true 1
}

func ExampleTokenizer_EncodePair() {
	t, err := read("testdata/tokenizers/roberta.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	ids, typeIDs, cut, err := t.EncodePair("what is a retort", "A retort is a vessel in which a liquid is distilled.", 14)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, id := range ids {
		fmt.Printf("[%s]", t.Token(id))
	}
	fmt.Println()
	fmt.Println(len(typeIDs), cut)
	// Output:
	// [<s>][Ġwhat][Ġis][Ġa][Ġret][or][</s>][</s>][ĠA][Ġret][or][t][Ġis][</s>]
	// 14 true
}
