package distill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Pipeline joins the stages: queries, lists, scores, training. Each stage can be run alone, and what it returns can be
// replaced by the user's own.
type Pipeline struct {
	Student encoder.Trainable
	Corpus  retort.Corpus
	// Generator makes queries of the passages. It may be nil where Queries are given.
	Generator generate.QueryGenerator
	// Queries are the user's own, without judgements; lists are made for them too.
	Queries []retort.Query
	// Ranker ranks the corpus for every query; the candidate lists come from its rankings.
	Ranker mine.Retriever
	// Teacher scores the lists. Where it is nil the Ranker is the teacher: its scores are taken.
	Teacher teacher.Teacher
	// Vectors are the student's passage vectors [Corpus.Len() x d] where somebody has computed them already; StudentScale
	// and QueryOnly need vectors and otherwise encode what they need.
	Vectors blas32.General

	Mining   MiningOptions
	Training Options

	// Progress, where set, is told of the stages before training; Training.Progress of training.
	Progress func(stage Stage, done, total int)
}

// The stages before training.
const (
	StageGenerate Stage = "generate" // Done and Total count passages
	StageMine     Stage = "mine"     // queries
	StageScore    Stage = "score"    // queries
)

// MiningOptions say how queries become scored lists. Start from DefaultMiningOptions.
type MiningOptions struct {
	// MaxQueries is the most generated queries that are used, drawn by Seed; 0 means all.
	MaxQueries int
	// MaxLists is the most lists that are trained on, drawn by Seed after the round trip; 0 means all.
	MaxLists int
	// RoundTrip keeps a generated query only where its source is among the Ranker's first so many; 0 keeps all.
	RoundTrip int
	// Top passages of a ranking are taken into the list, and Sample drawn from those after it up to rank Depth.
	Top, Sample, Depth int
	Target             Target
	// Gamma weighs the teacher's z-scores in StudentScale.
	Gamma float64
	// StudentTemperature of StudentScale; the loss must have it for both teacher and student.
	StudentTemperature float64
	Seed               uint64
}

// DefaultMiningOptions take the whole top 100 of the ranking, of queries that find their source in the top 20.
func DefaultMiningOptions() MiningOptions {
	return MiningOptions{RoundTrip: 20, Top: 100, Depth: 100, Gamma: 1, StudentTemperature: 0.05}
}

// Funnel counts what each stage kept.
type Funnel struct {
	Generated int            `json:"generated"`  // queries that the generator made
	Distinct  int            `json:"distinct"`   // of those, without duplicates
	Drawn     int            `json:"drawn"`      // of those, within MaxQueries
	Own       int            `json:"own"`        // queries that the user gave
	RoundTrip int            `json:"round_trip"` // that found their source
	TooShort  int            `json:"too_short"`  // lists of fewer than two passages, dropped
	Lists     int            `json:"lists"`
	ByType    map[string]int `json:"by_type"` // lists by the type of their query
}

// Outcome is what a whole run did.
type Outcome struct {
	Lists    []retort.List
	Funnel   Funnel
	Training *Result
}

// Run goes the whole way and leaves the best student in Student.
func (p *Pipeline) Run(ctx context.Context) (*Outcome, error) {
	out := &Outcome{}
	queries, err := p.MakeQueries(ctx, &out.Funnel)
	if err != nil {
		return nil, err
	}
	if out.Lists, err = p.MakeLists(ctx, queries, &out.Funnel); err != nil {
		return nil, err
	}
	out.Training, err = p.Train(ctx, out.Lists)
	return out, err
}

// MakeQueries returns the user's queries and generated ones, without duplicates. funnel may be nil.
func (p *Pipeline) MakeQueries(ctx context.Context, funnel *Funnel) ([]retort.Query, error) {
	funnel = orNew(funnel)
	funnel.Own = len(p.Queries)
	if p.Generator == nil {
		if len(p.Queries) == 0 {
			return nil, errors.New("distill: Pipeline has neither Generator nor Queries")
		}
		return p.Queries, nil
	}
	var made []retort.Query
	passage, total := 0, p.Corpus.Len()
	for q, err := range generate.All(ctx, p.Generator, p.Corpus, 0) {
		if err != nil {
			return nil, fmt.Errorf("distill: %w", err)
		}
		if i, ok := p.Corpus.Index(q.Source); ok && i/reportEvery != passage/reportEvery {
			p.report(StageGenerate, i, total)
		}
		passage, _ = p.Corpus.Index(q.Source)
		made = append(made, q)
	}
	p.report(StageGenerate, total, total)
	funnel.Generated = len(made)
	// The user's come first, so that a generated copy of one is the one that goes.
	all, _ := generate.Dedup(append(slices.Clone(p.Queries), made...))
	own, made := all[:len(p.Queries)], all[len(p.Queries):]
	funnel.Distinct = len(made)
	made = draw(made, p.Mining.MaxQueries, p.Mining.Seed)
	funnel.Drawn = len(made)
	return append(slices.Clone(own), made...), nil
}

// MakeLists ranks the corpus for the queries, drops those that do not find their source, and returns scored lists.
// funnel may be nil.
func (p *Pipeline) MakeLists(ctx context.Context, queries []retort.Query, funnel *Funnel) ([]retort.List, error) {
	funnel = orNew(funnel)
	if err := p.Mining.Validate(); err != nil {
		return nil, err
	}
	queries, rankings, err := p.rank(ctx, queries)
	if err != nil {
		return nil, err
	}
	funnel.RoundTrip = len(queries)
	lists, err := p.lists(queries, rankings)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	long := slices.DeleteFunc(lists, func(l retort.List) bool { return len(l.IDs) < 2 })
	funnel.TooShort = funnel.RoundTrip - len(long)
	long = draw(long, p.Mining.MaxLists, p.Mining.Seed)
	if p.Teacher != nil {
		if err := p.score(ctx, long); err != nil {
			return nil, err
		}
	}
	if err := p.calibrate(ctx, long); err != nil {
		return nil, err
	}
	funnel.Lists, funnel.ByType = len(long), map[string]int{}
	for _, l := range long {
		funnel.ByType[l.Query.Type]++
	}
	return long, nil
}

// Train trains the student on lists whose scores are targets, as MakeLists returns them.
func (p *Pipeline) Train(ctx context.Context, lists []retort.List) (*Result, error) {
	o := p.Training
	if o.Towers == QueryOnly && o.Vectors.Data == nil {
		o.Vectors = p.Vectors
	}
	return Train(ctx, p.Student, p.Corpus, lists, o)
}

// Validate names the first field that is wrong.
func (o MiningOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"MaxQueries", o.MaxQueries, 0},
		{"MaxLists", o.MaxLists, 0},
		{"RoundTrip", o.RoundTrip, 0},
		{"Top", o.Top, 0},
		{"Sample", o.Sample, 0},
		{"Depth", o.Depth, max(o.Top+o.Sample, 2, o.RoundTrip)},
	} {
		if f.value < f.least {
			return fmt.Errorf("distill: MiningOptions.%s is %d, want at least %d", f.name, f.value, f.least)
		}
	}
	return o.validateTarget()
}

// rankBlock is how many queries are ranked between two reports of progress.
const rankBlock = 256

// reportEvery is the number of passages between two reports of progress.
const reportEvery = 256

// rank returns the queries that pass the round trip, with their rankings.
func (p *Pipeline) rank(ctx context.Context, queries []retort.Query) ([]retort.Query, [][]mine.Hit, error) {
	var kept []retort.Query
	var rankings [][]mine.Hit
	// One more than the list needs: an extractive query's source leaves it.
	depth := p.Mining.Depth + 1
	for start := 0; start < len(queries); start += rankBlock {
		block := queries[start:min(start+rankBlock, len(queries))]
		hits, err := p.Ranker.Search(ctx, block, depth)
		if err != nil {
			return nil, nil, fmt.Errorf("distill: rank: %w", err)
		}
		selection := mine.Selection{Kept: indices(len(block))}
		if p.Mining.RoundTrip > 0 {
			if selection, err = mine.RoundTrip(p.Corpus, block, hits, p.Mining.RoundTrip); err != nil {
				return nil, nil, fmt.Errorf("distill: %w", err)
			}
		}
		for _, i := range selection.Kept {
			kept, rankings = append(kept, block[i]), append(rankings, hits[i])
		}
		p.report(StageMine, start+len(block), len(queries))
	}
	return kept, rankings, nil
}

// lists makes one list a query. Extractive queries lose their source, others keep it.
func (p *Pipeline) lists(queries []retort.Query, rankings [][]mine.Hit) ([]retort.List, error) {
	o := mine.ListOptions{
		Top: p.Mining.Top, Sample: p.Mining.Sample, Depth: p.Mining.Depth, Seed: p.Mining.Seed, WithScores: p.Teacher == nil,
	}
	lists := make([]retort.List, len(queries))
	for i, q := range queries {
		o.KeepSource = !isExtractive(q)
		one, err := mine.Lists(p.Corpus, queries[i:i+1], rankings[i:i+1], o)
		if err != nil {
			return nil, err
		}
		lists[i] = one[0]
	}
	return lists, nil
}

// score asks the teacher, one list after the other.
func (p *Pipeline) score(ctx context.Context, lists []retort.List) error {
	for i, l := range lists {
		passages := make([]retort.Passage, len(l.IDs))
		for j, id := range l.IDs {
			index, _ := p.Corpus.Index(id)
			var err error
			if passages[j], err = p.Corpus.At(index); err != nil {
				return fmt.Errorf("distill: score: %w", err)
			}
		}
		scores, err := teacher.Score(ctx, p.Teacher, l.Query, passages)
		if err != nil {
			return fmt.Errorf("distill: %w", err)
		}
		lists[i].Scores = scores
		p.report(StageScore, i+1, len(lists))
	}
	return nil
}

func (p *Pipeline) report(stage Stage, done, total int) {
	if p.Progress != nil {
		p.Progress(stage, done, total)
	}
}

// draw returns n of the values in their order, each with equal chance; all of them where n is 0 or not fewer.
func draw[T any](values []T, n int, seed uint64) []T {
	if n == 0 || n >= len(values) {
		return values
	}
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(len(values))[:n]
	slices.Sort(chosen)
	out := make([]T, n)
	for i, at := range chosen {
		out[i] = values[at]
	}
	return out
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func orNew(f *Funnel) *Funnel {
	if f == nil {
		return &Funnel{}
	}
	return f
}
