package pipeline

import (
	"cmp"
	"fmt"

	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/checkpoint"
)

// card is what the model card of the trained student tells beside what stages knows itself: a Student that is an
// encoder.Describer writes one beside the model. The zero value leaves all of it out.
type card struct {
	// BaseModel is the student's name before training; "" takes the name of the folder that it was opened from.
	BaseModel string
	// Method are facts about the parts that cannot name themselves: what makes queries, what scores lists.
	Method []encoder.Fact
	// Chosen says what chooses the student, and Tested what the significance test measures: "MRR@10 of held-out queries".
	Chosen, Tested string
}

// describe tells the student how it came about.
func (j *job) describe(out *Outcome) {
	d, ok := j.Student.(encoder.Describer)
	if !ok {
		return
	}
	card := encoder.Card{
		BaseModel: j.Card.BaseModel, Passages: j.Corpus.Len(),
		Method: append(j.method(out), j.Card.Method...), Verdict: j.verdict(out),
	}
	if !untouched(out.Training) {
		card.Widths = j.Training.Widths
	}
	if g := out.Test; g != nil {
		card.Results = append(card.Results, encoder.Result{
			Measure: cmp.Or(j.Card.Tested, "the measure that decided"), Queries: g.N,
			Delta: g.Delta, Low: g.Low, High: g.High, P: g.P,
		})
	}
	d.Describe(card)
}

// method are the facts that stages knows. None of them is one of this machine or of the clock: the same run gives
// the same card.
func (j *job) method(out *Outcome) []encoder.Fact {
	o, t := j.trainingOptions(), out.Training
	towers := "queries and passages learnt, so that an index must be made anew"
	if o.Towers == distill.QueryOnly {
		towers = "queries only; the passages' vectors are the base model's, and an index of them stays valid"
	}
	facts := []encoder.Fact{{Name: "What learnt", Value: towers}}
	if j.Lists == nil {
		facts = append(facts, encoder.Fact{
			Name: "Queries",
			Value: fmt.Sprintf("%d generated and distinct, of which %d were drawn; %d given",
				out.Funnel.Distinct, out.Funnel.Drawn, out.Funnel.Own),
		})
	}
	facts = append(facts,
		encoder.Fact{Name: "Lists", Value: fmt.Sprintf("%d, of %d passages each on average", len(out.Lists),
			meanLength(out))},
		encoder.Fact{Name: "Loss", Value: checkpoint.Describe(o.Loss)},
		encoder.Fact{Name: "Steps", Value: fmt.Sprintf("%d of %d, of %d queries", t.Steps, t.TotalSteps, o.Schedule.QueriesPerStep)},
		encoder.Fact{Name: "Learning rate", Value: fmt.Sprint(o.Schedule.LR)},
		encoder.Fact{Name: "Seed", Value: fmt.Sprint(o.Schedule.Seed)})
	if len(t.History) > 0 && j.Card.Chosen != "" {
		facts = append(facts, encoder.Fact{
			Name: "Chosen by",
			Value: fmt.Sprintf("%s: %.4f before, %.4f for the model that was kept, of step %d",
				j.Card.Chosen, t.History[0].Score, keptScore(t), t.Best.Step),
		})
	}
	return facts
}

func meanLength(out *Outcome) int {
	total := 0
	for _, l := range out.Lists {
		total += len(l.IDs)
	}
	return (total + len(out.Lists)/2) / max(len(out.Lists), 1)
}

// score is the score of the student that was kept.
func keptScore(r *distill.Result) float64 {
	if r.Alpha > 0 && r.Alpha < 1 {
		return r.AlphaScore
	}
	return r.Best.Score
}

// untouched says whether the student that was kept is the one before training.
func untouched(r *distill.Result) bool {
	return r.Alpha == 0 || len(r.History) > 0 && r.Best.Step == 0
}

func (j *job) verdict(out *Outcome) string {
	switch {
	case untouched(out.Training) && out.Test != nil:
		return "Training brought no gain beyond doubt, so the weights are those of the base model."
	case untouched(out.Training):
		return "No trained model was better, so the weights are those of the base model."
	case out.Test != nil:
		return "It answers held-out queries better than the base model, beyond doubt."
	}
	return ""
}
