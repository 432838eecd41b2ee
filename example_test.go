package retort_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort"
)

// A corpus comes from JSON Lines with BEIR's field names. LoadCorpus does this for a file.
func Example() {
	const lines = `{"_id": "bufio.Scanner", "title": "bufio.Scanner", "text": "reads a file line by line"}
{"_id": "sort.Slice", "title": "sort.Slice", "text": "sorts a slice by a function"}
`
	var passages []retort.Passage
	for p, err := range retort.ReadPassages(strings.NewReader(lines), "corpus.jsonl") {
		if err != nil {
			fmt.Println(err)
			return
		}
		passages = append(passages, p)
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		fmt.Println(err)
		return
	}
	i, _ := corpus.Index("sort.Slice")
	p, err := corpus.At(i)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(corpus.Len(), "passages")
	fmt.Println(p.Content())
	// Output:
	// 2 passages
	// sort.Slice sorts a slice by a function
}

// An error names the file and the line.
func ExampleReadPassages() {
	const lines = `{"_id": "a", "text": "the first"}
{"title": "without an id", "text": "the second"}
`
	for p, err := range retort.ReadPassages(strings.NewReader(lines), "corpus.jsonl") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.ID)
	}
	// Output:
	// a
	// corpus.jsonl:2: no "_id"
}

// A corpus of millions of passages stays in its file.
func ExampleOpenCorpus() {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "corpus.jsonl")
	const lines = `{"_id": "bufio.Scanner", "text": "reads a file line by line"}
{"_id": "sort.Slice", "text": "sorts a slice by a function"}
`
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	corpus, err := retort.OpenCorpus(context.Background(), path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer corpus.Close()
	i, _ := corpus.Index("sort.Slice")
	p, err := corpus.At(i)
	fmt.Println(i, p.Text, err)
	// Output:
	// 1 sorts a slice by a function <nil>
}
