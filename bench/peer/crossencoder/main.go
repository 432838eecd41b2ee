// Command crossencoder is Retort's side of the comparison of cross-encoders in "make bench-peer", which
// bench/peer/bench_peer_crossencoder.py drives. It opens a model, reads the lists to score, one line of JSON, and then
// answers each line of its input:
//
//	time    scores all lists and prints the seconds that it took
//	scores  scores all lists and prints the scores end to end as one JSON array
//
// Start-up and the transport of texts are thus no part of what is measured.
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

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/crossencoder"
)

func main() {
	model := flag.String("model", "", "model folder")
	threads := flag.Int("threads", 0, "threads; 0: as many as there are cores")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *model, *threads, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer/crossencoder:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, threads int, in io.Reader, out io.Writer) (err error) {
	model, err := crossencoder.Open(ctx, dir, crossencoder.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	return serve(ctx, model, in, out)
}

// serve reads the lists and answers the requests until in ends.
func serve(ctx context.Context, model teacher.BatchTeacher, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<28)
	if !lines.Scan() {
		return errors.Join(errors.New("no lists"), lines.Err())
	}
	lists, err := parseLists(lines.Bytes())
	if err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	for lines.Scan() {
		answer, err := answerTo(ctx, lines.Text(), model, lists)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// parseLists reads [[query, passage, passage, ...], ...].
func parseLists(line []byte) ([]teacher.Work, error) {
	var texts [][]string
	if err := strictjson.Unmarshal(line, &texts); err != nil {
		return nil, fmt.Errorf("the lists: %w", err)
	}
	lists := make([]teacher.Work, len(texts))
	for i, t := range texts {
		if len(t) == 0 {
			return nil, fmt.Errorf("list %d has no query", i)
		}
		lists[i].Query = retort.Query{ID: fmt.Sprint(i), Text: t[0]}
		for j, passage := range t[1:] {
			lists[i].Passages = append(lists[i].Passages, retort.Passage{ID: fmt.Sprint(j), Text: passage})
		}
	}
	return lists, nil
}

func answerTo(ctx context.Context, request string, model teacher.BatchTeacher, lists []teacher.Work) (any, error) {
	if request != "time" && request != "scores" {
		return nil, fmt.Errorf("request is %q, want time or scores", request)
	}
	start := time.Now()
	byList := make([][]float64, len(lists))
	for i, scored := range model.ScoreBatch(ctx, lists) {
		if scored.Err != nil {
			return nil, scored.Err
		}
		byList[i] = scored.Scores
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if request == "time" {
		return time.Since(start).Seconds(), nil
	}
	var all []float64
	for _, scores := range byList {
		all = append(all, scores...)
	}
	return all, nil
}
