package eval

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
)

// Collection is a corpus with queries and the judgements of one split, for instance "test".
type Collection struct {
	Corpus  retort.Corpus
	Queries []retort.Query // those with judgements, in the order of the file
	Qrels   Qrels
}

// LoadCollection reads a collection from a folder in BEIR layout: corpus.jsonl, queries.jsonl, which holds the queries
// of every split, and qrels/SPLIT.tsv. The judgements are checked against the other two, see [Qrels.Check]. Where the
// split is absent, the error lists those that are there.
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
	if err := qrels.Check(corpus, queries); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	queries = slices.DeleteFunc(queries, func(q retort.Query) bool { return qrels[q.ID] == nil })
	return &Collection{Corpus: corpus, Queries: queries, Qrels: qrels}, nil
}

func noSplit(dir, split string, cause error) error {
	files, err := filepath.Glob(filepath.Join(dir, "qrels", "*.tsv"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s is no collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv): %w", dir, cause)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".tsv")
	}
	return fmt.Errorf("%s has no split %q but %s: %w", dir, split, strings.Join(files, ", "), cause)
}
