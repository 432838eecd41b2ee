package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/eval/godoc"
	"github.com/retort-ir/retort/mine"
)

// collection is a corpus with the queries that figures are reported for and those that choices are made on.
type collection struct {
	name     string
	corpus   retort.Corpus
	analyzer mine.Analyzer
	all      judged // every test query, which students are measured on
	test     judged // the fixed ones, which teachers are measured on
	dev      judged
	version  string // of the Go whose documentation it is
}

// judged is queries with judgements.
type judged struct {
	Split   string // where they are from: "test", "train", "test, the other queries"
	Queries []retort.Query
	Qrels   eval.Qrels
}

// collectionGodoc is the one that is made from GOROOT.
const collectionGodoc = "godoc"

func openCollection(ctx context.Context, s *settings, name string) (*collection, error) {
	c := &collection{name: name, analyzer: mine.English()}
	load := c.loadFolder
	if name == collectionGodoc {
		load = func(ctx context.Context, _ *settings) error { return c.loadGodoc(ctx) }
	}
	if err := load(ctx, s); err != nil {
		return nil, err
	}
	c.test = c.all.fixed(s.testQueries)
	if c.dev.Queries == nil {
		c.dev = c.all.without(c.test)
	}
	if len(c.dev.Queries) == 0 {
		return nil, fmt.Errorf("%s: test is the only split, and all its %d queries are test queries: lower -test-queries",
			name, len(c.all.Queries))
	}
	c.dev = c.dev.fixed(s.devQueries)
	return c, nil
}

// loadFolder takes the split dev for choices where there is one, else train, else the test queries that are left over.
func (c *collection) loadFolder(_ context.Context, s *settings) error {
	if s.collections == "" {
		return fmt.Errorf("collection %s: give its parent folder with -collections", c.name)
	}
	dir := filepath.Join(s.collections, c.name)
	test, err := eval.LoadCollection(dir, "test")
	if err != nil {
		return err
	}
	c.corpus, c.all = test.Corpus, judged{"test", test.Queries, test.Qrels}
	for _, split := range []string{"dev", "train"} {
		if _, err := os.Stat(filepath.Join(dir, "qrels", split+".tsv")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		other, err := eval.LoadCollection(dir, split)
		if err != nil {
			return err
		}
		c.dev = judged{split, other.Queries, other.Qrels}
		return nil
	}
	return nil
}

func (c *collection) loadGodoc(ctx context.Context) error {
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return err
	}
	c.version, c.corpus = documentation.Version, documentation.Corpus
	c.analyzer = mine.Code()
	for _, half := range []struct {
		split string
		to    *judged
	}{{"test", &c.all}, {"dev", &c.dev}} {
		set, err := documentation.Written(half.split)
		if err != nil {
			return err
		}
		*half.to = judged{"written queries, " + half.split + " half", set.Queries, set.Qrels}
	}
	return nil
}

// fixed returns the first n queries in the order of the SHA-256 of their ids, or all, which is the same choice whatever
// the order of the file and whoever asks.
func (j judged) fixed(n int) judged {
	queries := slices.Clone(j.Queries)
	slices.SortFunc(queries, func(a, b retort.Query) int {
		x, y := sha256.Sum256([]byte(a.ID)), sha256.Sum256([]byte(b.ID))
		return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(a.ID, b.ID))
	})
	return j.only(j.Split, queries[:min(n, len(queries))])
}

// without returns the queries that others does not hold.
func (j judged) without(others judged) judged {
	left := slices.DeleteFunc(slices.Clone(j.Queries), func(q retort.Query) bool { return others.Qrels[q.ID] != nil })
	return j.only(j.Split+", the other queries", left)
}

func (j judged) only(split string, queries []retort.Query) judged {
	out := judged{split, queries, eval.Qrels{}}
	for _, q := range queries {
		out.Qrels[q.ID] = j.Qrels[q.ID]
	}
	return out
}
