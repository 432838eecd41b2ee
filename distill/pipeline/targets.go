package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Target says how a teacher's scores become what the student is to reproduce.
type Target uint8

const (
	// StudentScale adds the teacher's z-scores to the similarities of the student as it was: teacher.OnStudentScale. The
	// teacher is best something that the student is not part of, such as BM25.
	StudentScale Target = iota
	// MinMax scales each list's scores to [0,1], as teacher.MinMax does.
	MinMax
	// PercentileMinMax scales all scores of lists whose queries are of one type to [0,1] by one range, from their 1st to
	// their 99th percentile, and clips: the target of Tamber et al. 2025 (arXiv 2502.19712), for loss.Paper. A list that
	// holds nothing good keeps its low scores. It needs a teacher whose scores can be compared between lists; an ensemble
	// that scales each list by itself is none.
	PercentileMinMax
)

func (t Target) String() string {
	switch t {
	case StudentScale:
		return "student-scale"
	case MinMax:
		return "min-max"
	case PercentileMinMax:
		return "percentile"
	}
	return fmt.Sprintf("Target(%d)", uint8(t))
}

// The percentiles of PercentileMinMax.
const (
	lowPercentile  = 1
	highPercentile = 99
)

// targetSettings are what decides how calibrate changes scores.
func (p *stages) targetSettings() settings {
	switch p.Mining.Target {
	case MinMax:
		return settings{"target": "min-max", "keep_source": fmt.Sprint(!p.Mining.List.DropSource)}
	case PercentileMinMax:
		return settings{"target": "percentile min-max", "keep_source": fmt.Sprint(!p.Mining.List.DropSource)}
	}
	return settings{
		"target": "student's scale", "keep_source": fmt.Sprint(!p.Mining.List.DropSource), "gamma": fmt.Sprint(p.Mining.Gamma),
		"student_temperature": fmt.Sprint(p.Mining.Temperature), "student": fingerprint(p.Student),
	}
}

// calibrate turns the lists' raw scores into targets, in place of the old.
func (p *stages) calibrate(ctx context.Context, lists []retort.List) error {
	for i, l := range lists {
		if l.Query.Extractive() {
			lists[i].Scores = capSource(l)
		}
	}
	switch p.Mining.Target {
	case StudentScale:
		return p.onStudentScale(ctx, lists)
	case PercentileMinMax:
		return percentileMinMax(lists)
	}
	for i := range lists {
		scaled, err := teacher.MinMax(lists[i].Scores)
		if err != nil {
			return fmt.Errorf("pipeline: query %q: %w", lists[i].Query.ID, err)
		}
		lists[i].Scores = scaled
	}
	return nil
}

func percentileMinMax(lists []retort.List) error {
	byType := map[string][]int{}
	for i, l := range lists {
		byType[l.Query.Type] = append(byType[l.Query.Type], i)
	}
	for kind, group := range byType {
		scores := make([][]float64, len(group))
		for k, i := range group {
			scores[k] = lists[i].Scores
		}
		scaled, err := teacher.PercentileMinMax(scores, lowPercentile, highPercentile)
		if err != nil {
			return fmt.Errorf("pipeline: lists of queries of type %q: %w", kind, err)
		}
		for k, i := range group {
			lists[i].Scores = scaled[k]
		}
	}
	return nil
}

// capSource returns the list's scores, its source's no higher than the best of the others'.
func capSource(l retort.List) []float64 {
	at := slices.Index(l.IDs, l.Query.Source)
	if at < 0 || len(l.Scores) < 2 {
		return l.Scores
	}
	best := slices.Max(slices.Concat(l.Scores[:at], l.Scores[at+1:]))
	capped := slices.Clone(l.Scores)
	capped[at] = min(capped[at], best)
	return capped
}

func (p *stages) onStudentScale(ctx context.Context, lists []retort.List) error {
	dense, err := p.dense(ctx)
	if err != nil {
		return fmt.Errorf("pipeline: passage vectors of the student as it is: %w", err)
	}
	for start := 0; start < len(lists); start += rankBlock {
		block := lists[start:min(start+rankBlock, len(lists))]
		texts := make([]string, len(block))
		for i, l := range block {
			texts[i] = l.Query.Text
		}
		queries, err := p.Student.Encode(ctx, encoder.Query, texts)
		if err != nil {
			return fmt.Errorf("pipeline: encode queries: %w", err)
		}
		for i := range block {
			if err := p.rescale(dense, matrix.Row(queries, i), &block[i]); err != nil {
				return fmt.Errorf("pipeline: query %q: %w", block[i].Query.ID, err)
			}
		}
	}
	return nil
}

func (p *stages) dense(ctx context.Context) (*mine.Dense, error) {
	if p.Vectors.Data == nil {
		return mine.NewDense(ctx, p.Student, p.Corpus, nil)
	}
	return mine.NewDenseVectors(p.Student, p.Vectors)
}

func (p *stages) rescale(dense *mine.Dense, query []float32, l *retort.List) error {
	passages := make([]int, len(l.IDs))
	for i, id := range l.IDs {
		passages[i], _ = p.Corpus.Index(id)
	}
	similarities, err := dense.Score(query, passages)
	if err != nil {
		return err
	}
	l.Scores, err = teacher.OnStudentScale(similarities, teacher.ZScores(l.Scores), p.Mining.Temperature, p.Mining.Gamma)
	return err
}
