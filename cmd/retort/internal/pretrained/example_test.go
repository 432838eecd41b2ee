package pretrained_test

import (
	"fmt"

	"github.com/retort-ir/retort/cmd/retort/internal/pretrained"
)

func Example() {
	for _, m := range pretrained.Models() {
		fmt.Println(m.Name, "is", m.Title)
	}
	_, err := pretrained.Find("bge-large")
	fmt.Println(err)
	// Output:
	// minilm is all-MiniLM-L6-v2
	// bge-small is bge-small-en-v1.5
	// e5-small is e5-small-v2
	// mpnet is all-mpnet-base-v2
	// smollm2 is SmolLM2-135M-Instruct
	// unknown model "bge-large", want one of minilm, bge-small, e5-small, mpnet, smollm2
}
