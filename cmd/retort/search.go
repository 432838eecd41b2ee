package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/mine"
)

var searchCommand = command{
	name:    "search",
	summary: "search a corpus with a model or BM25",
	usage: `-corpus FILE (-model DIR | -bm25) [flags] "QUERY"

Prints the best passages: rank, score, id and title on one line, the start of the text on the next. A model encodes the
whole corpus at every call. To encode it only once, run "retort embed" and give its output to -vectors.

  -corpus FILE          passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input
  -k N                  number of passages to print (10)` + rankerUsage + `

example:
  retort search -corpus corpus.jsonl -model ./all-MiniLM-L6-v2 "go through a file line by line"
`,
	json: true,
	run:  runSearch,
}

const snippetRunes = 160

func runSearch(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("search", flag.ContinueOnError)
	corpusPath := flags.String("corpus", "", "")
	k := flags.Int("k", 10, "")
	var ranker rankerFlags
	ranker.add(flags)
	values, err := parseArgs(flags, args, "QUERY")
	if err != nil {
		return err
	}
	if err := required(flags, "corpus"); err != nil {
		return err
	}
	if *k < 1 {
		return fmt.Errorf("%w: -k is %d, want at least 1", errUsage, *k)
	}
	if strings.TrimSpace(values[0]) == "" {
		return fmt.Errorf("%w: the query is empty", errUsage)
	}
	if err := ranker.check(flags); err != nil {
		return err
	}
	corpus, err := loadCorpus(ctx, *corpusPath)
	if err != nil {
		return err
	}
	retriever, done, err := ranker.open(ctx, corpus, values[:1], progress.New(stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	rankings, err := retriever.Search(ctx, []retort.Query{{ID: "1", Text: values[0]}}, *k)
	if err != nil {
		return err
	}
	if wantsJSON(stdout) {
		return printHitsJSON(stdout, corpus, rankings[0])
	}
	if len(rankings[0]) == 0 {
		fmt.Fprintln(stderr, "no passage contains a word of the query")
		return nil
	}
	return printHits(stdout, corpus, rankings[0])
}

func printHits(w io.Writer, corpus retort.Corpus, hits []mine.Hit) error {
	for i, h := range hits {
		p, err := corpus.At(h.Index)
		if err != nil {
			return err
		}
		head := fmt.Sprintf("%3d  %8.4f  %s  %s", i+1, h.Score, oneLine(p.ID), oneLine(p.Title))
		if _, err := fmt.Fprintf(w, "%s\n     %s\n", strings.TrimRight(head, " "), snippet(p.Text)); err != nil {
			return err
		}
	}
	return nil
}

// snippet returns the start of a text, cut between words.
func snippet(text string) string {
	line := oneLine(text)
	runes := []rune(line)
	if len(runes) <= snippetRunes {
		return line
	}
	cut := string(runes[:snippetRunes])
	if end := strings.LastIndexByte(cut, ' '); end > 0 {
		cut = cut[:end]
	}
	return cut + " ..."
}

// oneLine collapses white space and drops characters that control a terminal.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}
