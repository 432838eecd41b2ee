// Command pgvector specialises the query encoder of a search in PostgreSQL with pgvector while queries run.
// "make example-pgvector" runs it; README.md explains it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/eval/godoc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case ctx.Err() != nil && err != nil:
		fmt.Fprintln(os.Stderr, "pgvector: stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "pgvector:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("pgvector", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dsn := flags.String("dsn", os.Getenv("RETORT_PGVECTOR_DSN"),
		"database, such as postgres://user@host/name; default $RETORT_PGVECTOR_DSN")
	modelDir := flags.String("model", "", "folder of the model (required)")
	passages := flags.Int("passages", 3000, "number of passages of the Go documentation; 0: all")
	generated := flags.Int("generated", 2000, "maximum number of generated training queries")
	rate := flags.Float64("rate", 20, "queries per second")
	seconds := flags.Int("seconds", 5, "seconds of queries after the swap")
	last := flags.Bool("last", false, "use the trained model even if the held-out queries do not improve")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if *dsn == "" || *modelDir == "" || flags.NArg() > 0 || *passages < 0 || *generated < 1 || !(*rate > 0) ||
		*seconds < 0 {
		fmt.Fprintln(stderr, "usage: pgvector -dsn DATABASE -model FOLDER [flags]; numbers must be positive")
		flags.PrintDefaults()
		return flag.ErrHelp
	}
	config, err := pgxpool.ParseConfig(*dsn)
	if err != nil {
		return err
	}
	p := &program{
		config: config, rate: *rate, after: time.Duration(*seconds) * time.Second, out: stdout,
		log: func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) },
		tune: func(r *pipeline.Recipe) {
			r.Mining, r.KeepLast = pipeline.DefaultMining(r.Towers), *last
			r.Mining.MaxQueries = *generated
		},
		open: func(ctx context.Context, train bool) (model, error) {
			o := transformer.Options{BatchTokens: 512} // a query waits for one batch of passages, not for 256 of them
			if train {
				o.Threads = max(1, runtime.GOMAXPROCS(0)/2)
			}
			m, err := transformer.Open(ctx, *modelDir, o)
			if err != nil {
				return nil, err // not m: a nil *transformer.Model is no nil model
			}
			return m, nil
		},
	}
	if err := p.readGodoc(ctx, *passages); err != nil {
		return err
	}
	return p.run(ctx)
}

// readGodoc reads the first passages of the local Go documentation. The dev half of the written queries plays the users,
// the test half measures the result.
func (p *program) readGodoc(ctx context.Context, most int) error {
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return err
	}
	if most > 0 {
		if documentation.Corpus, err = first(documentation.Corpus, most); err != nil {
			return err
		}
	}
	p.corpus = documentation.Corpus
	dev, err := documentation.Written("dev")
	if err != nil {
		return err
	}
	for _, q := range dev.Queries {
		p.queries = append(p.queries, q.Text)
	}
	test, err := documentation.Written("test")
	if err != nil {
		return err
	}
	if len(dev.Queries) == 0 || len(test.Queries) == 0 {
		return fmt.Errorf("the first %d passages answer no query: raise -passages", p.corpus.Len())
	}
	p.judged = test
	return nil
}

// first returns the first n passages of a corpus, or the whole corpus if it has no more.
func first(corpus *retort.MemoryCorpus, n int) (*retort.MemoryCorpus, error) {
	if n >= corpus.Len() {
		return corpus, nil
	}
	passages := make([]retort.Passage, n)
	for i := range passages {
		var err error
		if passages[i], err = corpus.At(i); err != nil {
			return nil, err
		}
	}
	return retort.NewCorpus(passages)
}
