// Command search is Retort's side of the comparison of exact search in "make bench-peer", which
// bench/peer/bench_peer_search.py drives. It maps the vectors of passages, reads those of queries, and then answers each
// line of its input:
//
//	time  searches all queries and prints the seconds that it took
//	hits  searches all queries and prints the indexes of each query's best passages, best first, as one JSON array
//
// Start-up and the reading of vectors are thus no part of what is measured.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/mine"
)

func main() {
	passages := flag.String("passages", "", ".npy file of vectors [m x d]")
	queries := flag.String("queries", "", ".npy file of vectors [n x d]")
	k := flag.Int("k", 100, "passages per query")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *passages, *queries, *k, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer/search:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, passages, queries string, k int, in io.Reader, out io.Writer) (err error) {
	q, err := npy.Map(queries)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	index, err := mine.OpenDense(nil, passages)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	return serve(ctx, index, q.Matrix, k, in, out)
}

// serve answers the requests until in ends.
func serve(ctx context.Context, index *mine.Dense, queries blas32.General, k int, in io.Reader, out io.Writer) error {
	answers := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer, err := answerTo(ctx, lines.Text(), index, queries, k)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answerTo(ctx context.Context, request string, index *mine.Dense, queries blas32.General, k int) (any, error) {
	if request != "time" && request != "hits" {
		return nil, fmt.Errorf("request is %q, want time or hits", request)
	}
	start := time.Now()
	rankings, err := index.SearchVectors(ctx, queries, k)
	if err != nil {
		return nil, err
	}
	if request == "time" {
		return time.Since(start).Seconds(), nil
	}
	indexes := make([][]int, len(rankings))
	for q, hits := range rankings {
		for _, h := range hits {
			indexes[q] = append(indexes[q], h.Index)
		}
	}
	return indexes, nil
}
