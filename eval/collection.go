package eval

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort"
)

// Collection is a corpus with queries and the judgements of one split, for instance "test".
type Collection struct {
	Corpus  retort.Corpus
	Queries []retort.Query // those with judgements, in the order of the file
	Qrels   Qrels

	// Itself holds the ids of the queries that are the passage of that id themselves. A ranking leaves that passage
	// out: see SetIdentical. nil means that there are none.
	Itself map[string]bool
	// Missing is what the judgements spoke of and the corpus or the queries lacked.
	Missing Gaps
}

// NewCollection joins a corpus, queries and judgements. Queries without judgements and judgements without their query
// are left out; a judged passage that the corpus lacks stays among the judgements, as in trec_eval and BEIR, so that
// recall and nDCG count it as not found. Missing says what was missing. Judgements none of whose passages, or none of
// whose queries, are there are an error. Itself is set by IgnoreSameText.
func NewCollection(corpus retort.Corpus, queries []retort.Query, qrels Qrels) (*Collection, error) {
	c := &Collection{Corpus: corpus, Qrels: qrels, Missing: qrels.gaps(corpus, queries)}
	if err := c.Missing.checkOverlap(qrels); err != nil {
		return nil, err
	}
	if len(c.Missing.Queries) > 0 {
		c.Qrels = maps.Clone(qrels)
		for _, id := range c.Missing.Queries {
			delete(c.Qrels, id)
		}
	}
	for _, q := range queries {
		if c.Qrels[q.ID] != nil {
			c.Queries = append(c.Queries, q)
		}
	}
	_, err := c.SetIdentical(IgnoreSameText)
	return c, err
}

// LoadCollection reads a collection from a folder in BEIR layout: corpus.jsonl, queries.jsonl, which holds the queries
// of every split, and qrels/SPLIT.tsv. What is missing among them is reported and treated as by [NewCollection]. Where
// the split is absent, the error lists the splits that are there.
//
// Reference: Thakur et al. (2021), "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval
// Models", arXiv 2104.08663.
func LoadCollection(dir, split string) (*Collection, error) {
	path := filepath.Join(dir, "qrels", split+".tsv")
	qrels, err := LoadQrels(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSplit(dir, split, err)
	}
	if err != nil {
		return nil, err
	}
	corpus, err := retort.LoadCorpus(filepath.Join(dir, "corpus.jsonl"))
	if err != nil {
		return nil, err
	}
	queries, err := retort.LoadQueries(filepath.Join(dir, "queries.jsonl"))
	if err != nil {
		return nil, err
	}
	c, err := NewCollection(corpus, queries, qrels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func noSplit(dir, split string, cause error) error {
	files, err := filepath.Glob(filepath.Join(dir, "qrels", "*.tsv"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s is no collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): %w", dir,
			cause)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".tsv")
	}
	return fmt.Errorf("%s has no split %q but %s: %w", dir, split, strings.Join(files, ", "), cause)
}
