package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// rankBlock is how many queries are ranked at a time. What a ranker computes may depend on it in the last bits, so a run
// that goes on keeps to the same blocks.
const rankBlock = 256

// ranked is a record of runfolder.StageMine: the ranking of one query, to a depth of one more than ListShape.Depth.
type ranked struct {
	Query    retort.Query `json:"query"`
	Passages []int        `json:"passages"` // their indexes in the corpus, best first
	Scores   []float32    `json:"scores"`
}

func newRanked(q retort.Query, hits []mine.Hit) ranked {
	r := ranked{Query: q, Passages: make([]int, len(hits)), Scores: make([]float32, len(hits))}
	for i, h := range hits {
		r.Passages[i], r.Scores[i] = h.Index, h.Score
	}
	return r
}

func (r ranked) hits() ([]mine.Hit, error) {
	if len(r.Passages) != len(r.Scores) {
		return nil, fmt.Errorf("query %q: %d passages and %d scores", r.Query.ID, len(r.Passages), len(r.Scores))
	}
	hits := make([]mine.Hit, len(r.Passages))
	for i, index := range r.Passages {
		hits[i] = mine.Hit{Index: index, Score: r.Scores[i]}
	}
	return hits, nil
}

func (j *job) makeLists(ctx context.Context) ([]retort.List, error) {
	if err := j.Mining.Validate(); err != nil {
		return nil, err
	}
	queries, err := j.queries(ctx)
	if err != nil {
		return nil, err
	}
	return j.lists(ctx, queries)
}

// queries returns those that are ranked.
func (j *job) queries(ctx context.Context) ([]retort.Query, error) {
	if j.Generator == nil && len(j.Queries) == 0 {
		return nil, errNothingToMine
	}
	j.funnel.Own = len(j.Queries)
	made, err := j.generate(ctx)
	if err != nil {
		return nil, err
	}
	j.funnel.Generated = len(made)
	// The user's come first, so that a generated copy of one is the one that goes.
	own, _ := generate.Dedup(j.Queries)
	given := slices.Concat(j.Queries, made)
	all, _ := generate.Dedup(given)
	if err := j.count("duplicates", given, all, reasonDuplicate); err != nil {
		return nil, err
	}
	j.funnel.Distinct = len(all) - len(own)
	all, kept, err := j.filterQueries(ctx, all, len(own))
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	if err := j.checkSeparated(len(given), len(all), "queries"); err != nil {
		return nil, err
	}
	drawn := drawEvenly(all[kept:], func(q retort.Query) string { return q.Source }, j.Mining.MaxQueries, j.Mining.seed)
	j.funnel.Drawn = len(drawn)
	drawn = append(slices.Clone(all[:kept]), drawn...)
	return drawn, j.count("draw", all, drawn, reasonNotDrawn)
}

// Why queries are dropped besides the filters of package mine.
const (
	reasonDuplicate mine.Reason = "equals an earlier query"
	reasonNotDrawn  mine.Reason = "not drawn"
)

// count counts what is left of the queries given, which is in their order, where anything was dropped.
func (j *job) count(filter string, given, left []retort.Query, reason mine.Reason) error {
	if len(left) == len(given) {
		return nil
	}
	var s mine.Selection
	for i, q := range given {
		if len(left) > 0 && left[0] == q {
			s.Kept, left = append(s.Kept, i), left[1:]
		} else {
			s.Dropped = append(s.Dropped, mine.Drop{Index: i, Reason: reason, Of: -1})
		}
	}
	if _, err := j.funnel.Queries(filter, given, s); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}

func queriesOf(lists []retort.List) []retort.Query {
	queries := make([]retort.Query, len(lists))
	for i, l := range lists {
		queries[i] = l.Query
	}
	return queries
}

// queryFilter is a filter of queries that may not be wanted.
type queryFilter struct {
	name   string
	wanted bool
	filter func([]retort.Query) (mine.Selection, error)
}

// filterQueries drops what is not worth ranking. The first own of the queries are the user's; it returns how many of those
// are left.
func (j *job) filterQueries(ctx context.Context, queries []retort.Query, own int) ([]retort.Query, int, error) {
	o := j.Mining.Filters
	filters := append([]queryFilter{
		{"length", o.MinWords > 0 || o.MaxWords > 0, func(qs []retort.Query) (mine.Selection, error) {
			return mine.QueryLength(qs, o.MinWords, o.MaxWords)
		}},
		{"near-duplicates", o.NearDuplicate > 0, func(qs []retort.Query) (mine.Selection, error) {
			return mine.NearDuplicateQueries(ctx, qs, o.NearDuplicate)
		}},
	}, j.separation()...)
	return j.applyFilters(filters, queries, own)
}

// applyFilters returns the queries that all filters keep, and how many of those are among the first own.
func (j *job) applyFilters(filters []queryFilter, queries []retort.Query, own int) ([]retort.Query, int, error) {
	for _, f := range filters {
		if !f.wanted {
			continue
		}
		selection, err := f.filter(queries)
		if err != nil {
			return nil, 0, err
		}
		if queries, err = j.funnel.Queries(f.name, queries, selection); err != nil {
			return nil, 0, err
		}
		own, _ = slices.BinarySearch(selection.Kept, own)
	}
	return queries, own, nil
}

// lists ranks, scores, filters and calibrates.
func (j *job) lists(ctx context.Context, queries []retort.Query) ([]retort.List, error) {
	if err := j.checkAgreement(); err != nil {
		return nil, err
	}
	if len(queries) == 0 {
		return nil, fmt.Errorf("%w: %d passages gave none", errNoQueries, j.Corpus.Len())
	}
	rankings, err := j.rank(ctx, queries)
	if err != nil {
		return nil, err
	}
	lists, err := j.candidates(ctx, rankings)
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	scored, err := j.score(ctx, lists)
	if err != nil {
		return nil, err
	}
	if lists, err = j.filterLists(scored); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	if len(lists) == 0 {
		return nil, j.nothingLeft(len(queries), "queries")
	}
	if lists, err = j.target(ctx, lists); err != nil {
		return nil, err
	}
	j.funnel.Lists, j.funnel.ByType = len(lists), map[string]int{}
	for _, l := range lists {
		j.funnel.ByType[l.Query.Type]++
	}
	return lists, nil
}

func (j *job) rank(ctx context.Context, queries []retort.Query) ([]ranked, error) {
	var err error
	if j.funnel.Themselves, err = mine.Themselves(j.Corpus, queries); err != nil {
		return nil, fmt.Errorf("pipeline: rank: %w", err)
	}
	identity := func() settings {
		id := settings{"ranker": j.rankerFingerprint(), "queries": hashOf(queries), "depth": fmt.Sprint(j.Mining.List.Depth)}
		if j.funnel.Themselves > 0 { // what was ranked before such passages were left out
			id["themselves"] = fmt.Sprint(j.funnel.Themselves)
		}
		return id
	}
	return records(ctx, j, runfolder.StageMine, j.generates(), identity, func(have int, emit func(ranked) error) error {
		j.report(runfolder.StageMine, have, len(queries))
		for start := have - have%rankBlock; start < len(queries); start += rankBlock {
			block := queries[start:min(start+rankBlock, len(queries))]
			if err := j.checkSources(block); err != nil {
				return fmt.Errorf("pipeline: rank: %w", err)
			}
			// One more than the list needs, since a source may leave it.
			hits, err := j.Ranker.Search(ctx, block, j.Mining.List.Depth+1)
			if err != nil {
				return fmt.Errorf("pipeline: rank: %w", err)
			}
			if len(hits) != len(block) {
				return fmt.Errorf("pipeline: rank: the ranker gave %d rankings for %d queries", len(hits), len(block))
			}
			for i := max(0, have-start); i < len(block); i++ {
				if err := emit(newRanked(block[i], hits[i])); err != nil {
					return fmt.Errorf("pipeline: %w", err)
				}
			}
			j.report(runfolder.StageMine, start+len(block), len(queries))
		}
		return nil
	})
}

// checkSources refuses queries whose sources the corpus lacks before they are ranked.
func (j *job) checkSources(queries []retort.Query) error {
	for _, q := range queries {
		if _, ok := j.Corpus.Index(q.Source); q.Source != "" && !ok {
			return fmt.Errorf("query %q: its source %q is not in the corpus", q.ID, q.Source)
		}
	}
	return nil
}

// candidates returns the lists that the teacher is to score, with the ranker's scores where that is the teacher.
func (j *job) candidates(ctx context.Context, rankings []ranked) ([]retort.List, error) {
	queries, hits := make([]retort.Query, len(rankings)), make([][]mine.Hit, len(rankings))
	for i, r := range rankings {
		var err error
		if hits[i], err = r.hits(); err != nil {
			return nil, err
		}
		queries[i] = r.Query
	}
	found, err := j.roundTrip(queries, hits)
	if err != nil {
		return nil, err
	}
	if _, err := j.funnel.Queries("round trip", queries, found); err != nil {
		return nil, err
	}
	j.funnel.RoundTrip = len(found.Kept)
	lists := make([]retort.List, len(found.Kept))
	for i, at := range found.Kept {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if lists[i], err = j.candidate(queries[at], hits[at]); err != nil {
			return nil, err
		}
	}
	long, err := mine.ListLength(lists, max(j.Mining.List.Min, 2))
	if err != nil {
		return nil, err
	}
	j.funnel.TooShort = len(long.Dropped)
	if lists, err = j.funnel.Funnel.Lists("list length", lists, long); err != nil {
		return nil, err
	}
	drawn := drawEvenly(lists, sourceOf, j.Mining.MaxLists, j.Mining.seed)
	return drawn, j.count("draw of lists", queriesOf(lists), queriesOf(drawn), reasonNotDrawn)
}

// sourceOf names what a list was made of. A query without a source is one of its own: together, the user's queries would be
// drawn as those of a single passage.
func sourceOf(l retort.List) string {
	if l.Query.Source == "" {
		return "\x00" + l.Query.ID // no passage's id
	}
	return l.Query.Source
}

// roundTrip keeps all where no such filter is wanted.
func (j *job) roundTrip(queries []retort.Query, hits [][]mine.Hit) (mine.Selection, error) {
	if j.Mining.RoundTrip > 0 {
		return mine.RoundTrip(j.Corpus, queries, hits, j.Mining.RoundTrip)
	}
	var all mine.Selection
	for i := range queries {
		all.Kept = append(all.Kept, i)
	}
	return all, nil
}

// candidate picks the passages of one list.
func (j *job) candidate(q retort.Query, hits []mine.Hit) (retort.List, error) {
	lists, err := mine.Lists(j.Corpus, []retort.Query{q}, [][]mine.Hit{hits}, mine.ListOptions{
		Top: j.Mining.List.Top, Sample: j.Mining.List.Sample, Depth: j.Mining.List.Depth, Seed: j.Mining.seed,
		WithScores: j.Teacher == nil, KeepSource: !j.Mining.List.DropSource || !q.Extractive(),
	})
	if err != nil {
		return retort.List{}, err
	}
	return lists[0], nil
}

// scoredList is a record of runfolder.StageScore.
type scoredList struct {
	retort.List
	Agreement float64 `json:"agreement,omitempty"` // of the teacher's members; 0 where nobody says
}

// score asks the teacher.
func (j *job) score(ctx context.Context, lists []retort.List) ([]scoredList, error) {
	identity := func() settings {
		if j.Teacher == nil {
			return settings{"teacher": "the ranker", "lists": hashOf(lists)}
		}
		return settings{"teacher": fingerprint(j.Teacher), "lists": hashOf(lists)}
	}
	return records(ctx, j, runfolder.StageScore, []string{runfolder.StageMine}, identity, func(have int, emit func(scoredList) error) error {
		if j.Teacher == nil {
			for _, l := range lists[have:] {
				if err := emit(scoredList{List: l}); err != nil {
					return fmt.Errorf("pipeline: %w", err)
				}
			}
			return ctx.Err()
		}
		return j.ask(ctx, lists, have, emit)
	})
}

// scoreWorkers is 1: a teacher that gains from several lists at once takes batches, and with one call at a time an
// interrupted run has lost no more than the batch at hand.
const scoreWorkers = 1

// ask scores the lists from that number on.
func (j *job) ask(ctx context.Context, lists []retort.List, have int, emit func(scoredList) error) error {
	j.report(runfolder.StageScore, have, len(lists))
	work := func(yield func(teacher.Work, error) bool) {
		for _, l := range lists[have:] {
			if !yield(j.work(l)) {
				return
			}
		}
	}
	next := have
	for _, scored := range teacher.ScoreAll(ctx, j.Teacher, work, scoreWorkers) {
		if scored.Err != nil {
			return fmt.Errorf("pipeline: %w", scored.Err)
		}
		l := lists[next]
		l.Scores = scored.Scores
		if err := emit(scoredList{l, scored.Agreement}); err != nil {
			return fmt.Errorf("pipeline: %w", err)
		}
		next++
		j.report(runfolder.StageScore, next, len(lists))
	}
	return ctx.Err()
}

func (j *job) work(l retort.List) (teacher.Work, error) {
	w := teacher.Work{Query: l.Query, Passages: make([]retort.Passage, len(l.IDs))}
	for i, id := range l.IDs {
		index, _ := j.Corpus.Index(id)
		var err error
		if w.Passages[i], err = j.Corpus.At(index); err != nil {
			return w, fmt.Errorf("score: %w", err)
		}
	}
	return w, nil
}

// filterLists drops lists by their raw scores and by how far the teachers agree.
func (j *job) filterLists(scored []scoredList) ([]retort.List, error) {
	lists := make([]retort.List, len(scored))
	agreement := make([]float64, len(scored))
	for i, s := range scored {
		lists[i], agreement[i] = s.List, s.Agreement
		if j.Mining.AgreementWeight {
			// A weight of 0 would mean 1.
			lists[i].Weight = max(s.Agreement, math.SmallestNonzeroFloat32)
		}
	}
	if j.Mining.Filters.MinAgreement > 0 {
		agreed, err := mine.TeachersAgree(lists, agreement, j.Mining.Filters.MinAgreement)
		if err != nil {
			return nil, err
		}
		if lists, err = j.funnel.Funnel.Lists("agreement", lists, agreed); err != nil {
			return nil, err
		}
	}
	if j.Mining.Filters.SourceFirst {
		first, err := mine.SourceFirst(lists)
		if err != nil {
			return nil, err
		}
		if lists, err = j.funnel.Funnel.Lists("teacher's first", lists, first); err != nil {
			return nil, err
		}
	}
	if j.Mining.Filters.TopPercentile > 0 {
		high, err := mine.TopScore(lists, j.Mining.Filters.TopPercentile)
		if err != nil {
			return nil, err
		}
		if lists, err = j.funnel.Funnel.Lists("top score", lists, high); err != nil {
			return nil, err
		}
	}
	return j.separatePositives(lists)
}

// checkAgreement returns an error where the teacher cannot say how far its members agree and has to.
func (j *job) checkAgreement() error {
	if j.Mining.Filters.MinAgreement == 0 && !j.Mining.AgreementWeight {
		return nil
	}
	if e, ok := j.Teacher.(*teacher.Ensemble); !ok || len(e.Members()) < 2 {
		return errors.New("pipeline: Recipe.Mining.Filters.MinAgreement and AgreementWeight need a teacher.Ensemble of two members or more")
	}
	return nil
}

// target turns raw scores into what the student is to reproduce.
func (j *job) target(ctx context.Context, lists []retort.List) ([]retort.List, error) {
	identity := func() settings {
		s := j.targetSettings()
		s["lists"] = hashOf(lists)
		return s
	}
	return records(ctx, j, runfolder.StageFilter, []string{runfolder.StageScore}, identity, func(have int, emit func(retort.List) error) error {
		targets := slices.Clone(lists)
		if err := j.calibrate(ctx, targets); err != nil {
			return err
		}
		for _, l := range targets[have:] {
			if err := emit(l); err != nil {
				return fmt.Errorf("pipeline: %w", err)
			}
		}
		return nil
	})
}

// generates names the stage that made queries, if one did.
func (j *job) generates() []string {
	if j.Generator == nil {
		return nil
	}
	return []string{runfolder.StageGenerate}
}
