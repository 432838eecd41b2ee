package main

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
)

// cutCounter is an encoder that knows which texts it does not read to their ends.
type cutCounter interface {
	CountCut(ctx context.Context, role encoder.Role, texts []string) (cut, limit int, err error)
}

// sayCutPassages says how many passages are longer than the model reads, if any are.
func sayCutPassages(ctx context.Context, enc encoder.Encoder, corpus retort.Corpus, p *progress.Progress) error {
	counter, ok := enc.(cutCounter)
	if !ok {
		return nil
	}
	const block = 1024
	total, limit := 0, 0
	for from := 0; from < corpus.Len(); from += block {
		var texts []string
		for i := from; i < min(from+block, corpus.Len()); i++ {
			passage, err := corpus.At(i)
			if err != nil {
				return err
			}
			texts = append(texts, passage.Content())
		}
		cut, l, err := counter.CountCut(ctx, encoder.Passage, texts)
		if err != nil {
			return err
		}
		total, limit = total+cut, l
	}
	sayCut(p, "passages", total, corpus.Len(), limit)
	return nil
}

// sayCutQueries does so for queries.
func sayCutQueries(ctx context.Context, enc encoder.Encoder, texts []string, p *progress.Progress) error {
	counter, ok := enc.(cutCounter)
	if !ok {
		return nil
	}
	cut, limit, err := counter.CountCut(ctx, encoder.Query, texts)
	if err != nil {
		return err
	}
	sayCut(p, "queries", cut, len(texts), limit)
	return nil
}

func sayCut(p *progress.Progress, what string, cut, total, limit int) {
	if cut > 0 {
		p.Print(fmt.Sprintf("%s of %s %s are longer than the %d tokens that the model reads: their ends are cut off",
			thousands(cut), thousands(total), what, limit))
	}
}

// unspacedScripts names generate.Scripts.Unspaced.
const unspacedScripts = "a script without spaces between words (Chinese, Japanese, Thai, Lao, Khmer or Burmese)"

// checkScripts warns of passages that extractive queries and BM25 do not suit. Where queries can come from extraction
// alone and nothing can be extracted it returns an error. path names the corpus.
func checkScripts(ctx context.Context, corpus retort.Corpus, path string, extractOnly bool,
	p *progress.Progress,
) error {
	s, err := generate.ReadScripts(ctx, corpus)
	if err != nil {
		return err
	}
	switch {
	case s.Unspaced == s.Passages && extractOnly:
		return fmt.Errorf("%s: its %s passages are in %s, and no queries can be extracted from those: give your own with -queries, "+
			"or have a language model ask them with -generator llm", path, thousands(s.Passages), unspacedScripts)
	case s.Unspaced > 0:
		p.Print(fmt.Sprintf("%s of %s passages are in %s: no queries are extracted from them, and BM25 takes each of their characters for a word. "+
			"Queries of your own (-queries) or of a language model (-generator llm) make up for the first",
			thousands(s.Unspaced), thousands(s.Passages), unspacedScripts))
	}
	if s.Foreign*2 > s.Passages-s.Unspaced {
		p.Print(fmt.Sprintf("%s of %s passages do not look English, which extractive queries and BM25's stop words and stems are made for: expect less of them, "+
			"and give judged queries (-queries, -qrels) to see what they are worth", thousands(s.Foreign),
			thousands(s.Passages)))
	}
	return nil
}

// warnOfScripts says where BM25 alone is asked of a corpus whose words it can't tell.
func warnOfScripts(ctx context.Context, corpus retort.Corpus, p *progress.Progress) error {
	s, err := generate.ReadScripts(ctx, corpus)
	if err == nil && s.Unspaced > 0 {
		p.Print(fmt.Sprintf("%s of %s passages are in %s: BM25 takes each of their characters for a word; a model (-model DIR) may find more",
			thousands(s.Unspaced), thousands(s.Passages), unspacedScripts))
	}
	return err
}
