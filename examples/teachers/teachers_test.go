package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/teacher"
)

// inMemory is the encoder of package encodertest, which needs no closing.
type inMemory struct{ *encodertest.Encoder }

func (inMemory) Close() error { return nil }

// fakeLLM answers with words of the passage.
type fakeLLM struct {
	asked *int
	fail  int // the request that fails, 0: none
}

func (fakeLLM) Model() string { return "fake" }

func (f fakeLLM) Complete(_ context.Context, r generate.Request) (generate.Completion, error) {
	*f.asked++
	if *f.asked == f.fail {
		return generate.Completion{}, errors.New("the lights went out")
	}
	words := strings.Fields(r.Prompt.Own)
	return generate.Completion{
		Text: fmt.Sprintf("what about %s and %s", words[len(words)/3], words[len(words)/2]), Tokens: 5,
	}, nil
}

// testProgram has a collection of 60 passages and 40 queries, of which 12 are the fixed test queries.
func testProgram(t *testing.T) (*program, *bytes.Buffer) {
	dir := t.TempDir()
	writeCollection(t, filepath.Join(dir, "toy"), 60, 40)
	var log bytes.Buffer
	p := &program{
		settings: defaultSettings(), folder: filepath.Join(dir, "run"), log: &log,
		open: func(context.Context, string, *settings) (model, error) {
			m, err := encodertest.New(encodertest.Options{Seed: 1})
			return inMemory{m}, err
		},
	}
	p.settings.collections, p.settings.names, p.settings.distilled = dir, "toy", "toy"
	p.settings.student, p.settings.precision = "in memory", "fp32"
	p.settings.testQueries, p.settings.devQueries, p.settings.depth = 12, 20, 10
	p.settings.lists, p.settings.listDepth, p.settings.llmPassages = 40, 8, 40
	require.NoError(t, p.settings.check())
	t.Cleanup(func() { require.NoError(t, p.closeBench()) })
	return p, &log
}

var toyWords = strings.Fields(
	"wing flow heat shock layer plate body wave nose cone jet pressure velocity angle boundary drag lift wake rotor blade",
)

func writeCollection(t *testing.T, dir string, passages, queries int) {
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "qrels"), 0o755))
	word := func(i int) string { return toyWords[i%len(toyWords)] }
	var corpus []retort.Passage
	for i := range passages {
		corpus = append(corpus, retort.Passage{
			ID: fmt.Sprintf("p%d", i), Title: fmt.Sprintf("The %s of a %s", word(i), word(3*i+1)),
			Text: fmt.Sprintf("The %s returns near the %s when number %d of the %s grows. It computes the %s of every %s.",
				word(i), word(5*i+2), i, word(7*i+3), word(i/2), word(11*i+5)),
		})
	}
	c, err := retort.NewCorpus(corpus)
	require.NoError(t, err)
	require.NoError(t, retort.SaveCorpus(filepath.Join(dir, "corpus.jsonl"), c))
	var asked []retort.Query
	qrels := eval.Qrels{}
	for i := range queries {
		q := retort.Query{ID: fmt.Sprintf("q%d", i), Text: fmt.Sprintf("%s near %s number %d", word(i), word(5*i+2), i)}
		asked, qrels[q.ID] = append(asked, q), map[string]int{fmt.Sprintf("p%d", i): 1}
	}
	require.NoError(t, retort.SaveQueries(filepath.Join(dir, "queries.jsonl"), asked))
	require.NoError(t, eval.SaveQrels(filepath.Join(dir, "qrels", "test.tsv"), qrels))
}

func TestFixedQueriesDoNotDependOnTheOrderOfTheFile(t *testing.T) {
	p, _ := testProgram(t)
	c, err := openCollection(context.Background(), &p.settings, "toy")
	require.NoError(t, err)
	require.Len(t, c.test.Queries, 12)
	require.Len(t, c.dev.Queries, 20)
	require.Equal(t, "test, the other queries", c.dev.Split)
	for _, q := range c.dev.Queries {
		require.NotContains(t, c.test.Qrels, q.ID, "a query that choices are made on is none that is reported")
	}
	turned := c.all
	turned.Queries = slices.Clone(turned.Queries)
	slices.Reverse(turned.Queries)
	require.Equal(t, c.test, turned.fixed(12))
	require.Equal(t, c.test.Queries[:5], c.all.fixed(5).Queries, "fewer queries are the first of more")
}

func TestDevSplitIsTakenWhereThereIsOne(t *testing.T) {
	p, _ := testProgram(t)
	dir := filepath.Join(p.settings.collections, "toy", "qrels")
	require.NoError(t, os.Link(filepath.Join(dir, "test.tsv"), filepath.Join(dir, "train.tsv")))
	c, err := openCollection(context.Background(), &p.settings, "toy")
	require.NoError(t, err)
	require.Equal(t, "train", c.dev.Split)

	p.settings.testQueries = 40
	require.NoError(t, os.Remove(filepath.Join(dir, "train.tsv")))
	_, err = openCollection(context.Background(), &p.settings, "toy")
	require.ErrorContains(t, err, "all its 40 queries are test queries")
}

func TestAllCellsRunAndAreThenSkipped(t *testing.T) {
	p, log := testProgram(t)
	var asked int
	p.settings.llm = "fake"
	p.openLLM = func(context.Context, *settings) (generate.Completer, func() error, error) {
		return fakeLLM{&asked, 0}, func() error { return nil }, nil
	}
	p.openLikelihood = func(context.Context, *settings) (teacher.Teacher, func() error, error) {
		return wordTeacher("likelihood", nil), func() error { return nil }, nil
	}
	p.crossEncoders = fakeCrossEncoders{}
	p.settings.bge = "in memory too"
	require.NoError(t, p.runCells(context.Background(), ""), log)
	for _, c := range p.plan() {
		done, err := p.done(c)
		require.NoError(t, err)
		require.True(t, done, c)
	}
	few, err := p.readDistilled(cell{kindDistil, "toy", distilQueries + queriesFew})
	require.NoError(t, err)
	written, err := p.readDistilled(cell{kindDistil, "toy", distilQueries + queriesLLM})
	require.NoError(t, err)
	require.Equal(t, written.Lists, few.Lists, "as many lists of each kind")
	before := log.Len()
	require.NoError(t, p.runCells(context.Background(), ""))
	require.Equal(t, before, log.Len(), "nothing is done twice")

	r, err := p.readRanked(cell{kindRank, "toy", teacherEnsemble})
	require.NoError(t, err)
	require.Equal(t, r.Reference, r.NDCG, "the ensemble is what the others are compared with")
	require.LessOrEqual(t, r.Mean, r.Best)
	d, err := p.readDistilled(cell{kindDistil, "toy", distilDefault})
	require.NoError(t, err)
	require.Len(t, d.Before, 40)
	require.Len(t, d.After, 40)
	require.NotZero(t, d.Lists)

	p.settings.tokens++
	err = p.runCells(context.Background(), "rank/toy/bm25")
	require.ErrorContains(t, err, "unfinished cells")
	require.Contains(t, log.String(), "was made with -tokens 160, not 161")
}

func TestACrossEncoderLearnsPositivesOrScores(t *testing.T) {
	p, _ := testProgram(t)
	for learn, passages := range map[string]int{learnPositives: trainList, learnScores: negativesDepth} {
		p.settings.trainLearn = learn
		b, err := p.benchOf(context.Background(), "toy")
		require.NoError(t, err)
		lists, err := b.trainingLists(context.Background(), &pipeline.Funnel{})
		require.NoError(t, err)
		require.NotEmpty(t, lists)
		require.LessOrEqual(t, len(lists), p.settings.trainLists)
		for _, l := range lists {
			require.Contains(t, l.IDs, l.Query.Source)
			require.LessOrEqual(t, len(l.IDs), passages)
			if learn == learnPositives {
				require.Nil(t, l.Scores)
			} else {
				require.Len(t, l.Scores, len(l.IDs))
			}
		}
	}
	p.settings.trainLearn = "words"
	require.ErrorContains(t, p.settings.check(), `-train-learn is "words"`)
}

func TestStudentsAreComparedOverTheQueriesOfAllCollections(t *testing.T) {
	rows := []paired{
		{"a", []float64{0, 0, .5}, []float64{1, .5, .5}, "new", "old"},
		{"b", []float64{1}, []float64{.5}, "new", "old"},
	}
	var out bytes.Buffer
	require.NoError(t, comparedTable(context.Background(), &out, [][]paired{rows, nil, rows[:1]}))
	require.Contains(t, out.String(), "| new | old | a | 3 | +.5000 |")
	require.Contains(t, out.String(), "| new | old | b | 1 | -.5000 |")
	require.Contains(t, out.String(), "| new | old | all | 4 | +.2500 |")
	require.Equal(t, 2+3+1, strings.Count(out.String(), "\n"), out.String())
	require.Len(t, rows[0].with, 3, "the rows are as they were")
}

func TestTablesHoldEveryCell(t *testing.T) {
	p, log := testProgram(t)
	p.crossEncoders = fakeCrossEncoders{}
	require.NoError(t, p.runCells(context.Background(), "train-teacher/"))
	require.NoError(t, p.runCells(context.Background(), "dev/"), log)
	require.NoError(t, p.runCells(context.Background(), "rank/"))
	require.NoError(t, p.runCells(context.Background(), "distil/toy/default"))
	var out bytes.Buffer
	require.NoError(t, p.tables(context.Background(), &out, ""))
	for _, row := range []string{"| BM25 |", "| student |", "| BM25 + student |", "| best ensemble |", "| default |", "| toy | MiniLM |"} {
		require.Equal(t, 1, strings.Count(out.String(), "\n"+row), row)
	}
	require.Contains(t, out.String(), "**toy**: 12 queries (test), 10 candidates each")
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(line, "| BM25") || strings.HasPrefix(line, "| best ensemble") ||
			strings.HasPrefix(line, "| teacher") {
			require.Equal(t, 9, strings.Count(line, "|"), "columns of %q", line)
		}
	}

	doc := filepath.Join(t.TempDir(), "teachers.md")
	text := "# Teachers\n"
	for _, b := range p.blocks() {
		text += "prose of " + b.name + "\n<!-- " + b.name + ":begin -->\nold figures\n<!-- " + b.name + ":end -->\n"
	}
	require.NoError(t, os.WriteFile(doc, []byte(text+"the end\n"), 0o644))
	require.NoError(t, p.tables(context.Background(), nil, doc))
	first, err := os.ReadFile(doc)
	require.NoError(t, err)
	require.NotContains(t, string(first), "old figures")
	require.Contains(t, string(first), "prose of students\n<!-- students:begin -->\n**toy**")
	require.True(t, strings.HasSuffix(string(first), "the end\n"))
	require.NoError(t, p.tables(context.Background(), nil, doc))
	again, err := os.ReadFile(doc)
	require.NoError(t, err)
	require.Equal(t, string(first), string(again))

	require.NoError(t, os.WriteFile(doc, []byte("no marks"), 0o644))
	require.ErrorContains(t, p.tables(context.Background(), nil, doc), "no lines")
}

func TestALimitKeepsWhatWasScored(t *testing.T) {
	p, log := testProgram(t)
	p.settings.llm, p.settings.llmQueries, p.settings.llmDepth = "fake", 6, 5
	scored := 0 // lists; on a slow machine fewer than three before the limit
	p.openLikelihood = func(context.Context, *settings) (teacher.Teacher, func() error, error) {
		return wordTeacher("slow", func(ctx context.Context) error {
			if scored == 3 && p.limit > 0 {
				<-ctx.Done()
			}
			if ctx.Err() == nil {
				scored++
			}
			return ctx.Err()
		}), func() error { return nil }, nil
	}
	p.limit = 2 * time.Second
	require.ErrorContains(t, p.runCells(context.Background(), "rank/toy/smollm2"),
		"run the same command to resume: rank/toy/smollm2")
	require.Contains(t, log.String(), "stopped at the limit of 2s")
	require.LessOrEqual(t, scored, 3)

	p.limit = 0
	require.NoError(t, p.runCells(context.Background(), "rank/toy/smollm2"))
	require.Equal(t, 6, scored, "what was scored before the limit is not scored again")
	r, err := p.readRanked(cell{kindRank, "toy", teacherSmolLM2})
	require.NoError(t, err)
	require.Equal(t, 6*5, r.Cost.Pairs, "over both calls")
}

func TestAnswersOfALanguageModelAreNotAskedForTwice(t *testing.T) {
	p, _ := testProgram(t)
	p.settings.llm, p.settings.llmPassages, p.settings.perPassage = "fake", 1000, 1 // all passages
	var asked int
	fail := 45
	p.openLLM = func(context.Context, *settings) (generate.Completer, func() error, error) {
		return fakeLLM{&asked, fail}, func() error { return nil }, nil
	}
	c := cell{kindQueries, "toy", teacherSmolLM2}
	require.Error(t, p.runCells(context.Background(), c.String()))
	before := asked
	require.GreaterOrEqual(t, before, fail)

	fail, asked = 0, 0
	require.NoError(t, p.runCells(context.Background(), c.String()))
	require.Equal(t, 60, before-1+asked, "all but the one that failed")
	r := &written{}
	_, err := readJSON(p.path(c), r)
	require.NoError(t, err)
	require.Equal(t, 60, r.Asked)
	require.NotZero(t, r.Kept)
}

func TestQueriesOfEveryKindAreMadeOfTheSamePassages(t *testing.T) {
	p, _ := testProgram(t)
	p.settings.llm, p.settings.llmPassages = "fake", 20
	var asked int
	p.openLLM = func(context.Context, *settings) (generate.Completer, func() error, error) {
		return fakeLLM{&asked, 0}, func() error { return nil }, nil
	}
	require.NoError(t, p.runCells(context.Background(), kindQueries))
	b, err := p.benchOf(context.Background(), "toy")
	require.NoError(t, err)
	sources := map[string]map[string]bool{}
	origins := map[string]bool{}
	for _, kind := range []string{queriesExtractive, queriesLLM, queriesMixed} {
		g, err := b.generator(context.Background(), kind)
		require.NoError(t, err)
		sources[kind] = map[string]bool{}
		for q, err := range generate.All(context.Background(), g, b.c.corpus, 1) {
			require.NoError(t, err)
			sources[kind][q.Source] = true
			if kind == queriesMixed {
				origins[q.Origin] = true
			}
		}
	}
	require.NotEmpty(t, sources[queriesLLM])
	require.Less(t, len(sources[queriesExtractive]), 60)
	require.Equal(t, sources[queriesExtractive], sources[queriesMixed])
	for source := range sources[queriesLLM] {
		require.Contains(t, sources[queriesExtractive], source)
	}
	require.Len(t, origins, 2)
}

func TestACellThatNeedsAnotherNamesIt(t *testing.T) {
	p, log := testProgram(t)
	for _, c := range []struct{ cell, says string }{
		{"rank/toy/best-ensemble", "run the cell dev/toy/bm25 first"},
		{"distil/toy/best-1", "run the cell dev/toy/ensemble first"},
		{"distil/toy/queries-mixed", "run the cell queries/toy/smollm2 first"},
		{"distil/toy/student", "cannot be its own teacher"},
		{"rank/toy/nobody", `unknown teacher "nobody"`},
		{"rank/nowhere/bm25", "nowhere"},
	} {
		log.Reset()
		require.Error(t, p.runCells(context.Background(), c.cell))
		require.Contains(t, log.String(), c.says)
	}
	require.ErrorContains(t, p.runCells(context.Background(), "rnk/"), "no cell has the prefix")
}

func TestADamagedResultIsNamed(t *testing.T) {
	p, _ := testProgram(t)
	c := cell{kindRank, "toy", teacherBM25}
	require.NoError(t, writeFile(p.path(c), []byte(`{"cell": "rank`)))
	_, err := p.done(c)
	require.ErrorContains(t, err, p.path(c))
}

func TestTheBestSubsetLeavesABadMemberOut(t *testing.T) {
	var lists []teacher.Judged
	for i := range 20 {
		good := []float64{3, 2, 1, float64(i % 2)}
		bad := []float64{-9, 5, 7, 1}
		lists = append(lists, teacher.Judged{Scores: [][]float64{good, bad, good}, Grades: []int{1, 0, 0, 0}})
	}
	best, subsets := bestSubset(lists, 3)
	require.Equal(t, []int{0, 2}, best)
	require.Equal(t, 4, subsets)
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{figure(.43671), ".4367"},
		{figure(1), "1.0000"},
		{signed(-.0257), "-.0257"},
		{signed(.03), "+.0300"},
		{pValue(notMade), ""},
		{pValue(.00001), "< .0001"},
		{pValue(.072), ".072"},
		{pValue(1), "1"},
		{perThousand(cost{Seconds: 2, Pairs: 500}), "4"},
		{perThousand(cost{}), ""},
	} {
		require.Equal(t, c.want, c.got)
	}
}

func TestResultsAreReadBack(t *testing.T) {
	p, _ := testProgram(t)
	require.NoError(t, p.runCells(context.Background(), "rank/toy/student"))
	data, err := os.ReadFile(p.path(cell{kindRank, "toy", encoderStudent}))
	require.NoError(t, err)
	r := &ranked{}
	require.NoError(t, json.Unmarshal(data, r))
	require.Len(t, r.NDCG, 12)
	require.Equal(t, "test", r.Split)
	require.Equal(t, 12*10, r.Cost.Pairs)
	require.InDelta(t, r.Mean-mean(r.Reference), r.Difference.Delta, 1e-9)
	require.Equal(t, map[string]string{"precision": "fp32", "tokens": "160", "seed": "1", "queries": "12", "depth": "10"},
		r.Settings)
}

// wordTeacher counts the words that query and passage share.
func wordTeacher(name string, wait func(context.Context) error) teacher.Teacher {
	return teacher.WithFingerprint(
		teacher.Func(func(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
			if wait != nil {
				if err := wait(ctx); err != nil {
					return nil, err
				}
			}
			scores := make([]float64, len(passages))
			for i, p := range passages {
				for _, w := range strings.Fields(q.Text) {
					scores[i] += float64(strings.Count(p.Content(), w))
				}
			}
			return scores, nil
		}),
		name,
	)
}

// fakeCrossEncoders write the number of lists that they were trained on.
type fakeCrossEncoders struct{}

func (fakeCrossEncoders) open(_ context.Context, dir string, _ *settings) (teacher.Teacher, func() error, error) {
	_, err := os.ReadFile(filepath.Join(dir, "lists"))
	return wordTeacher(dir, nil), func() error { return nil }, err
}

func (fakeCrossEncoders) train(_ context.Context, job trainingJob) (*training, error) {
	for _, l := range job.lists {
		if !slices.Contains(l.IDs, l.Query.Source) || l.Scores == nil && len(l.IDs) > trainList ||
			l.Scores != nil && len(l.Scores) != len(l.IDs) {
			return nil, fmt.Errorf("list of %s: %d passages and %d scores, want the source, and scores or at most %d passages",
				l.Query.ID, len(l.IDs), len(l.Scores), trainList)
		}
	}
	return &training{
		Examples: len(job.lists), Epochs: 1, LR: 1e-4, Steps: 2, Before: .5, After: .75,
	}, writeFile(
		filepath.Join(job.dir, "lists"),
		[]byte(fmt.Sprint(len(job.lists))),
	)
}
