package pipeline

import (
	"fmt"
	"strings"

	"github.com/retort-ir/retort/encoder"
)

// card is what the recipe tells of itself on the model card: what makes queries, what scores lists, what chose the model.
func (r *run) card() card {
	c := card{BaseModel: r.Names.Student, Chosen: r.chosenBy(), Tested: "MRR@10 of held-out generated queries" + r.meanOverWidths()}
	if r.Lists != nil {
		c.Method = append(c.Method, encoder.Fact{Name: "Teacher", Value: "scored lists that were given"})
		return c
	}
	c.Method = append(c.Method,
		encoder.Fact{Name: "Queries made by", Value: r.generatorName()},
		encoder.Fact{Name: "Teacher", Value: nameOf(r.scoredBy())},
		encoder.Fact{Name: "Target", Value: r.Mining.Target.String()})
	return c
}

// generatorName names what makes queries.
func (r *run) generatorName() string {
	if r.Names.Generator != "" {
		return r.Names.Generator
	}
	var parts []string
	if types := r.trainedTypes(); types != nil {
		parts = append(parts, "extracted from the passages: "+strings.Join(types, ", "))
	} else if r.extractive != nil {
		parts = append(parts, fmt.Sprintf("%T", r.extractive))
	}
	if r.LanguageModel != nil {
		parts = append(parts, "a language model")
	}
	return strings.Join(parts, "; ")
}

// teacherName is how the report calls what the student learns from.
func (r *run) teacherName() string {
	switch {
	case r.Lists != nil:
		return "the scores of your lists"
	case r.Teacher == nil && r.Mining.Target != StudentScale:
		return "BM25 and the student, fused by z-scores"
	}
	name := nameOf(r.scoredBy())
	if r.Teacher == nil {
		name = "BM25"
	}
	if r.Mining.Target == StudentScale {
		name += ", added to the student's similarities"
	}
	return name
}

// settings are the caller's, or else the few of the recipe that differ most between runs.
func (r *run) settings() []Setting {
	if r.Names.Settings != nil {
		return r.withAnalyzer(r.Names.Settings)
	}
	s := r.Training.Schedule
	return r.withAnalyzer([]Setting{
		{Name: "towers", Value: r.Towers.String()},
		{Name: "seed", Value: fmt.Sprint(r.Seed)},
		{Name: "max-queries", Value: fmt.Sprint(r.Mining.MaxQueries)},
		{Name: "max-lists", Value: fmt.Sprint(r.Mining.MaxLists)},
		{Name: "round-trip", Value: fmt.Sprint(r.Mining.RoundTrip)},
		{Name: "target", Value: r.Mining.Target.String()},
		{Name: settingAnalyzer, Value: r.analyzerName()},
		{Name: "top", Value: fmt.Sprint(r.Mining.List.Top)},
		{Name: "sample", Value: fmt.Sprint(r.Mining.List.Sample)},
		{Name: "depth", Value: fmt.Sprint(r.Mining.List.Depth)},
		{Name: "epochs", Value: fmt.Sprint(s.Epochs)},
		{Name: "batch", Value: fmt.Sprint(s.QueriesPerStep)},
		{Name: "lr", Value: fmt.Sprint(s.LR)},
	})
}
