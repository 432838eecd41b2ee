package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/eval"
)

// parseArgs parses flags and the arguments with those names, in any order; "--" ends the flags. Each argument must be
// there.
func parseArgs(flags *flag.FlagSet, args []string, names ...string) ([]string, error) {
	values, err := parseWords(flags, args)
	if err != nil {
		return nil, err
	}
	if len(values) > len(names) {
		return nil, fmt.Errorf("%w: what is %q?", errUsage, values[len(names)])
	}
	if len(values) < len(names) {
		return nil, fmt.Errorf("%w: %s is missing", errUsage, names[len(values)])
	}
	return values, nil
}

// parseWords is parseArgs for any number of arguments.
func parseWords(flags *flag.FlagSet, args []string) ([]string, error) {
	var values []string
	for {
		if err := parse(flags, args, len(args)); err != nil {
			return nil, err
		}
		parsed := len(args) - flags.NArg()
		rest := flags.Args()
		if parsed > 0 && args[parsed-1] == "--" {
			return append(values, rest...), nil
		}
		if len(rest) == 0 {
			return values, nil
		}
		values, args = append(values, rest[0]), rest[1:]
	}
}

// required is a usage error that names the first flag that was not given.
func required(flags *flag.FlagSet, names ...string) error {
	for _, name := range names {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%w: -%s is missing", errUsage, name)
		}
	}
	return nil
}

// await calls f, which cannot be interrupted, and returns early where ctx ends first. f then runs on, for the moment
// until the program ends.
func await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := f()
		results <- result{value, err}
	}()
	select {
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	case r := <-results:
		return r.value, errors.Join(r.err, ctx.Err())
	}
}

// loadQueries reads queries from a JSON Lines file.
func loadQueries(ctx context.Context, path string) ([]retort.Query, error) {
	return await(ctx, func() ([]retort.Query, error) { return retort.LoadQueries(path) })
}

// loadCollection reads a collection from three files, as eval.LoadCollection does from a folder.
func loadCollection(ctx context.Context, corpusPath, queriesPath, qrelsPath string) (*eval.Collection, error) {
	qrels, err := eval.LoadQrels(qrelsPath)
	if err != nil {
		return nil, err
	}
	all, err := loadQueries(ctx, queriesPath)
	if err != nil {
		return nil, err
	}
	corpus, err := loadCorpus(ctx, corpusPath)
	if err != nil {
		return nil, err
	}
	c, err := eval.NewCollection(corpus, all, qrels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", qrelsPath, err)
	}
	return c, nil
}

// remarks say what a collection lacks and which of its queries are passages themselves.
func remarks(c *eval.Collection) []string {
	lines := c.Missing.Warnings()
	if n := unanswerable(c); n > 0 {
		lines = append(lines, fmt.Sprintf("%s of the %s queries have no relevant passage (a grade of 1 or more): every figure of theirs is 0",
			thousands(n), thousands(len(c.Queries))))
	}
	if n := len(c.Itself); n > 0 {
		lines = append(lines, fmt.Sprintf("%s of the %s queries are passages of the corpus themselves, which are left out of their rankings",
			thousands(n), thousands(len(c.Queries))))
	}
	return lines
}

// unanswerable counts the queries whose judgements name no relevant passage.
func unanswerable(c *eval.Collection) int {
	n := 0
	for _, q := range c.Queries {
		grades := slices.Collect(maps.Values(c.Qrels[q.ID]))
		if !slices.ContainsFunc(grades, func(grade int) bool { return grade > 0 }) {
			n++
		}
	}
	return n
}

// checkWritable fails before the work where its result could not be written after it.
func checkWritable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("cannot write %s: it is a folder", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".retort-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
