package distill

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Target says how a teacher's scores become what the student is to reproduce.
type Target uint8

const (
	// MinMax scales each list's scores to [0,1], as teacher.MinMax does.
	MinMax Target = iota
	// StudentScale adds the teacher's z-scores to the similarities of the student as it was: teacher.OnStudentScale.
	StudentScale
	// PercentileMinMax scales all scores of lists whose queries are of one type to [0,1] by one range, from their 1st to
	// their 99th percentile, and clips: the target of Tamber et al. 2025 (arXiv 2502.19712), for loss.Paper. A list that
	// holds nothing good keeps its low scores. It needs a teacher whose scores can be compared between lists; an ensemble
	// that scales each list by itself is none.
	PercentileMinMax
)

// The percentiles of PercentileMinMax.
const (
	lowPercentile  = 1
	highPercentile = 99
)

func (o MiningOptions) validateTarget() error {
	switch {
	case o.Target > PercentileMinMax:
		return fmt.Errorf("distill: MiningOptions.Target is %d, want MinMax, StudentScale or PercentileMinMax", o.Target)
	case o.Target == StudentScale && !(o.Gamma >= 0 && !math.IsInf(o.Gamma, 0)):
		return fmt.Errorf("distill: MiningOptions.Gamma is %v, want at least 0", o.Gamma)
	case o.Target == StudentScale && !(o.StudentTemperature > 0 && !math.IsInf(o.StudentTemperature, 0)):
		return fmt.Errorf("distill: MiningOptions.StudentTemperature is %v, want above 0", o.StudentTemperature)
	}
	return nil
}

// targetSettings are what decides how calibrate changes scores.
func (p *Pipeline) targetSettings() settings {
	switch p.Mining.Target {
	case MinMax:
		return settings{"target": "min-max", "keep_source": fmt.Sprint(p.Mining.KeepSource)}
	case PercentileMinMax:
		return settings{"target": "percentile min-max", "keep_source": fmt.Sprint(p.Mining.KeepSource)}
	}
	return settings{
		"target": "student's scale", "keep_source": fmt.Sprint(p.Mining.KeepSource), "gamma": fmt.Sprint(p.Mining.Gamma),
		"student_temperature": fmt.Sprint(p.Mining.StudentTemperature), "student": fingerprint(p.Student),
	}
}

// calibrate turns the lists' raw scores into targets, in place of the old.
func (p *Pipeline) calibrate(ctx context.Context, lists []retort.List) error {
	for i, l := range lists {
		if generate.IsExtractive(l.Query) {
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
			return fmt.Errorf("distill: query %q: %w", lists[i].Query.ID, err)
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
			return fmt.Errorf("distill: lists of queries of type %q: %w", kind, err)
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

func (p *Pipeline) onStudentScale(ctx context.Context, lists []retort.List) error {
	dense, err := p.dense(ctx)
	if err != nil {
		return fmt.Errorf("distill: passage vectors of the student as it is: %w", err)
	}
	for start := 0; start < len(lists); start += rankBlock {
		block := lists[start:min(start+rankBlock, len(lists))]
		texts := make([]string, len(block))
		for i, l := range block {
			texts[i] = l.Query.Text
		}
		queries, err := p.Student.Encode(ctx, encoder.Query, texts)
		if err != nil {
			return fmt.Errorf("distill: encode queries: %w", err)
		}
		for i := range block {
			if err := p.rescale(dense, matrix.Row(queries, i), &block[i]); err != nil {
				return fmt.Errorf("distill: query %q: %w", block[i].Query.ID, err)
			}
		}
	}
	return nil
}

func (p *Pipeline) dense(ctx context.Context) (*mine.Dense, error) {
	if p.Vectors.Data == nil {
		return mine.NewDense(ctx, p.Student, p.Corpus, nil)
	}
	return mine.NewDenseVectors(p.Student, p.Vectors)
}

func (p *Pipeline) rescale(dense *mine.Dense, query []float32, l *retort.List) error {
	passages := make([]int, len(l.IDs))
	for i, id := range l.IDs {
		passages[i], _ = p.Corpus.Index(id)
	}
	similarities, err := dense.Score(query, passages)
	if err != nil {
		return err
	}
	l.Scores, err = teacher.OnStudentScale(similarities, teacher.ZScores(l.Scores), p.Mining.StudentTemperature, p.Mining.Gamma)
	return err
}
