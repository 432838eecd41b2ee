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
	Queries []retort.Query // queries with judgements, in the order of the file
	Qrels   Qrels

	// Itself holds the ids of the queries that are a passage of the corpus with the same id. Rankings omit that
	// passage: see SetIdentical. nil means that there are none.
	Itself map[string]bool
	// Missing holds the judged passages and queries that are not in the corpus or the queries.
	Missing Gaps
}

// NewCollection joins a corpus, queries and judgements. It drops queries without judgements and judgements without
// their query. It keeps judgements of passages that are not in the corpus, like trec_eval and BEIR, so that recall and
// nDCG count these passages as not found. Missing lists both. If none of the judged passages or none of the judged
// queries exists, it returns an error. Itself is set by the rule IgnoreSameText.
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

// LoadCollection reads a collection from a folder in BEIR layout: corpus.jsonl, queries.jsonl with the queries of all
// splits, and qrels/SPLIT.tsv. It treats missing passages and queries like [NewCollection]. If the split does not
// exist, the error lists the existing splits.
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
		return fmt.Errorf("%s is not a collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): %w", dir,
			cause)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".tsv")
	}
	return fmt.Errorf("%s has no split %q, only %s: %w", dir, split, strings.Join(files, ", "), cause)
}
