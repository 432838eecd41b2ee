package main

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
)

// distillResult is the JSON result of distill.
type distillResult struct {
	Run        string  `json:"run"`
	Model      string  `json:"model"`
	Report     string  `json:"report"` // path of the page
	Verdict    string  `json:"verdict"`
	Lists      int     `json:"lists"`
	Steps      int     `json:"steps"`
	TotalSteps int     `json:"total_steps"`
	Seconds    float64 `json:"seconds"`
	// After a teacher check:
	Check []pipeline.CheckResult `json:"check,omitempty"`
	// If a language model or a teacher cost time or money, in all calls:
	Costs *pipeline.Costs `json:"costs,omitempty"`
	// If an evaluation chose the model:
	ChosenBy string   `json:"chosen_by,omitempty"`
	Before   *float64 `json:"before,omitempty"`
	After    *float64 `json:"after,omitempty"`
	BestStep *int     `json:"best_step,omitempty"`
	// The significance test: the chosen model against the initial model, on queries that did not choose it:
	Test *testResult `json:"test,omitempty"`
	// With -matryoshka, the quality at each width:
	Widths []pipeline.WidthResult `json:"widths,omitempty"`
	// With -retention, nDCG@10 on its queries. RetentionAfter is absent for an average, which is not measured:
	RetentionBefore *float64 `json:"retention_before,omitempty"`
	RetentionAfter  *float64 `json:"retention_after,omitempty"`
	// With -interpolate, the weight of the best model in the average with the initial model:
	Alpha *float64 `json:"alpha,omitempty"`
}

// testResult is the outcome of the significance test.
type testResult struct {
	On string `json:"on"`
	eval.Comparison
	Kept bool `json:"kept"` // false: the result is the initial model
}

// testOf returns nil without a significance test.
func testOf(out *pipeline.Outcome) *testResult {
	if out.Test == nil {
		return nil
	}
	return &testResult{out.TestedOn, *out.Test, out.Kept}
}

func (t *testResult) String() string {
	verdict := "the trained model is kept"
	if !t.Kept {
		verdict = "the initial model is kept (the gain is not significant; -keep last saves the trained model anyway)"
	}
	return fmt.Sprintf("%s %+.4f, p %.2g: %s", t.On, t.Delta, t.P, verdict)
}

func (j *job) result(out *pipeline.Outcome) distillResult {
	t := out.Training
	r := distillResult{
		Run: j.out, Model: filepath.Join(j.out, runModel), Report: filepath.Join(j.out, runPage),
		Verdict: out.Verdict, Lists: t.TrainLists, Steps: t.Steps, TotalSteps: t.TotalSteps, Seconds: out.Seconds,
		Check: out.Check, Test: testOf(out), Widths: out.Widths,
	}
	if out.ChosenBy != "" {
		r.ChosenBy, r.Before, r.After, r.BestStep = out.ChosenBy, &t.History[0].Score, &t.Best.Score, &t.Best.Step
	}
	if j.retention != "" && r.Before != nil {
		r.RetentionBefore, r.RetentionAfter = &t.History[0].Retention, &t.Best.Retention
	}
	if averaged(t) {
		r.After, r.RetentionAfter = &t.AlphaScore, nil
	}
	if j.interpolate {
		r.Alpha = &t.Alpha
	}
	if len(out.Costs.Lines()) > 0 {
		r.Costs = &out.Costs
	}
	return r
}

func (j *job) printOutcome(w io.Writer, out *pipeline.Outcome) error {
	r, t := j.result(out), out.Training
	if wantsJSON(w) {
		return writeResult(w, r)
	}
	fmt.Fprintf(w, "%s\n%d lists, %d of %d steps, %.0f s\n", r.Model, r.Lists, r.Steps, r.TotalSteps, r.Seconds)
	if r.Before != nil {
		best := fmt.Sprintf("the best, after %d steps", *r.BestStep)
		if averaged(t) {
			best = fmt.Sprintf("average with weight %.1f of the best, after %d steps", t.Alpha, *r.BestStep)
		}
		fmt.Fprintf(w, "%s: %.4f before, %.4f after (%s)\n", r.ChosenBy, *r.Before, *r.After, best)
	}
	if r.Test != nil {
		fmt.Fprintln(w, r.Test)
	}
	if err := printWidths(w, r.Widths); err != nil {
		return err
	}
	switch {
	case r.RetentionAfter != nil:
		fmt.Fprintf(w, "retention: ndcg@10 %.4f before, %.4f after\n", *r.RetentionBefore, *r.RetentionAfter)
	case r.RetentionBefore != nil:
		fmt.Fprintf(w, "retention: ndcg@10 %.4f before, at least %.4f after\n",
			*r.RetentionBefore, *r.RetentionBefore-j.retentionDrop)
	}
	for _, line := range out.Costs.Lines() {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "report: %s\n", r.Report)
	return nil
}

// printWidths prints a table for each set of queries and metric.
func printWidths(w io.Writer, all []pipeline.WidthResult) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, r := range all {
		title := eval.Metric{Name: r.Metric}.Title()
		if i == 0 || r.Set != all[i-1].Set || r.Metric != all[i-1].Metric {
			fmt.Fprintf(table, "%s of %s, width\tbefore\tafter\tafter - before\t95%% interval\tp\n", title, r.Set)
		}
		fmt.Fprintf(table, "%d\t%.4f\t%.4f\t%+.4f\t%+.4f to %+.4f\t%.2g\n", r.Width, r.Before, r.After, r.Delta, r.Low,
			r.High, r.P)
	}
	return table.Flush()
}

// averaged reports whether the result averages the initial and the best weights.
func averaged(t *distill.Result) bool { return t.Alpha > 0 && t.Alpha < 1 }

// runStatusResult is the JSON result of status.
type runStatusResult struct {
	Run    string        `json:"run"`
	Seed   uint64        `json:"seed"`
	Retort string        `json:"retort"` // the version that wrote it
	Stages []stageStatus `json:"stages"`
	Notes  []string      `json:"notes,omitempty"`
	// With -verify:
	Verified *verifiedResult `json:"verified,omitempty"`
}

type stageStatus struct {
	Stage   string  `json:"stage"`
	State   string  `json:"state"` // "not begun", "running", "interrupted" or "complete"
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
	Next    string  `json:"next"` // action of the next run; "": none
}

func (s *runStatusOf) result() runStatusResult {
	m := s.manifest
	r := runStatusResult{Run: s.dir, Seed: m.Seed, Retort: m.Retort, Notes: s.notes, Verified: s.verified.result()}
	for _, name := range stageOrder(m) {
		stage := stageStatus{Stage: name, State: "not begun"}
		if e := m.Find(name); e != nil {
			stage = stageStatus{name, s.state(e), e.Count, e.Seconds, s.next[name]}
		}
		r.Stages = append(r.Stages, stage)
	}
	return r
}

// verifiedResult is the JSON result of status -verify.
type verifiedResult struct {
	Files     int             `json:"files"` // number of files read
	Bytes     int64           `json:"bytes"`
	Damaged   []damagedResult `json:"damaged"`
	Unchecked []string        `json:"unchecked,omitempty"` // files without a checksum
}

type damagedResult struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// repairResult is the JSON result of repair.
func repairResult(dir string, repaired []runfolder.Repaired) map[string]any {
	cuts, files := []map[string]any{}, []map[string]any{}
	for _, r := range repaired {
		if c := r.Cut; c != nil {
			cuts = append(cuts, map[string]any{
				"file": r.Path, "line": c.Line, "offset": c.Offset, "kept": c.Kept,
				"redone": c.Redone,
			})
			continue
		}
		files = append(files, map[string]any{"file": r.Path, "reason": r.Reason, "done": r.Done, "lost": r.Lost})
	}
	return map[string]any{"run": dir, "cuts": cuts, "files": files}
}

// comparisonLine is a line of compare's table in JSON: unrounded, with the names of the CSV columns.
type comparisonLine struct {
	Set         string  `json:"set"`
	Run         string  `json:"run"`
	Mean        float64 `json:"mean"`
	Against     string  `json:"against"`
	AgainstMean float64 `json:"against_mean"`
	Queries     int     `json:"queries"`
	Won         int     `json:"won"`
	Lost        int     `json:"lost"`
	Difference  float64 `json:"difference"`
	Low         float64 `json:"low"`
	High        float64 `json:"high"`
	P           float64 `json:"p"`
	PHolm       float64 `json:"p_holm"`
}

func comparisonResult(metric string, pairs []comparedPair) map[string]any {
	lines := make([]comparisonLine, len(pairs))
	for i, c := range pairs {
		lines[i] = comparisonLine{
			c.set, c.run, c.mean, c.against, c.againstMean, c.N, c.Better, c.Worse, c.Delta, c.Low, c.High, c.P, c.holm,
		}
	}
	return map[string]any{"metric": metric, "comparisons": lines}
}

// hitResult is a passage in the JSON result of search.
type hitResult struct {
	Rank  int     `json:"rank"`
	Score float32 `json:"score"`
	ID    string  `json:"_id"`
	Title string  `json:"title"`
	Text  string  `json:"text"`
}

func printHitsJSON(w io.Writer, corpus retort.Corpus, hits []mine.Hit) error {
	found := make([]hitResult, len(hits))
	for i, h := range hits {
		p, err := corpus.At(h.Index)
		if err != nil {
			return err
		}
		found[i] = hitResult{i + 1, h.Score, p.ID, p.Title, p.Text}
	}
	return writeResult(w, map[string]any{"hits": found})
}
