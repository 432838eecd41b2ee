package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort"
)

// queryTokens is the length of a query; [CLS] and [SEP] are two of it, as in passages.
const queryTokens = 16

// work is what a row trains on: the lists of one step.
type work struct {
	corpus  *retort.MemoryCorpus
	lists   []retort.List
	lengths []int // tokens of every distinct text, queries too
}

// newWork makes lists that have the row's share of distinct passages between them: list i goes on in the passages where
// list i - 1 ended, and begins anew at their end.
func newWork(r row, words []string) (*work, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(tokens int) string {
		chosen := make([]string, max(1, tokens-2))
		for i := range chosen {
			chosen[i] = words[rng.IntN(len(words))]
		}
		return strings.Join(chosen, " ")
	}
	w := &work{}
	n := min(r.Queries*r.List, max(r.List, int(math.Round(r.Distinct*float64(r.Queries*r.List)))))
	passages := make([]retort.Passage, n)
	for i := range passages {
		tokens := r.Tokens
		if least := max(3, r.Tokens/8); r.Mixed {
			tokens = least + rng.IntN(r.Tokens-least+1)
		}
		passages[i] = retort.Passage{ID: fmt.Sprint("p", i), Text: text(tokens)}
		w.lengths = append(w.lengths, tokens)
	}
	for i := range r.Queries {
		l := retort.List{Query: retort.Query{ID: fmt.Sprint("q", i), Text: text(queryTokens)}}
		for j := range r.List {
			l.IDs = append(l.IDs, passages[(i*r.List+j)%n].ID)
			l.Scores = append(l.Scores, 1-float64(j)/float64(r.List))
		}
		w.lists = append(w.lists, l)
		w.lengths = append(w.lengths, queryTokens)
	}
	var err error
	w.corpus, err = retort.NewCorpus(passages)
	return w, err
}

// vocabulary returns the words of a model folder that are a token each.
func vocabulary(dir string) ([]string, error) {
	file, err := os.Open(filepath.Join(dir, "vocab.txt"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var words []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if word := lines.Text(); len(word) > 1 && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return nil, errors.Join(fmt.Errorf("%s has no words of small letters", file.Name()), lines.Err())
	}
	return words, lines.Err()
}
