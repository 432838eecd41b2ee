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

// parseArgs parses flags and one argument per name, in any order. "--" ends the flags.
func parseArgs(flags *flag.FlagSet, args []string, names ...string) ([]string, error) {
	values, err := parseWords(flags, args)
	if err != nil {
		return nil, err
	}
	if len(values) > len(names) {
		return nil, fmt.Errorf("%w: unexpected argument %q", errUsage, values[len(names)])
	}
	if len(values) < len(names) {
		return nil, fmt.Errorf("%w: %s is missing", errUsage, names[len(values)])
	}
	return values, nil
}

// parseWords parses flags and any number of arguments.
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

// required returns a usage error that names the first missing flag.
func required(flags *flag.FlagSet, names ...string) error {
	for _, name := range names {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%w: -%s is missing", errUsage, name)
		}
	}
	return nil
}

// await calls f, which cannot be interrupted, and returns early when ctx ends. f then runs until the program exits.
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

func loadQueries(ctx context.Context, path string) ([]retort.Query, error) {
	return await(ctx, func() ([]retort.Query, error) { return retort.LoadQueries(path) })
}

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

// remarks describes what a collection lacks and which of its queries are also passages.
func remarks(c *eval.Collection) []string {
	lines := c.Missing.Warnings()
	if n := unanswerable(c); n > 0 {
		lines = append(lines, fmt.Sprintf("%s of the %s queries have no relevant passage (grade 1 or higher): "+
			"all their metrics are 0", thousands(n), thousands(len(c.Queries))))
	}
	if n := len(c.Itself); n > 0 {
		lines = append(lines, fmt.Sprintf("%s of the %s queries are also passages of the corpus: "+
			"the ranking of each such query omits the passage", thousands(n), thousands(len(c.Queries))))
	}
	return lines
}

// unanswerable counts the queries without a relevant passage.
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

// checkWritable finds an unwritable output file before the work starts.
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
