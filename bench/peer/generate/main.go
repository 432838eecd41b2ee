// Command generate is Retort's side of the part of "make bench-peer" that writes queries, which
// bench/peer/bench_peer_generate.py drives. It prints the prompts as one line of JSON and then answers each line of its
// input:
//
//	time N  opens the model, writes a query to each prompt of round N, counted from 0, and prints the seconds that the
//	        writing took, and the queries
//
// Every answer begins with a model that has read nothing, so that what it keeps of shared prompts is computed again. The
// rounds have different passages.
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
	"github.com/retort-ir/retort/eval/godoc"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/generate/causallm"
	"github.com/retort-ir/retort/internal/torch"
)

func main() {
	var s settings
	flag.StringVar(&s.model, "model", "", "model folder or GGUF file")
	flag.StringVar(&s.precision, "precision", "fp32", "fp32 or bf16")
	flag.StringVar(&s.queryType, "type", generate.TypeQuestion, "type of query")
	flag.IntVar(&s.passages, "passages", 64, "number of passages of a round")
	flag.IntVar(&s.rounds, "rounds", 1, "number of rounds")
	flag.IntVar(&s.threads, "threads", 0, "threads; 0: as many as there are cores")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, s, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer/generate:", err)
		os.Exit(1)
	}
}

type settings struct {
	model, precision, queryType string
	passages, rounds, threads   int
}

// opening is the first line of output.
type opening struct {
	Go        string     `json:"go"`       // the version whose documentation the passages are
	LibTorch  string     `json:"libtorch"` // version
	MaxTokens int        `json:"max_tokens"`
	Rounds    [][]string `json:"rounds"` // the prompts
}

// answer is what a "time" gets.
type answer struct {
	Seconds float64  `json:"seconds"`
	Texts   []string `json:"texts"` // aligned with the round's prompts
	Tokens  int      `json:"tokens"`
}

const maxTokens = 50

func run(ctx context.Context, s settings, in io.Reader, out io.Writer) error {
	if s.passages < 1 || s.rounds < 1 {
		return fmt.Errorf("-passages is %d and -rounds is %d, want at least 1", s.passages, s.rounds)
	}
	version, passages, err := documentation(ctx, s.passages*s.rounds)
	if err != nil {
		return err
	}
	requests, err := requestsFor(passages, s.queryType)
	if err != nil {
		return err
	}
	rounds := rounds(requests, s.rounds)
	o := &opening{Go: version, LibTorch: torch.LoadedVersion(), MaxTokens: maxTokens}
	for _, round := range rounds {
		var prompts []string
		for _, r := range round {
			prompts = append(prompts, r.Prompt.Text())
		}
		o.Rounds = append(o.Rounds, prompts)
	}
	return serve(o, in, out, func(round int) (answer, error) { return timed(ctx, s, rounds[round]) })
}

// rounds deals the requests out to n rounds, one after the other.
func rounds(requests []generate.Request, n int) [][]generate.Request {
	out := make([][]generate.Request, n)
	for i, r := range requests {
		out[i%n] = append(out[i%n], r)
	}
	return out
}

// serve prints o and answers the requests until in ends.
func serve(o *opening, in io.Reader, out io.Writer, timed func(round int) (answer, error)) error {
	answers := json.NewEncoder(out)
	if err := answers.Encode(o); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var round int
		if _, err := fmt.Sscanf(lines.Text(), "time %d", &round); err != nil || round < 0 || round >= len(o.Rounds) {
			return fmt.Errorf("request is %q, want time and a round below %d", lines.Text(), len(o.Rounds))
		}
		a, err := timed(round)
		if err != nil {
			return err
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

// documentation returns n passages of the documentation of Go's standard library at equal distances.
func documentation(ctx context.Context, n int) (version string, passages []retort.Passage, err error) {
	documentation, err := godoc.Load(ctx)
	if err != nil {
		return "", nil, err
	}
	corpus := documentation.Corpus
	n = min(n, corpus.Len())
	passages = make([]retort.Passage, n)
	for i := range passages {
		if passages[i], err = corpus.At(i * corpus.Len() / n); err != nil {
			return "", nil, err
		}
	}
	return documentation.Version, passages, nil
}

// requestsFor returns one greedy request a passage, as generate.Prompted asks.
func requestsFor(passages []retort.Passage, queryType string) ([]generate.Request, error) {
	types, err := generate.QueryTypes(queryType)
	if err != nil {
		return nil, err
	}
	g, err := generate.NewPrompted(nameOnly{}, generate.PromptOptions{Types: types})
	if err != nil {
		return nil, err
	}
	var requests []generate.Request
	for _, p := range passages {
		prompt, err := g.Prompt(p, queryType)
		if err != nil {
			return nil, err
		}
		requests = append(requests, generate.Request{Prompt: prompt, MaxTokens: maxTokens, Stop: []string{"\n"}})
	}
	return requests, nil
}

// nameOnly is a model that is only asked for its name.
type nameOnly struct{}

func (nameOnly) Model() string { return "none" }

func (nameOnly) Complete(context.Context, generate.Request) (generate.Completion, error) {
	return generate.Completion{}, errors.New("this model only has a name")
}

// timed writes all queries with a newly opened model.
func timed(ctx context.Context, s settings, requests []generate.Request) (a answer, err error) {
	model, err := causallm.Open(ctx, s.model,
		causallm.Options{Precision: retort.Precision(s.precision), Threads: s.threads})
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, model.Close()) }()
	a.Texts = make([]string, len(requests))
	start := time.Now()
	for i, outcome := range model.CompleteBatch(ctx, requests) {
		if outcome.Err != nil {
			return answer{}, outcome.Err
		}
		a.Texts[i] = outcome.Text
		a.Tokens += outcome.Tokens
	}
	a.Seconds = time.Since(start).Seconds()
	return a, ctx.Err()
}
