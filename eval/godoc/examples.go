package godoc

import (
	"bytes"
	"context"
	"go/doc"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

// Limits on the query that an example's comment becomes.
const (
	maxSentences = 2 // of its first paragraph
	minWords     = 4 // apart from the words of the symbol's own name
)

// exampleQueries returns the comments of the standard library's runnable examples as queries, each judged relevant to
// the symbol (or package) that the example belongs to. They are made from goroot, so no text of Go's is in this
// repository.
//
// The query is the first two sentences of the comment's first paragraph, without the words that say that it is an
// example ("ExampleRead demonstrates how to ...", "This example uses OnceValues to ..."): those name the symbol or tell
// nothing. Comments that leave fewer than four words, the symbol's own name not counted, or that speak of the example
// itself ("This example is equivalent to ...") are left out. Examples with the same text become one query with all
// their symbols.
func exampleQueries(ctx context.Context, goroot string, corpus retort.Corpus) (*querySet, error) {
	dirs, err := packageDirs(ctx, goroot)
	if err != nil {
		return nil, err
	}
	found := make([][]example, len(dirs))
	err = eachDir(ctx, dirs, func(i int, d packageDir) (err error) {
		found[i], err = packageExamples(d, corpus)
		return err
	})
	if err != nil {
		return nil, err
	}
	var queries []retort.Query
	relevant := map[string][]string{} // by the query's text
	for _, examples := range found {
		for _, e := range examples {
			if relevant[e.text] == nil {
				queries = append(queries, retort.Query{ID: e.id, Text: e.text})
			}
			relevant[e.text] = append(relevant[e.text], e.symbol)
		}
	}
	set := &querySet{Qrels: eval.Qrels{}}
	for _, q := range queries {
		set.judge(q, relevant[q.Text], corpus)
	}
	set.finish()
	return set, nil
}

// example is a runnable example that has a usable comment.
type example struct {
	id, text string
	symbol   string // the id of the passage it belongs to
}

func packageExamples(d packageDir, corpus retort.Corpus) ([]example, error) {
	isTest := func(name string) bool { return strings.HasSuffix(name, "_test.go") }
	hasExample := func(source []byte) bool { return bytes.Contains(source, []byte("func Example")) }
	files, err := parseDir(token.NewFileSet(), d, isTest, hasExample)
	if err != nil {
		return nil, err
	}
	var examples []example
	for _, e := range doc.Examples(files...) {
		symbol := exampleSymbol(d.importPath, e.Name, corpus)
		if text := exampleText(e.Doc, symbol); text != "" {
			examples = append(examples, example{id: d.importPath + ".Example" + e.Name, text: text, symbol: symbol})
		}
	}
	return examples, nil
}

// exampleSymbol returns the id of what an example of a package is for. name is the function's without "Example": "",
// "F", "T", "T_M", each with or without a suffix that starts with a small letter.
func exampleSymbol(importPath, name string, corpus retort.Corpus) string {
	parts := strings.Split(name, "_")
	if parts[0] == "" {
		return importPath
	}
	symbol := importPath + "." + parts[0]
	if len(parts) > 1 {
		method := symbol + "." + parts[1]
		if _, known := corpus.Index(method); known {
			return method
		}
	}
	return symbol
}

var (
	docLink  = regexp.MustCompile(`\[(\*?[\w./]+)\]`)
	sentence = regexp.MustCompile(`[.!?]\s+[A-Z]`)
	// opening is what only says that an example follows.
	opening = regexp.MustCompile(`^(?:Example\w*|(?i:this|these|the following) examples?|Here we|Usage example that)\s+`)
	// showing may follow an opening.
	showing = regexp.MustCompile(`^(?i:demonstrates?|shows?|illustrates?)\s+` +
		`(?:(?:an example of|the use of|how to|one way to|one technique for|a technique for)\s+)?`)
	// using may come next, or begin a comment; $1 is the name of what is used.
	using = regexp.MustCompile(`^(?i:uses?|using)\s+(?:an?\s+|the\s+)?(?:\w+\.)?(\w+)\s+(?:to|for)\s+`)
	word  = regexp.MustCompile(`[\p{L}\p{N}]+`)
)

// exampleText returns the query that an example's comment makes, empty when it makes none.
func exampleText(comment, symbol string) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(comment), "\n\n")
	text := strings.Join(strings.Fields(docLink.ReplaceAllString(paragraph, "$1")), " ")
	text = firstSentences(text, maxSentences)
	if o := opening.FindString(text); o != "" {
		text = text[len(o):]
		text = text[len(showing.FindString(text)):]
	}
	own := strings.Split(path.Base(symbol), ".")
	if u := using.FindStringSubmatch(text); u != nil && slices.Contains(own, u[1]) {
		text = text[len(u[0]):]
	}
	if strings.HasPrefix(text, "is ") || wordsBeside(text, symbol) < minWords {
		return ""
	}
	return text
}

func firstSentences(text string, n int) string {
	ends := sentence.FindAllStringIndex(text, n)
	if len(ends) < n {
		return text
	}
	return text[:ends[n-1][0]+1]
}

// wordsBeside counts the words of text that are no part of the symbol's name.
func wordsBeside(text, symbol string) int {
	own := map[string]bool{}
	for _, w := range word.FindAllString(path.Base(symbol), -1) {
		own[strings.ToLower(w)] = true
	}
	n := 0
	for _, w := range word.FindAllString(text, -1) {
		if !own[strings.ToLower(w)] {
			n++
		}
	}
	return n
}
