package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder/transformer"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher/crossencoder"
)

var trainTeacherCommand = command{
	name:    "train-teacher",
	summary: "train a cross-encoder on lists, for use as a teacher",
	usage: `-corpus FILE -lists FILE -start DIR -out DIR [flags]

Trains a cross-encoder, which reads query and passage together. It learns the scores of another teacher, or to rank the
passages that answer a query first. The result loads in Retort (-teacher crossencoder:DIR), transformers, and CrossEncoder
of sentence-transformers. The same command resumes a killed training.

  -corpus FILE          passages: JSON Lines with _id, title, text, also compressed with gzip or zstd; -: standard input
  -lists FILE           lists: JSON Lines with query, ids, and for -learn scores or both also scores, as "retort score"
                        writes them
  -start DIR            initial model: a BERT model, such as the student, or a cross-encoder
  -out DIR              output folder of the cross-encoder
  -qrels FILE           judgements of the queries. Without judgements, only the source passage answers a query
  -test-queries FILE    queries that will measure this teacher or its student; lists that copy a test query are dropped
  -learn L              positives: the passages that answer the query; scores: the scores of the lists; both (scores if
                        every list has scores and there are no -qrels, else positives)
  -temperature T        divisor that turns scores into probabilities; 0: half the standard deviation of the scores in a
                        list, averaged over the lists (0)
  -dev-fraction F       share of the passages whose queries are held out, in [0,1). Held-out queries choose the best
                        model; 0: save the last model (.1)
  -epochs N             passes over the lists (2)
  -batch N              lists per step (4)
  -group N              passages of a list per step; one of them answers the query (8)
  -lr R                 peak learning rate (1e-4)
  -eval-steps N         steps between evaluations; 0: one epoch (0)
  -patience N           stop after this many evaluations without improvement; 0: never (0)
  -max-tokens N         maximum length of a pair in tokens; 0: the folder's value, at most 512 (0)
  -seed N               seed of all random draws (1)
  -threads N            CPU threads; 0: one per core (0)
  -device D             device to compute on: cpu, cuda, or cuda:N, counted from 0 (cpu)
  -precision P          fp32 or bf16 (fp32)

example:
  retort generate -corpus corpus.jsonl -generator llm -llm model.gguf -out queries.jsonl
  retort score -corpus corpus.jsonl -queries queries.jsonl -model ./all-MiniLM-L6-v2 -depth 30 -out lists.jsonl
  retort train-teacher -corpus corpus.jsonl -lists lists.jsonl -start ./all-MiniLM-L6-v2 -out ./reranker
  retort distill -corpus corpus.jsonl -model ./all-MiniLM-L6-v2 -teacher bm25+crossencoder:./reranker -out runs/mine
`,
	json: true, resumes: true, run: runTrainTeacher,
}

type trainTeacherArgs struct {
	corpus, lists, start, out, qrels string
	tested                           string  // the file of -test-queries
	learn                            string  // "" until the lists are read
	temperature                      float64 // 0 until the lists are read
	devFraction                      float64
	options                          crossencoder.TrainOptions
	machine                          transformer.Options
}

func runTrainTeacher(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("train-teacher", flag.ContinueOnError)
	a := trainTeacherArgs{options: crossencoder.DefaultTrainOptions()}
	flags.StringVar(&a.corpus, "corpus", "", "")
	flags.StringVar(&a.lists, "lists", "", "")
	flags.StringVar(&a.start, "start", "", "")
	flags.StringVar(&a.out, "out", "", "")
	flags.StringVar(&a.qrels, "qrels", "", "")
	flags.StringVar(&a.tested, "test-queries", "", "")
	flags.StringVar(&a.learn, "learn", "", "")
	flags.Float64Var(&a.temperature, "temperature", 0, "")
	flags.Float64Var(&a.devFraction, "dev-fraction", .1, "")
	o := &a.options
	flags.IntVar(&o.Epochs, "epochs", o.Epochs, "")
	flags.IntVar(&o.QueriesPerStep, "batch", o.QueriesPerStep, "")
	flags.IntVar(&o.GroupSize, "group", o.GroupSize, "")
	flags.Float64Var(&o.LR, "lr", o.LR, "")
	flags.IntVar(&o.EvalSteps, "eval-steps", 0, "")
	flags.IntVar(&o.Patience, "patience", 0, "")
	flags.IntVar(&o.Model.MaxTokens, "max-tokens", 0, "")
	flags.Uint64Var(&o.Seed, "seed", 1, "")
	addMachine(flags, &a.machine)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := required(flags, "corpus", "lists", "start", "out"); err != nil {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	r, err := a.train(ctx, progress.New(stderr))
	if err != nil {
		return err
	}
	return r.print(stdout)
}

func (a *trainTeacherArgs) check() error {
	var unknown error
	if a.learn != "" {
		unknown = oneOf("-learn", a.learn, "positives", "scores", "both")
	}
	if err := errors.Join(unknown, checkMachine(a.machine)); err != nil {
		return err
	}
	if !(a.temperature >= 0) || math.IsInf(a.temperature, 0) {
		return fmt.Errorf("%w: -temperature is %v, want a positive number, or 0 for the default", errUsage, a.temperature)
	}
	if !(a.devFraction >= 0 && a.devFraction < 1) {
		return fmt.Errorf("%w: -dev-fraction is %v, want a number in [0,1)", errUsage, a.devFraction)
	}
	m := &a.options.Model
	m.Threads, m.Device, m.Precision = a.machine.Threads, a.machine.Device, a.machine.Precision
	if err := a.options.Validate(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// trainTeacherResult is the JSON result of train-teacher.
type trainTeacherResult struct {
	Model string `json:"model"` // path of the folder
	Learn string `json:"learn"`
	// Temperature divides the scores. It is 0 with -learn positives.
	Temperature float64             `json:"temperature,omitempty"`
	Lists       int                 `json:"lists"` // training lists
	HeldOut     int                 `json:"held_out"`
	Dropped     map[mine.Reason]int `json:"dropped,omitempty"`
	Steps       int                 `json:"steps"`
	TotalSteps  int                 `json:"total_steps"`
	Truncated   int64               `json:"truncated"` // pairs cut to the length limit
	Seconds     float64             `json:"seconds"`
	// If an evaluation chose the model:
	ChosenBy string   `json:"chosen_by,omitempty"`
	Before   *float64 `json:"before,omitempty"` // the initial model with a new head
	After    *float64 `json:"after,omitempty"`
	BestStep *int     `json:"best_step,omitempty"`
}

func (a *trainTeacherArgs) train(ctx context.Context, p *progress.Progress) (_ *trainTeacherResult, err error) {
	start := time.Now()
	corpus, err := openCorpus(ctx, a.corpus)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, corpus.Close()) }()
	r := &trainTeacherResult{Model: a.out}
	train, dev, err := a.examples(ctx, corpus, r, p)
	if err != nil {
		return nil, err
	}
	o := a.options
	o.Dev = dev
	if a.learn != "positives" {
		r.Temperature = cmp.Or(a.temperature, temperatureOf(train))
		o.Loss = crossencoder.TrainLoss(r.Temperature)
	}
	o.Dir = filepath.Clean(a.out) + ".work"
	o.Events = trainingEvents(p, "train the teacher")
	result, err := crossencoder.Train(ctx, a.start, a.out, corpus, train, o)
	if err != nil {
		return nil, err
	}
	r.Steps, r.TotalSteps, r.Truncated, r.Seconds = result.Steps, result.TotalSteps, result.Truncated, seconds(start)
	if len(result.History) > 0 {
		r.ChosenBy, r.Before = result.Metric, &result.History[0].Score
		r.After, r.BestStep = &result.Best.Score, &result.Best.Step
	}
	return r, os.RemoveAll(o.Dir)
}

// Reasons to drop a list.
const (
	reasonNoPositive mine.Reason = "no passage is known to answer the query"
	reasonNoNegative mine.Reason = "every passage answers the query"
	reasonNoScores   mine.Reason = "no scores"
	reasonOneScore   mine.Reason = "all scores are equal"
)

// examples returns the training examples and the held-out examples.
func (a *trainTeacherArgs) examples(ctx context.Context, corpus retort.Corpus, r *trainTeacherResult,
	p *progress.Progress,
) (train, dev []crossencoder.Example, err error) {
	lists, err := retort.LoadLists(a.lists)
	if err != nil {
		return nil, nil, err
	}
	var qrels eval.Qrels
	if a.qrels != "" {
		if qrels, err = eval.LoadQrels(a.qrels); err != nil {
			return nil, nil, err
		}
	}
	if a.learn == "" {
		a.learn = whatToLearn(lists, qrels)
	}
	r.Learn, r.Dropped = a.learn, map[mine.Reason]int{}
	given := len(lists)
	if lists, err = dropTested(ctx, a.tested, a.lists, lists, &r.Dropped, p); err != nil {
		return nil, nil, err
	}
	for _, l := range lists {
		for _, id := range l.IDs {
			if _, ok := corpus.Index(id); !ok {
				return nil, nil, fmt.Errorf("%s: list of query %q has passage %q, which is not in the corpus",
					a.lists, l.Query.ID, id)
			}
		}
		example, reason := a.example(l, qrels, corpus)
		switch {
		case reason != "":
			r.Dropped[reason]++
		case heldOut(l.Query, a.devFraction):
			dev = append(dev, example)
		default:
			train = append(train, example)
		}
	}
	r.Lists, r.HeldOut = len(train), len(dev)
	if len(train) == 0 {
		return nil, nil, fmt.Errorf("%s: none of the %d lists is usable for training: %s", a.lists, given, whyUntrained(r))
	}
	return train, dev, nil
}

// whatToLearn returns the default of -learn. Judgements are more reliable than scores, and scores are more reliable
// than the guess that only the source answers a query.
func whatToLearn(lists []retort.List, qrels eval.Qrels) string {
	unscored := func(l retort.List) bool { return l.Scores == nil }
	if qrels != nil || slices.ContainsFunc(lists, unscored) {
		return "positives"
	}
	return "scores"
}

func whyUntrained(r *trainTeacherResult) string {
	if len(r.Dropped) == 0 {
		return "all are held out (-dev-fraction)"
	}
	return counted.Join(r.Dropped)
}

// example returns the example of a list, or the reason to drop the list.
func (a *trainTeacherArgs) example(
	l retort.List, qrels eval.Qrels, corpus retort.Corpus,
) (crossencoder.Example, mine.Reason) {
	e := crossencoder.Example{List: l}
	if a.learn == "positives" {
		e.List.Scores = nil
	} else if reason := unusable(l.Scores); reason != "" {
		return e, reason
	}
	if a.learn == "scores" {
		return e, ""
	}
	if qrels != nil {
		for _, id := range slices.Sorted(maps.Keys(qrels[l.Query.ID])) {
			if qrels[l.Query.ID][id] > 0 {
				e.Positives = append(e.Positives, id)
			}
		}
	} else if l.Query.Source != "" {
		e.Positives = []string{l.Query.Source}
	}
	e.Positives = slices.DeleteFunc(e.Positives, func(id string) bool {
		_, ok := corpus.Index(id)
		return !ok
	})
	if len(e.Positives) == 0 {
		return e, reasonNoPositive
	}
	if !slices.ContainsFunc(l.IDs, func(id string) bool { return !slices.Contains(e.Positives, id) }) {
		return e, reasonNoNegative
	}
	return e, ""
}

// unusable returns the reason why scores teach nothing, or "".
func unusable(scores []float64) mine.Reason {
	switch {
	case len(scores) == 0:
		return reasonNoScores
	case slices.Min(scores) == slices.Max(scores):
		return reasonOneScore
	}
	return ""
}

// temperatureOf adapts to the scale of the teacher's scores. Half the standard deviation gives the first passage of a
// list most of the probability and leaves the next passages a share.
func temperatureOf(examples []crossencoder.Example) float64 {
	var sum float64
	for _, e := range examples {
		sum += stat.PopStdDev(e.List.Scores, nil)
	}
	return sum / float64(2*len(examples))
}

// heldOut holds out a share of the sources with all their queries. It hashes the source, so that the choice depends on
// neither the order of the lists nor the seed.
func heldOut(q retort.Query, share float64) bool {
	key := "passage " + q.Source
	if q.Source == "" {
		key = "query " + q.ID
	}
	h := sha256.Sum256([]byte(key))
	return float64(binary.BigEndian.Uint64(h[:])>>11)/(1<<53) < share
}

func (r *trainTeacherResult) print(w io.Writer) error {
	if wantsJSON(w) {
		return writeResult(w, r)
	}
	fmt.Fprintf(w, "%s\n%s of %s lists, %s held out, %d of %d steps, %.0f s\n",
		r.Model, r.Learn, thousands(r.Lists), thousands(r.HeldOut), r.Steps, r.TotalSteps, r.Seconds)
	if r.Temperature > 0 {
		fmt.Fprintf(w, "temperature of the scores %.3g\n", r.Temperature)
	}
	if len(r.Dropped) > 0 {
		fmt.Fprintf(w, "dropped: %s\n", counted.Join(r.Dropped))
	}
	if r.Before != nil {
		fmt.Fprintf(w, "%s of held-out lists: %.4f before, %.4f after (the best, after %d steps)\n",
			r.ChosenBy, *r.Before, *r.After, *r.BestStep)
	}
	if r.Truncated > 0 {
		fmt.Fprintf(w, "%s pairs were truncated to the maximum length\n", thousands(int(r.Truncated)))
	}
	return nil
}
