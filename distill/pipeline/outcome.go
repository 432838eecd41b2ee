package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/strictjson"
)

// Outcome is what a run did and found.
type Outcome struct {
	// Verdict says in a sentence which student was kept and why.
	Verdict string
	// Kept says whether the student that was kept is a trained one.
	Kept bool

	Lists    []retort.List // that were trained on, with what the student was to reproduce
	Funnel   Funnel
	Training *distill.Result
	// Check is what the teacher check found, by set; nil where nothing was asked.
	Check []CheckResult
	// ChosenBy names what chose the student: "nDCG@10 of the judged queries". Empty where none was chosen.
	ChosenBy string
	// Test is how the trained student differed from the untouched one on TestedOn, held-out queries that had no part in the
	// choice; nil where judged queries chose, or nothing did. Where it did not hold, Training.Best is the untouched
	// student's evaluation and Training.Alpha 0.
	Test     *eval.Comparison
	TestedOn string
	// Report is what the sets of judged queries measured.
	Report Report
	// Widths compare before and after at the whole width and at each of Recipe.Widths, of the judged queries and of the
	// held-out ones, by set and metric; nil without Recipe.Widths.
	Widths []WidthResult
	// Costs are those of the language model and the teachers, in all calls of the run.
	Costs Costs
	// Seconds is what this call took.
	Seconds float64

	// Measured is what the stages "before" and "evaluate" hold, before and after training.
	Measured []json.RawMessage
}

// Report is what was measured before and after training, the sets in the order of the Recipe.
type Report []SetReport

// SetReport is what was measured on a set of queries.
type SetReport struct {
	Name, Title string
	// The reports of BM25, the student as it was, the teacher of the lists and the student that was kept.
	BM25, Before, Teacher, After *eval.Report
	// Differences are those of After and Before, paired, by the metric's name.
	Differences map[string]eval.Comparison
	// TopBefore and TopAfter are the first passages of each query's ranking, best first.
	TopBefore, TopAfter map[string][]string
}

// Metrics returns the metrics of the reports, which measure whole vectors. Outcome.Widths measures narrower vectors.
func (Report) Metrics() []eval.Metric { return measuredMetrics() }

func measuredMetrics() []eval.Metric {
	return []eval.Metric{eval.NDCG(10), eval.Recall(100), eval.MRR(10)}
}

// summarise fills in what the run knows of the outcome, and writes it to the folder.
func (r *run) summarise(ctx context.Context, out *Outcome) error {
	if len(out.Training.History) > 0 {
		out.ChosenBy = r.chosenBy()
	}
	if out.Test != nil {
		out.TestedOn = r.testedOn()
	}
	out.Kept, out.Verdict, out.Costs = !untouched(out.Training), out.verdict(), r.spent
	if out.Test != nil && !out.Kept {
		r.events.note("%s", out.Verdict)
	}
	records, err := measuredRecords(out)
	if err != nil {
		return err
	}
	if out.Report, err = r.report(ctx, records); err != nil {
		return err
	}
	if out.Widths, err = r.widthResults(ctx, records); err != nil {
		return err
	}
	return r.folder.Replace(ctx, func() error {
		return atomicfile.Write(r.path(runResults), func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(out.figures())
		})
	}, runResults)
}

// figures are the content of results.json.
func (out *Outcome) figures() map[string]any {
	figures := map[string]any{
		"verdict": out.Verdict, "funnel": out.Funnel, "training": out.Training, "test": out.Test, "seconds": out.Seconds,
	}
	if len(out.Check) > 0 {
		figures["check"] = out.Check
	}
	if len(out.Costs.Lines()) > 0 {
		figures["costs"] = out.Costs
	}
	if out.ChosenBy != "" {
		figures["chosen_by"] = out.ChosenBy
	}
	if len(out.Widths) > 0 {
		figures["widths"] = out.Widths
	}
	if len(out.Report) > 0 {
		figures["queries"] = out.Report.Figures()
	}
	return figures
}

// Figures are the means and differences by the name of the set, for JSON.
func (r Report) Figures() map[string]any {
	sets := map[string]any{}
	for _, set := range r {
		sets[set.Name] = set.figures()
	}
	return sets
}

func (s *SetReport) figures() map[string]any {
	ndcg := s.Differences[eval.NDCG(10).Name]
	return map[string]any{
		"n": len(s.After.Queries), "bm25": s.BM25, "before": s.Before, "teacher": s.Teacher, "after": s.After,
		"delta": ndcg.Delta, "p": ndcg.P, "differences": s.Differences,
	}
}

// verdict says which student was kept and why.
func (out *Outcome) verdict() string {
	t := out.Training
	switch {
	case out.Test != nil && t.Alpha == 0:
		return fmt.Sprintf("The model stays as it was, since no gain was sure enough: %s %+.4f, p %.2g (below %.2g was asked for).",
			out.TestedOn, out.Test.Delta, out.Test.P, significanceP)
	case len(t.History) == 0:
		return fmt.Sprintf("The last student was kept, after %d of %d steps: none was chosen.", t.Steps, t.TotalSteps)
	case t.Best.Step == 0:
		return fmt.Sprintf("The model stays as it was: no student was better by %s.", out.ChosenBy)
	}
	kept := fmt.Sprintf("The student after step %d of %d was kept, the best of %d by %s", t.Best.Step, t.TotalSteps, len(t.History), out.ChosenBy)
	if t.Alpha > 0 && t.Alpha < 1 {
		kept += fmt.Sprintf("; %.1f of the way to it from the model as it was is better still, and is what the folder holds", t.Alpha)
	}
	if out.Test != nil {
		return fmt.Sprintf("%s; %s %+.4f, p %.2g.", kept, out.TestedOn, out.Test.Delta, out.Test.P)
	}
	return kept + "."
}

// chosenBy names what chose the best student.
func (r *run) chosenBy() string {
	if r.Judged != nil {
		return "nDCG@10 of the judged queries" + r.meanOverWidths()
	}
	return "MRR@10 of held-out queries" + r.meanOverWidths()
}

// testedOn names what tested the student that was chosen.
func (r *run) testedOn() string {
	return fmt.Sprintf("MRR@10 of queries of %s held-out passages%s", counted.Thousands(len(r.held.Test.Sources())),
		r.meanOverWidths())
}

// report reads what was measured.
func (r *run) report(ctx context.Context, records []results.Record) (Report, error) {
	var all Report
	for _, set := range r.measuredSets() {
		shown := SetReport{
			Name: set.Name, Title: set.title(), Differences: map[string]eval.Comparison{},
			BM25: r.reportOf(records, set.Name, results.BM25), Before: r.reportOf(records, set.Name, results.Before),
			Teacher: r.reportOf(records, set.Name, results.Teacher), After: r.reportOf(records, set.Name, results.After),
			TopBefore: topOf(records, set.Name, results.Before), TopAfter: topOf(records, set.Name, results.After),
		}
		for _, m := range measuredMetrics() {
			var err error
			if shown.Differences[m.Name], err = eval.Compare(ctx, shown.Before, shown.After, m, r.Seed); err != nil {
				return nil, err
			}
		}
		all = append(all, shown)
	}
	return all, nil
}

func measuredRecords(out *Outcome) ([]results.Record, error) {
	records := make([]results.Record, len(out.Measured))
	for i, data := range out.Measured {
		if err := strictjson.Unmarshal(data, &records[i]); err != nil {
			return nil, fmt.Errorf("pipeline: measurement %d: %w", i+1, err)
		}
	}
	return records, nil
}

func topOf(records []results.Record, set, system string) map[string][]string {
	top := map[string][]string{}
	for id, r := range results.Of(records, set, system) {
		top[id] = r.Top
	}
	return top
}

// reportOf is what one system did with the queries of a set, nil where it was not measured.
func (r *run) reportOf(records []results.Record, set, system string) *eval.Report {
	byQuery := results.Of(records, set, system)
	if len(byQuery) == 0 {
		return nil
	}
	of := &eval.Report{Queries: slices.Sorted(maps.Keys(byQuery))}
	for _, m := range r.metrics() {
		if _, ok := byQuery[of.Queries[0]].Metrics[m.Name]; !ok {
			continue
		}
		values := make([]float64, len(of.Queries))
		for i, q := range of.Queries {
			values[i] = byQuery[q].Metrics[m.Name]
		}
		of.Metrics, of.Values = append(of.Metrics, m.Name), append(of.Values, values)
	}
	return of
}
