package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/progress"
	"github.com/retort-ir/retort/loss"
	"github.com/retort-ir/retort/mine"
)

var distillCommand = command{
	name:    "distill",
	summary: "make a model good at a corpus",
	usage: `-corpus FILE -model DIR -out RUN [flags]

Makes queries of the passages, ranks the corpus for each by BM25 and the model together, and trains the model to rank as
the two do. The best model met is written to RUN/model, which Retort and sentence-transformers load; the model as it was
can win. Called again after a kill, training goes on where it was.

  -corpus FILE          passages: JSON Lines with _id, title, text
  -out RUN              the folder of the run
  -towers T             query: passage vectors stay as they are, so that an index need not be rebuilt; both: queries and
                        passages learn (query)
  -queries FILE         your own queries: JSON Lines with _id, text; they are trained on beside the generated ones
  -qrels FILE           judgements of some of -queries: these are not trained on, they choose the best model. Without any
                        it is chosen by generated queries of a type that is not trained on
  -lists FILE           train on your own scored lists instead: JSON Lines with query, ids, scores in [0,1]
  -types LIST           of generated queries: sentence, title, keywords, phrase, howto (sentence,howto)
  -max-queries N        generated queries to use, drawn at random (4000)
  -max-lists N          lists to train on, drawn at random; 0: all (query: 0, both: 1000)
  -epochs N -lr R -batch N   (query: 3, 2e-4, 32; both: 1, 1e-4, 16)
  -keep last            take the last model, not the best (best)
  -analyzer A           BM25's terms: english, or code, which also splits identifiers (english)
  -seed N               (1)` + modelUsage + `

example:
  retort distill -corpus corpus.jsonl -model ./all-MiniLM-L6-v2 -out runs/mine
  retort search -corpus corpus.jsonl -model runs/mine/model "how do I ..."
`,
	run: runDistill,
}

// distillFlags are the flags of distill.
type distillFlags struct {
	corpus, out, towers   string
	queries, qrels, lists string
	types, analyzer, keep string
	maxQueries, maxLists  int
	epochs, batch         int
	lr                    float64
	seed                  uint64
	model                 modelFlags
}

func (f *distillFlags) parse(args []string) error {
	flags := flag.NewFlagSet("distill", flag.ContinueOnError)
	flags.StringVar(&f.corpus, "corpus", "", "")
	flags.StringVar(&f.out, "out", "", "")
	flags.StringVar(&f.towers, "towers", "query", "")
	flags.StringVar(&f.queries, "queries", "", "")
	flags.StringVar(&f.qrels, "qrels", "", "")
	flags.StringVar(&f.lists, "lists", "", "")
	flags.StringVar(&f.types, "types", "sentence,howto", "")
	flags.StringVar(&f.analyzer, "analyzer", "english", "")
	flags.StringVar(&f.keep, "keep", "best", "")
	flags.IntVar(&f.maxQueries, "max-queries", 4000, "")
	flags.IntVar(&f.maxLists, "max-lists", 0, "")
	flags.IntVar(&f.epochs, "epochs", 0, "")
	flags.IntVar(&f.batch, "batch", 0, "")
	flags.Float64Var(&f.lr, "lr", 0, "")
	flags.Uint64Var(&f.seed, "seed", 1, "")
	f.model.add(flags)
	if _, err := parseArgs(flags, args); err != nil {
		return err
	}
	if err := required(flags, "corpus", "model", "out"); err != nil {
		return err
	}
	if f.qrels != "" && f.queries == "" {
		return fmt.Errorf("%w: -qrels needs -queries", errUsage)
	}
	return errors.Join(f.model.check(), oneOf("-towers", f.towers, "query", "both"), oneOf("-keep", f.keep, "best", "last"),
		oneOf("-analyzer", f.analyzer, "english", "code"))
}

func runDistill(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var f distillFlags
	if err := f.parse(args); err != nil {
		return err
	}
	s := f.job(stderr)
	if err := f.load(ctx, s); err != nil {
		return err
	}
	if s.model, err = f.model.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.model.Close()) }()
	start := time.Now()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	out, err := s.train(ctx)
	if err != nil {
		return err
	}
	t := out.Training
	fmt.Fprintf(stdout, "%s\n%d lists, %d of %d steps, %.0f s\n", s.path(runModel), t.TrainLists, t.Steps, t.TotalSteps, seconds(start))
	if len(t.History) > 0 {
		fmt.Fprintf(stdout, "%s: %.4f before, %.4f after (the best, after %d steps)\n", s.selectedBy(), t.History[0].Score, t.Best.Score, t.Best.Step)
	}
	return s.writeResults(map[string]any{"funnel": out.Funnel, "training": t, "selected_by": s.selectedBy(), "seconds": seconds(start)})
}

// job turns the settings into those of the stages.
func (f *distillFlags) job(stderr io.Writer) *specialisation {
	s := &specialisation{
		out: f.out, analyzer: mine.English(), types: strings.Split(f.types, ","), progress: progress.New(stderr),
		mining: distill.DefaultMiningOptions(), training: distill.DefaultOptions(),
	}
	if f.analyzer == "code" {
		s.analyzer = mine.Code()
	}
	s.mining.Seed, s.training.Seed = f.seed, f.seed
	s.mining.MaxQueries, s.mining.MaxLists = f.maxQueries, f.maxLists
	s.training.Loss = loss.ListwiseKL{}
	s.training.DevFraction = 0 // the best is chosen by other means, or not at all
	epochs, batch, lr := 3, 32, 2e-4
	s.training.Towers = distill.QueryOnly
	if f.towers == "both" {
		epochs, batch, lr = 1, 16, 1e-4
		s.training.Towers = distill.Both
		s.mining.Top, s.mining.Sample = 5, 3
		s.mining.MaxLists = cmp.Or(f.maxLists, 1000)
	}
	s.training.Epochs, s.training.QueriesPerStep, s.training.LR = cmp.Or(f.epochs, epochs), cmp.Or(f.batch, batch), cmp.Or(f.lr, lr)
	s.last = f.keep == "last"
	return s
}

// load reads the files that the flags name.
func (f *distillFlags) load(ctx context.Context, s *specialisation) error {
	var err error
	if s.corpus, err = loadCorpus(ctx, f.corpus); err != nil {
		return err
	}
	if err := (generate.Options{Types: s.types}).Validate(); err != nil {
		return fmt.Errorf("%w: -types: %w", errUsage, err)
	}
	if f.lists != "" {
		if s.lists, err = retort.LoadLists(f.lists); err != nil {
			return err
		}
	}
	if f.queries == "" {
		return nil
	}
	if s.queries, err = loadQueries(ctx, f.queries); err != nil || f.qrels == "" {
		return err
	}
	if s.judged, err = loadCollection(ctx, f.corpus, f.queries, f.qrels); err != nil {
		return err
	}
	var unjudged []retort.Query
	for _, q := range s.queries {
		if s.judged.Qrels[q.ID] == nil {
			unjudged = append(unjudged, q)
		}
	}
	s.queries = unjudged
	return nil
}

// selectedBy names what chose the best model.
func (s *specialisation) selectedBy() string {
	if s.judged != nil {
		return eval.NDCG(10).Name + " of the judged queries"
	}
	return "known-item mrr@10"
}
