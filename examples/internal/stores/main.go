package stores

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/examples/service/live"
)

// Main is the main function of an example. The default of the flag -store is address.
func Main(address, usage string, open Open) {
	log.SetFlags(0)
	o := Options{Open: open}
	flag.StringVar(&o.Corpus, "corpus", "corpus.jsonl", "file of passages")
	flag.StringVar(&o.Queries, "queries", "queries.jsonl", "file of queries to ask")
	flag.StringVar(&o.Model, "model", "all-MiniLM-L6-v2", "folder of the model that encodes the passages")
	flag.StringVar(&o.Student, "student", "runs/mine/model", "folder of the model that \"retort distill\" made of it")
	flag.StringVar(&o.Address, "store", address, usage)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// Options are the flags of an example.
type Options struct {
	Corpus, Queries string // files
	Model, Student  string // folders
	Address         string
	Open            Open
}

// Run encodes and writes the passages, unless they are in the store. Then it asks the queries, swaps the encoder for
// the student and asks them again, while users ask all the time. It prints what came of it.
func Run(ctx context.Context, o Options, out io.Writer) (err error) {
	corpus, err := retort.LoadCorpus(o.Corpus)
	if err != nil {
		return err
	}
	queries, err := retort.LoadQueries(o.Queries)
	if err != nil {
		return err
	}
	if corpus.Len() == 0 || len(queries) == 0 {
		return fmt.Errorf("%s has %d passages and %s %d queries: both must have some", o.Corpus, corpus.Len(), o.Queries,
			len(queries))
	}
	base, err := transformer.Open(ctx, o.Model, transformer.Options{})
	if err != nil {
		return err
	}
	if !base.Normalized() {
		return errors.Join(fmt.Errorf("%s ranks by inner product, not by cosine", o.Model), base.Close())
	}
	s := &search{encoder: live.New(base)}
	defer func() { err = errors.Join(err, s.encoder.Close(context.WithoutCancel(ctx))) }()
	index, err := indexName(corpus, base.Fingerprint())
	if err != nil {
		return err
	}
	if s.store, err = o.Open(ctx, o.Address, index, base.Dim()); err != nil {
		return fmt.Errorf("open the store %s: %w", o.Address, err)
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	wrote, err := write(ctx, s.store, base, corpus)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "index %s: %d passages, %d of them written now\n", index, corpus.Len(), wrote)
	return s.show(ctx, queries, corpus, o.Student, out)
}

// indexName differs for each corpus and model, so that the vectors of two models are never in one index.
func indexName(corpus retort.Corpus, fingerprint string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", fingerprint)
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %q %q\n", p.ID, p.Title, p.Text)
	}
	return fmt.Sprintf("retort_%.8x", h.Sum(nil)), nil
}

// show asks all queries, swaps the encoder for the student and asks them again. Users ask all the while.
func (s *search) show(
	ctx context.Context, queries []retort.Query, corpus retort.Corpus, dir string, out io.Writer,
) error {
	u := &users{search: s, queries: queries}
	stop := u.start(ctx)
	defer stop()
	before, err := s.askAll(ctx, queries)
	if err != nil {
		return err
	}
	student, err := transformer.Open(ctx, dir, transformer.Options{})
	if err != nil {
		return err
	}
	if err := s.swap(ctx, student, corpus); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	after, err := s.askAll(ctx, queries)
	if err != nil {
		return err
	}
	stop()
	changed, example := 0, 0 // the example is the last query whose first passage changed
	for i := range queries {
		if before[i].dense[0] != after[i].dense[0] {
			changed, example = changed+1, i
		}
	}
	fmt.Fprintf(out, "%q\n", queries[example].Text)
	before[example].print(out, "before")
	after[example].print(out, "after")
	fmt.Fprintf(out, "the swap changed the first passage of %d of %d dense answers\n", changed, len(queries))
	fmt.Fprintf(out, "users' queries: %d answered before the swap, %d after it, %d failed\n", u.answered[1],
		u.answered[2], u.failed)
	return u.first
}

func (s *search) askAll(ctx context.Context, queries []retort.Query) ([]answer, error) {
	answers := make([]answer, len(queries))
	for i, q := range queries {
		var err error
		if answers[i], err = s.ask(ctx, q.Text); err != nil {
			return nil, fmt.Errorf("query %q: %w", q.ID, err)
		}
	}
	return answers, nil
}

func (a answer) print(out io.Writer, when string) {
	fmt.Fprintf(out, "  %-6s  dense:  %s\n", when, strings.Join(a.dense[:min(shown, len(a.dense))], "  "))
	if a.hybrid != nil {
		fmt.Fprintf(out, "  %-6s  hybrid: %s\n", when, strings.Join(a.hybrid[:min(shown, len(a.hybrid))], "  "))
	}
}
