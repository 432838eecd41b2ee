package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/bert"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/internal/progress"
	"github.com/retort-ir/retort/mine"
)

// specialisation makes a student good at a corpus, in a run folder: the job of distill and of the demo.
type specialisation struct {
	corpus   *retort.MemoryCorpus
	model    *bert.Model
	out      string
	analyzer mine.Analyzer
	types    []string         // of generated queries
	queries  []retort.Query   // the user's own, to train on
	lists    []retort.List    // the user's own, scored; nothing is generated
	judged   *eval.Collection // queries that choose the best student; nil: known items do
	last     bool             // take the last student, not the best
	mining   distill.MiningOptions
	training distill.Options
	progress *progress.Progress

	dense  *mine.Dense // over the student's vectors as they were
	bm25   *mine.BM25
	fusion *mine.ZScoreFusion
	known  *distill.KnownItems // nil where judged queries choose, or nothing does
}

// The names in a run folder.
const (
	runCorpus      = "corpus.jsonl"
	runQueries     = "queries.jsonl"
	runLists       = "lists.jsonl"
	runStudent     = "student" // the model as it was
	runModel       = "model"   // the specialised one
	runCheckpoints = "checkpoints"
	runVectors     = "vectors.npy" // of the passages, by the model as it was
	runResults     = "results.json"
)

func (s *specialisation) path(name string) string { return filepath.Join(s.out, name) }

// prepare writes the corpus and the model as they are, encodes the passages, and makes the rankers.
func (s *specialisation) prepare(ctx context.Context) error {
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	if err := retort.SaveCorpus(s.path(runCorpus), s.corpus); err != nil {
		return err
	}
	if err := s.model.Save(s.path(runStudent)); err != nil {
		return err
	}
	var err error
	if s.bm25, err = mine.NewBM25(ctx, s.corpus, mine.BM25Options{Analyzer: s.analyzer}); err != nil {
		return err
	}
	if s.dense, err = s.encodePassages(ctx); err != nil {
		return err
	}
	s.fusion, err = mine.NewZScoreFusion(rankedDepth, s.bm25, s.dense)
	return err
}

// rankedDepth is how many passages of each ranker's ranking its scores are standardised by.
const rankedDepth = 100

// encodePassages takes the vectors of an earlier run of the same model and corpus, if the folder holds them.
func (s *specialisation) encodePassages(ctx context.Context) (*mine.Dense, error) {
	key, err := s.vectorsKey()
	if err != nil {
		return nil, err
	}
	keyPath := s.path(runVectors) + ".key"
	if old, err := os.ReadFile(keyPath); err == nil && string(old) == key {
		if dense, err := readDense(s.model, s.corpus, s.path(runVectors)); err == nil {
			return dense, nil
		}
	}
	dense, err := newDense(ctx, s.model, s.corpus, "", s.progress)
	if err != nil {
		return nil, err
	}
	// The key goes first and comes last, so that it never stands beside other vectors.
	if err := os.Remove(keyPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := npy.WriteFile(s.path(runVectors), dense.Vectors()); err != nil {
		return nil, err
	}
	return dense, atomicfile.Write(keyPath, func(w io.Writer) error {
		_, err := io.WriteString(w, key)
		return err
	})
}

// vectorsKey stands for what the passage vectors depend on.
func (s *specialisation) vectorsKey() (string, error) {
	corpus, err := os.ReadFile(s.path(runCorpus))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %x\n", s.model.Fingerprint(), sha256.Sum256(corpus)), nil
}

// train leaves the best student in the model and saves it.
func (s *specialisation) train(ctx context.Context) (*distill.Outcome, error) {
	p := distill.Pipeline{
		Student: s.model, Corpus: s.corpus, Queries: s.queries, Ranker: s.fusion, Vectors: s.dense.Vectors(),
		Mining: s.mining, Training: s.training, Progress: s.stages(),
	}
	p.Training.Dir = s.path(runCheckpoints)
	p.Training.Progress = s.steps()
	generator, err := generate.NewExtractive(ctx, s.corpus, generate.Options{Types: s.types, Seed: s.mining.Seed})
	if err != nil {
		return nil, err
	}
	p.Generator = generator
	if !s.last {
		if p.Training.Evaluate, err = s.selection(ctx); err != nil {
			return nil, err
		}
	}
	out := &distill.Outcome{Lists: s.lists}
	if s.lists == nil {
		if err := s.makeLists(ctx, &p, out); err != nil {
			return nil, err
		}
	}
	keepStart, err := s.guard(ctx)
	if err != nil {
		return nil, err
	}
	if out.Training, err = p.Train(ctx, out.Lists); err != nil {
		return nil, err
	}
	if err := keepStart(out.Training); err != nil {
		return nil, err
	}
	return out, s.model.Save(s.path(runModel))
}

// guardP is the p-value that a gain on known items must be below: a best of several students is easily a little better
// by chance, and almost any training makes some difference.
const guardP = 0.05

// guard remembers the student as it is and how it finds the known items. What it returns brings the student back, unless
// the trained one finds them better beyond doubt. Judged queries need no such guard: they are what counts.
func (s *specialisation) guard(ctx context.Context) (func(*distill.Result) error, error) {
	if s.known == nil {
		return func(*distill.Result) error { return nil }, nil
	}
	if s.training.Towers == distill.QueryOnly {
		// Now, as Train would, so that the weights remembered are those that learn.
		if err := s.model.SplitTowers(); err != nil {
			return nil, err
		}
	}
	before, err := s.known.ReciprocalRanks(ctx, s.model)
	if err != nil {
		return nil, err
	}
	start, err := distill.ReadWeights(s.model)
	if err != nil {
		return nil, err
	}
	return func(result *distill.Result) error {
		after, err := s.known.ReciprocalRanks(ctx, s.model)
		if err != nil {
			return err
		}
		gain, err := eval.Paired(ctx, before, after, s.mining.Seed)
		if err != nil || gain.Delta > 0 && gain.P < guardP {
			return err
		}
		s.progress.Print(fmt.Sprintf("the model stays as it was: known items %+.4f, p %.2g", gain.Delta, gain.P))
		result.Best, result.Alpha = result.History[0], 0
		return distill.SetInterpolated(s.model, start, start, 0)
	}, nil
}

func (s *specialisation) makeLists(ctx context.Context, p *distill.Pipeline, out *distill.Outcome) error {
	queries, err := p.MakeQueries(ctx, &out.Funnel)
	if err != nil {
		return err
	}
	if err := retort.SaveQueries(s.path(runQueries), queries); err != nil {
		return err
	}
	if out.Lists, err = p.MakeLists(ctx, queries, &out.Funnel); err != nil {
		return err
	}
	return retort.SaveLists(s.path(runLists), out.Lists)
}

// selection is what chooses the best student: judged queries where there are any, or else generated ones of a type that
// is not trained on.
func (s *specialisation) selection(ctx context.Context) (func(context.Context, encoder.Encoder) (float64, error), error) {
	if s.judged != nil {
		return s.judgedNDCG, nil
	}
	var err error
	if s.known, err = s.knownItems(ctx); err != nil {
		return nil, err
	}
	return s.known.MRR, nil
}

const knownItemQueries = 300

// knownItems are queries of the first type that is not trained on and of which the corpus gives any.
func (s *specialisation) knownItems(ctx context.Context) (*distill.KnownItems, error) {
	for _, kind := range []string{generate.TypeTitle, generate.TypeKeywords, generate.TypePhrase, generate.TypeSentence} {
		if slices.Contains(s.types, kind) {
			continue
		}
		g, err := generate.NewExtractive(ctx, s.corpus, generate.Options{Types: []string{kind}, Seed: s.mining.Seed})
		if err != nil {
			return nil, err
		}
		frozen := s.training.Towers == distill.QueryOnly
		known, err := distill.HoldOut(ctx, s.corpus, g, knownItemQueries, s.mining.Seed, frozen)
		if !errors.Is(err, distill.ErrNoKnownItems) {
			return known, err
		}
	}
	return nil, errors.New("no known-item queries, since every type is trained on or the corpus gives none: " +
		"give judged queries with -queries and -qrels")
}

// judgedNDCG ranks the corpus, or where passages change the judged passages and the first ranker's best, for the judged
// queries.
func (s *specialisation) judgedNDCG(ctx context.Context, student encoder.Encoder) (float64, error) {
	pool, vectors := s.corpus, s.dense.Vectors()
	if s.training.Towers == distill.Both {
		var err error
		if pool, err = s.judgedPool(ctx); err != nil {
			return 0, err
		}
		dense, err := mine.NewDense(ctx, student, pool, nil)
		if err != nil {
			return 0, err
		}
		vectors = dense.Vectors()
	}
	dense, err := mine.NewDenseVectors(student, vectors)
	if err != nil {
		return 0, err
	}
	report, err := s.measure(ctx, dense, &eval.Collection{Corpus: pool, Queries: s.judged.Queries, Qrels: s.judged.Qrels})
	if err != nil {
		return 0, err
	}
	return report.Mean(eval.NDCG(10)), nil
}

// judgedPoolDepth is how many of the start's best passages a judged query puts into the pool.
const judgedPoolDepth = 10

func (s *specialisation) judgedPool(ctx context.Context) (*retort.MemoryCorpus, error) {
	in := map[int]bool{}
	rankings, err := s.fusion.Search(ctx, s.judged.Queries, judgedPoolDepth)
	if err != nil {
		return nil, err
	}
	for i, q := range s.judged.Queries {
		for _, h := range rankings[i] {
			in[h.Index] = true
		}
		for id := range s.judged.Qrels[q.ID] {
			if index, ok := s.corpus.Index(id); ok {
				in[index] = true
			}
		}
	}
	var passages []retort.Passage
	for i := range s.corpus.Len() {
		if !in[i] {
			continue
		}
		p, err := s.corpus.At(i)
		if err != nil {
			return nil, err
		}
		passages = append(passages, p)
	}
	return retort.NewCorpus(passages)
}

// after is the student as it is now over the whole corpus.
func (s *specialisation) after(ctx context.Context) (*mine.Dense, error) {
	if s.training.Towers == distill.QueryOnly {
		return mine.NewDenseVectors(s.model, s.dense.Vectors())
	}
	return newDense(ctx, s.model, s.corpus, "", s.progress)
}

// measure ranks to the depth that R@100 needs.
func (s *specialisation) measure(ctx context.Context, ranker mine.Retriever, c *eval.Collection) (*eval.Report, error) {
	rankings, err := ranker.Search(ctx, c.Queries, rankedDepth)
	if err != nil {
		return nil, err
	}
	run := make(eval.Run, len(c.Queries))
	for i, q := range c.Queries {
		hits, err := named(c, rankings[i])
		if err != nil {
			return nil, err
		}
		run[q.ID] = hits
	}
	return eval.Evaluate(c.Qrels, run, runMetrics()...)
}

// runMetrics are those that a run is measured by.
func runMetrics() []eval.Metric { return []eval.Metric{eval.NDCG(10), eval.Recall(100), eval.MRR(10)} }

// stages shows the stages before training.
func (s *specialisation) stages() func(distill.Stage, int, int) {
	names := map[distill.Stage]string{
		distill.StageGenerate: "make queries", distill.StageMine: "make lists", distill.StageScore: "score lists",
	}
	var stage *progress.Stage
	var current distill.Stage
	return func(now distill.Stage, done, total int) {
		if stage == nil || now != current {
			current, stage = now, s.progress.Stage(names[now], total)
		}
		stage.Set(done)
		if done == total {
			stage.Done()
			stage = nil
		}
	}
}

// steps shows training.
func (s *specialisation) steps() func(distill.Progress) {
	var stage *progress.Stage
	return func(p distill.Progress) {
		switch p.Stage {
		case distill.StageTrain:
			if stage == nil {
				stage = s.progress.Stage("train", p.Total)
				stage.Skip(p.Done - 1)
			}
			stage.Set(p.Done)
			stage.Note(fmt.Sprintf("loss %.3f", p.Step.Loss))
		case distill.StageEvaluate:
			s.progress.Print(fmt.Sprintf("evaluation after %d steps: %.4f", p.Last.Step, p.Last.Score))
		}
		if stage != nil && p.Done == p.Total {
			stage.Done()
			stage = nil
		}
	}
}

// writeResults writes what a run found as JSON.
func (s *specialisation) writeResults(v any) error {
	return atomicfile.Write(s.path(runResults), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// seconds since a moment, in tenths.
func seconds(start time.Time) float64 { return float64(time.Since(start).Milliseconds()/100) / 10 }
