package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline/internal/report"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
)

// How many lists the student's similarities are shown of: enough for a smooth outline, and few enough that to encode their
// queries, or with both towers their passages too, takes seconds.
const listsShown, listsShownBoth = 300, 60

const scoreBins = 60

// scores are the distributions of the teacher's scores, and of the student's similarities on the same lists.
func (r *reporter) scores(ctx context.Context) error {
	raw, err := histogramOf(ctx, r.stageLists(runfolder.StageScore))
	if err != nil {
		return err
	}
	if raw.Total() == 0 {
		return nil
	}
	axis := "sum of two z-scores"
	switch {
	case r.Lists != nil:
		axis = "score"
	case r.Mining.Target == StudentScale:
		axis = "BM25 score"
	}
	r.data.Scores = []report.Distribution{{
		Title: "The teacher's raw scores", Axis: axis, Series: []report.Series{{Name: "teacher", Histogram: *raw}},
	}}
	return r.similarities(ctx)
}

// histogramOf reads the scores twice: their range is not known before.
func histogramOf(ctx context.Context, lists iter.Seq2[retort.List, error]) (*report.Histogram, error) {
	low, high := math.Inf(1), math.Inf(-1)
	err := eachScore(ctx, lists, func(v float64) { low, high = min(low, v), max(high, v) })
	if err != nil {
		return nil, err
	}
	if room := 1e-6 * max(1, math.Abs(low)); !(high-low > room) { // none, or all alike
		low, high = min(low, 0)-1, max(high, 0)+1
	}
	h, err := report.NewHistogram(low, high, scoreBins)
	if err != nil {
		return nil, err
	}
	return h, eachScore(ctx, lists, h.Add)
}

func eachScore(ctx context.Context, lists iter.Seq2[retort.List, error], do func(float64)) error {
	for l, err := range lists {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		for _, v := range l.Scores {
			do(v)
		}
	}
	return nil
}

// similarities are those of the student on some of the lists that it was trained on, before and after, beside the targets.
func (r *reporter) similarities(ctx context.Context) error {
	most := listsShownBoth
	if r.fixed() {
		most = listsShown
	}
	total := len(r.out.Lists)
	if e := r.manifest.Find(runfolder.StageFilter); e != nil && r.Lists == nil {
		total = e.Count
	}
	var lists []retort.List
	every, n := (total+most-1)/most, 0
	for l, err := range r.stageLists(runfolder.StageFilter) {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if n%every == 0 {
			lists = append(lists, l)
		}
		n++
	}
	var before report.Histogram
	err := r.before(func() (err error) {
		before, err = r.similarityOf(ctx, true, lists)
		return err
	})
	if err != nil {
		return err
	}
	after, err := r.similarityOf(ctx, r.fixed(), lists)
	if err != nil {
		return err
	}
	targets := report.Series{Name: "target", Histogram: report.Histogram{Low: 0, High: 1, Counts: make([]int, scoreBins)}}
	onScale := r.Lists == nil && r.Mining.Target == StudentScale
	if onScale { // a target may lie above 1: bins of the same width go on to 2
		targets.Histogram = report.Histogram{Low: -1, High: 2, Counts: make([]int, 6*scoreBins)}
	}
	for _, l := range lists {
		for _, v := range l.Scores {
			targets.Histogram.Add(v)
		}
	}
	which := fmt.Sprintf("of %s lists", counted.Thousands(len(lists)))
	if len(lists) < n {
		which = fmt.Sprintf("of %s of the %s lists", counted.Thousands(len(lists)), counted.Thousands(n))
	}
	student := report.Distribution{
		Title: "The student's similarities, " + which, Axis: "cosine similarity",
		Series: []report.Series{{Name: "after", Histogram: after}, {Name: "before", Histogram: before}},
	}
	if onScale {
		student.Title = "The student's similarities and their targets, " + which
		student.Series = append(student.Series, targets)
		r.data.Scores = append(r.data.Scores, student)
		return nil
	}
	r.data.Scores = append(r.data.Scores, student, report.Distribution{
		Title: "What the student was to reproduce, " + which, Axis: "target", Series: []report.Series{targets},
	})
	return nil
}

// similarityBins are fine, since most similarities of a model lie close together.
func similarityBins() report.Histogram {
	return report.Histogram{Low: -1, High: 1, Counts: make([]int, 4*scoreBins)}
}

// fixed says that training left the passages' vectors as they were.
func (r *reporter) fixed() bool { return r.Towers == distill.QueryOnly }

func (r *reporter) similarityOf(ctx context.Context, fixed bool, lists []retort.List) (report.Histogram, error) {
	h := similarityBins()
	texts := make([]string, len(lists))
	ids := map[string]bool{}
	for i, l := range lists {
		texts[i] = l.Query.Text
		for _, id := range l.IDs {
			ids[id] = true
		}
	}
	queries, err := r.encodeRows(ctx, encoder.Query, texts)
	if err != nil {
		return h, err
	}
	passages := map[string][]float32{}
	if err := r.addPassages(ctx, passages, fixed, r.corpus, ids); err != nil {
		return h, err
	}
	for i, l := range lists {
		for _, id := range l.IDs {
			h.Add(matrix.Dot(queries[i], passages[id]))
		}
	}
	return h, nil
}

// addPassages adds the vectors of the passages that rows lacks. fixed says that those of the corpus as it was encoded at
// first will do.
func (r *reporter) addPassages(ctx context.Context, rows map[string][]float32, fixed bool, corpus retort.Corpus, ids map[string]bool) error {
	var names, texts []string
	for id := range ids {
		if rows[id] != nil {
			continue
		}
		index, ok := corpus.Index(id)
		if !ok {
			return fmt.Errorf("passage %q is not in the corpus", id)
		}
		if fixed {
			rows[id] = matrix.Row(r.dense.Vectors(), index)
			continue
		}
		p, err := corpus.At(index)
		if err != nil {
			return err
		}
		names, texts = append(names, id), append(texts, p.Content())
	}
	vectors, err := r.encodeRows(ctx, encoder.Passage, texts)
	if err != nil {
		return err
	}
	for i, id := range names {
		rows[id] = vectors[i]
	}
	return nil
}

func (r *reporter) encodeRows(ctx context.Context, role encoder.Role, texts []string) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	m, err := r.student.Encode(ctx, role, texts)
	if err != nil {
		return nil, err
	}
	rows := make([][]float32, m.Rows)
	for i := range rows {
		rows[i] = matrix.Row(m, i)
	}
	return rows, nil
}

// hitsShown is how many passages of a ranking stand on the page, and hitText how many bytes of each the data keep.
const hitsShown, hitText = 5, 600

// showExtremes gives the queries that gained and lost most their texts and passages.
func (r *reporter) showExtremes(ctx context.Context, shown *report.QuerySet, set Set, records []results.Record) error {
	helped, hurt := shown.Extremes(report.ExtremeQueries)
	extremes := append(helped, hurt...)
	texts := make(map[string]string, len(set.Collection.Queries))
	for _, q := range set.Collection.Queries {
		texts[q.ID] = q.Text
	}
	queries := make([]retort.Query, len(extremes))
	for i, at := range extremes {
		g := &shown.Gains[at]
		g.Text = texts[g.ID]
		queries[i] = retort.Query{ID: g.ID, Text: g.Text}
	}
	whole := set.Name != setHeldOut // of held-out items the pool has vectors of its own
	rankedBefore, rankedAfter := results.Of(records, set.Name, results.Before), results.Of(records, set.Name, results.After)
	rows := map[string][]float32{}
	var before [][]report.Hit
	err := r.before(func() (err error) {
		before, err = r.hits(ctx, whole, rows, set.Collection, queries, rankedBefore)
		return err
	})
	if err != nil {
		return err
	}
	if !r.fixed() {
		clear(rows)
	}
	after, err := r.hits(ctx, whole && r.fixed(), rows, set.Collection, queries, rankedAfter)
	if err != nil {
		return err
	}
	for i, at := range extremes {
		g := &shown.Gains[at]
		g.TopBefore, g.TopAfter = before[i], after[i]
		grades := set.Collection.Qrels[g.ID]
		g.FirstBefore, g.FirstAfter = firstRelevant(rankedBefore[g.ID].Top, grades), firstRelevant(rankedAfter[g.ID].Top, grades)
	}
	return nil
}

// hits are the first passages of the queries' rankings, with the similarities by the model. rows holds vectors of passages.
func (r *reporter) hits(ctx context.Context, fixed bool, rows map[string][]float32, c *eval.Collection, queries []retort.Query, ranked map[string]results.Record) ([][]report.Hit, error) {
	first := func(q retort.Query) []string {
		top := ranked[q.ID].Top
		return top[:min(hitsShown, len(top))]
	}
	texts := make([]string, len(queries))
	ids := map[string]bool{}
	for i, q := range queries {
		texts[i] = q.Text
		for _, id := range first(q) {
			ids[id] = true
		}
	}
	vectors, err := r.encodeRows(ctx, encoder.Query, texts)
	if err != nil {
		return nil, err
	}
	if err := r.addPassages(ctx, rows, fixed, c.Corpus, ids); err != nil {
		return nil, err
	}
	all := make([][]report.Hit, len(queries))
	for i, q := range queries {
		for _, id := range first(q) {
			index, _ := c.Corpus.Index(id)
			p, err := c.Corpus.At(index)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], report.Hit{
				ID: id, Title: p.Title, Text: beginning(p.Text), Score: matrix.Dot(vectors[i], rows[id]), Grade: c.Qrels[q.ID][id],
			})
		}
	}
	return all, nil
}

// beginning cuts a text between two characters.
func beginning(text string) string {
	for i := range text {
		if i >= hitText {
			return text[:i]
		}
	}
	return text
}

// firstRelevant is a rank from 1; 0 where none is relevant.
func firstRelevant(top []string, grades map[string]int) int {
	return slices.IndexFunc(top, func(id string) bool { return grades[id] > 0 }) + 1
}
