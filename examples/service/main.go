// Command service is a search service that specialises its query encoder on the queries of its users:
//
//	go run ./examples/service -model ./all-MiniLM-L6-v2 -corpus corpus.jsonl
//
// README.md describes its requests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/eval/godoc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	switch err := run(ctx, os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	address := flags.String("addr", "127.0.0.1:8080", "address to listen on")
	hosts := flags.String("hosts", "", "accepted host names, separated by commas, besides localhost and IP addresses")
	corpusFile := flags.String("corpus", "", "passages as JSON Lines; default: the documentation of the local Go")
	modelDir := flags.String("model", "", "folder of the model (required)")
	dir := flags.String("dir", "runs/service", "folder of the users' queries and the specialised models")
	every := flags.Int("every", 0, "specialise after this number of new queries; 0: only on POST /specialise")
	once := flags.Bool("specialise", false, "train once on what was asked, for a service with the same -dir, and end")
	watch := flags.Duration("watch", 5*time.Second, "time between two looks for a newer or removed model in -dir; 0: never")
	generated := flags.Int("generated", pipeline.DefaultMining(distill.QueryOnly).MaxQueries,
		"maximum number of generated training queries")
	threads := flags.Int("train-threads", max(1, runtime.GOMAXPROCS(0)/2), "threads of a training")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if *modelDir == "" || flags.NArg() > 0 || *every < 0 || *watch < 0 || *generated < 1 || *threads < 1 {
		fmt.Fprintln(stderr, "usage: service -model FOLDER [flags]; numbers must be positive")
		flags.PrintDefaults()
		return flag.ErrHelp
	}
	corpus, err := readCorpus(ctx, *corpusFile)
	if err != nil {
		return err
	}
	o := settings{
		Dir: *dir, Model: *modelDir, Every: *every, Watch: *watch, SearchTime: 10 * time.Second, Hosts: hostNames(*hosts),
		Logger: slog.New(slog.NewTextHandler(stderr, nil)),
		Open: func(ctx context.Context, dir string, train bool) (model, error) {
			var o transformer.Options
			if train {
				o.Threads, o.BatchTokens = *threads, 1024 // the end of a context is seen between batches
			}
			m, err := transformer.Open(ctx, dir, o)
			if err != nil {
				return nil, err // not m: a nil *transformer.Model is no nil model
			}
			return m, nil
		},
		Tune: func(r *pipeline.Recipe) {
			r.Mining = pipeline.DefaultMining(r.Towers)
			r.Mining.MaxQueries = *generated
		},
	}
	if *once {
		return specialiseOnce(ctx, corpus, o)
	}
	s, err := openService(ctx, corpus, o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return errors.Join(err, s.close(ctx))
	}
	return s.serve(ctx, listener)
}

// readCorpus reads the corpus file, or the documentation of the local Go.
func readCorpus(ctx context.Context, path string) (*retort.MemoryCorpus, error) {
	if path != "" {
		return retort.LoadCorpus(path)
	}
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return nil, err
	}
	return documentation.Corpus, nil
}

// patience is the time that searches have after ctx has ended, and the time that closing then waits for the last search.
const patience = 800 * time.Millisecond

// serve answers until ctx ends. Then it finishes the running searches, cancels a training, and closes the service.
func (s *service) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: s.SearchTime + 5*time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	s.Logger.Info("listening", "address", "http://"+l.Addr().String())
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.Logger.Info("shutting down")
	}
	s.stop()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if server.Shutdown(late) != nil {
		err = errors.Join(err, server.Close())
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	closed := s.close(last)
	if errors.Is(closed, errLate) {
		s.Logger.Warn("the process ends before the training has: nothing is lost but the training")
		return err
	}
	s.Logger.Info("stopped")
	return errors.Join(err, closed)
}
