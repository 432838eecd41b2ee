package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/report"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/internal/strictjson"
)

// reporter gathers what a run's page shows from the files of the run, which it reads a record at a time.
type reporter struct {
	s        *specialisation
	out      *distill.Outcome
	manifest *runfolder.Manifest
	before   student // the model as it was
	data     report.Data
}

// saveReport writes RUN/report.json and RUN/report.html. Where something cannot be read the run itself is done and whole.
func (s *specialisation) saveReport(ctx context.Context, out *distill.Outcome) (err error) {
	defer s.progress.Stage("write the report", 0).Done()
	r := reporter{s: s, out: out}
	if r.manifest, err = runfolder.ReadManifest(s.out, runfolder.Pipeline); err != nil {
		return err
	}
	// The similarities of before are those of the model as it was, which has changed since.
	if r.before, err = s.open(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer func() { err = errors.Join(err, r.before.Close()) }()
	r.head()
	for _, gather := range []func(context.Context) error{r.sets, r.training, r.scores, r.hashes} {
		if err := gather(ctx); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	r.data.Funnel = out.Funnel.Funnel
	r.stages()
	r.settingsShown()
	return s.folder.Replace(ctx, func() error { return report.Save(s.out, r.data) }, report.DataFile, report.PageFile)
}

// head is what stands above the sections.
func (r *reporter) head() {
	name := r.s.out
	if full, err := filepath.Abs(name); err == nil {
		name = full
	}
	r.data = report.Data{Title: filepath.Base(name), Outcome: r.outcome(), Missing: map[report.Section]string{}}
	for _, stage := range []distill.Stage{distill.StageEvaluate, distill.StageTrain} {
		if info, err := os.Stat(r.s.path(string(stage) + ".jsonl")); err == nil && r.data.Created.IsZero() {
			r.data.Created = info.ModTime().UTC()
		}
	}
	towers := "queries and passages"
	if r.s.training.Towers == distill.QueryOnly {
		towers = "queries only"
	}
	r.data.Facts = []report.Setting{
		{Name: "student", Value: fmt.Sprintf("%s, %d dimensions", filepath.Base(r.s.modelDir), r.s.model.Dim())},
		{Name: "teacher", Value: r.teacherName()},
		{Name: "corpus", Value: thousands(r.s.corpus.Len()) + " passages"},
		{Name: "trained", Value: fmt.Sprintf("%s, on %s lists", towers, thousands(r.out.Training.TrainLists))},
	}
	if f := r.out.Funnel; f.Generated > 0 {
		queries := thousands(f.Generated) + " generated"
		if f.Own > 0 {
			queries += ", " + thousands(f.Own) + " your own"
		}
		if r.s.queriesBy.asksModel() {
			queries += ", by " + r.s.queriesBy.name()
		}
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "queries", Value: queries})
	}
	for _, g := range r.out.Gate {
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "before training", Value: g.String()})
	}
	for _, line := range r.s.spent.lines() {
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "cost", Value: line})
	}
}

// thousands writes 12,345.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func (r *reporter) teacherName() string {
	switch {
	case r.s.lists != nil:
		return "the scores of your lists"
	case r.s.teacherBy.spec != "":
		name := describeTeacher(r.s.teachers.members, r.s.teacherBy.fuse)
		if r.s.mining.Target == distill.StudentScale {
			name += ", added to the student's similarities"
		}
		return name
	case r.s.mining.Target == distill.StudentScale:
		return "BM25, added to the student's similarities"
	}
	return "BM25 and the student, fused by z-scores"
}

// measure is what chose the student, as it is written.
func (r *reporter) measure() string {
	if r.s.judged != nil {
		return display(eval.NDCG(10)) + " of the judged queries"
	}
	return "known-item " + display(eval.MRR(10))
}

// outcome says which student was kept and why.
func (r *reporter) outcome() string {
	t := r.out.Training
	switch {
	case r.out.Guard != nil && t.Alpha == 0:
		return fmt.Sprintf("The model stays as it was, since no gain was sure enough: %s %+.4f, p %.2g (below %.2g was asked for).",
			r.s.testedBy(), r.out.Guard.Delta, r.out.Guard.P, distill.GuardP)
	case len(t.History) == 0:
		return fmt.Sprintf("The last student was kept, after %d of %d steps: none was chosen.", t.Steps, t.TotalSteps)
	case t.Best.Step == 0:
		return fmt.Sprintf("The model stays as it was: no student was better by %s.", r.measure())
	}
	kept := fmt.Sprintf("The student after step %d of %d was kept, the best of %d by %s", t.Best.Step, t.TotalSteps, len(t.History), r.measure())
	if averaged(t) {
		kept += fmt.Sprintf("; %.1f of the way to it from the model as it was is better still, and is what the folder holds", t.Alpha)
	}
	if g := r.out.Guard; g != nil {
		return fmt.Sprintf("%s; %s %+.4f, p %.2g.", kept, r.s.testedBy(), g.Delta, g.P)
	}
	return kept + "."
}

// training reads the steps and evaluations.
func (r *reporter) training(context.Context) error {
	t := r.out.Training
	shown := &report.Training{Loss: "listwise KL", DevMeasure: r.measure(), BestStep: t.Best.Step, TotalSteps: t.TotalSteps}
	type record struct {
		Step       *report.Step       `json:"step"`
		Evaluation *report.Evaluation `json:"evaluation"`
	}
	for v, err := range jsonl.ReadFile[record](r.s.path(string(distill.StageTrain)+".jsonl"), nil) {
		if err != nil {
			return err
		}
		if v.Step != nil {
			shown.Steps = append(shown.Steps, *v.Step)
		}
		if v.Evaluation != nil {
			shown.Evaluations = append(shown.Evaluations, *v.Evaluation)
		}
	}
	r.data.Training = shown
	return nil
}

// stages are those of the manifest, and the encoding of the passages, which goes before them.
func (r *reporter) stages() {
	encoding := report.Stage{Name: "encode passages", Records: r.s.corpus.Len(), Unit: "passages", Seconds: r.s.encoding.Seconds, PeakBytes: r.s.encoding.PeakBytes}
	if encoding.Seconds == 0 {
		encoding.Note = "not recorded"
	}
	r.data.Stages = []report.Stage{encoding}
	units := map[distill.Stage]string{
		distill.StageGate: "sets", distill.StageGenerate: "passages", distill.StageMine: "rankings", distill.StageScore: "lists", distill.StageFilter: "lists",
		distill.StageBefore: "measurements", distill.StageTrain: "steps", distill.StageEvaluate: "measurements",
	}
	for _, name := range stageOrder(r.manifest) {
		e := r.manifest.Find(name)
		if e == nil {
			continue
		}
		stage := report.Stage{Name: name, Seconds: e.Seconds, PeakBytes: e.Peak, Records: e.Count, Unit: units[distill.Stage(name)]}
		if name == string(distill.StageTrain) {
			stage.Records = r.out.Training.Steps
		}
		r.data.Stages = append(r.data.Stages, stage)
	}
}

// settingsShown are all settings in the order of their file, those that were left to the kind of training as they were taken.
func (r *reporter) settingsShown() {
	taken := r.s.taken()
	for _, g := range settingGroups() {
		for _, s := range g.settings {
			value, ok := r.s.settings[s.name]
			if !ok || value == "" {
				continue
			}
			if v, ok := taken[s.name]; ok {
				value = v
			}
			r.data.Settings = append(r.data.Settings, report.Setting{Name: s.name, Value: value})
		}
	}
	r.data.Settings = append(r.data.Settings, report.Setting{
		Name: "versions", Value: fmt.Sprintf("retort %s, %s %s/%s", r.manifest.Retort, runtime.Version(), runtime.GOOS, runtime.GOARCH),
	})
}

// hashes are those of what was given and of what came out.
func (r *reporter) hashes(ctx context.Context) error {
	given := maps.Clone(r.manifest.Inputs)
	for name, path := range map[string]string{"corpus": runCorpus, "model": runStudent} {
		if given[name] != "" {
			continue
		}
		hash, err := hashPath(ctx, r.s.path(path))
		if err != nil {
			return err
		}
		r.data.Hashes = append(r.data.Hashes, report.Hash{Name: name, Path: path, SHA256: hash, Bytes: fileSize(r.s.path(path))})
	}
	slices.SortFunc(r.data.Hashes, func(a, b report.Hash) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range slices.Sorted(maps.Keys(given)) {
		path := r.s.settings[name]
		r.data.Hashes = append(r.data.Hashes, report.Hash{Name: name, Path: path, SHA256: given[name], Bytes: fileSize(path)})
	}
	for _, name := range stageOrder(r.manifest) {
		if e := r.manifest.Find(name); e != nil && e.SHA256 != "" {
			r.data.Hashes = append(r.data.Hashes, report.Hash{Name: e.Name, Path: e.File, SHA256: e.SHA256, Bytes: e.Bytes})
		}
	}
	hash, err := hashPath(ctx, r.s.path(runModel))
	r.data.Hashes = append(r.data.Hashes, report.Hash{Name: "the student that was kept", Path: runModel + "/", SHA256: hash})
	return err
}

// fileSize is 0 where there is no file.
func fileSize(path string) int64 {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

// stageLists yields the lists of a stage's file; the user's own where they were given.
func (r *reporter) stageLists(stage distill.Stage) func(func(retort.List, error) bool) {
	if r.s.lists == nil {
		return jsonl.ReadFile[retort.List](r.s.path(string(stage)+".jsonl"), nil)
	}
	return func(yield func(retort.List, error) bool) {
		for _, l := range r.out.Lists {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// sets are the judged queries, the set that counts most first, and the known items.
func (r *reporter) sets(ctx context.Context) error {
	records := make([]results.Record, len(r.out.Measured))
	for i, data := range r.out.Measured {
		if err := strictjson.Unmarshal(data, &records[i]); err != nil {
			return err
		}
	}
	for _, set := range slices.Backward(r.s.measuredSets()) {
		note := ""
		if set.collection == r.s.judged {
			note = "These queries chose the best student, so what they gain is a little more than others would."
		}
		if err := r.set(ctx, set, note, records); err != nil {
			return err
		}
	}
	if r.s.held != nil {
		collection, err := r.s.held.Test.Collection()
		if err != nil {
			return err
		}
		set := judgedSet{name: setKnown, title: "known items", collection: collection}
		return r.set(ctx, set, "Generated queries of a type that was not trained on, each with the passage that it was made from. No query of these passages was trained on, and they had no part in the choice of the best student. Each value is the mean of a passage's queries, of which one is shown.", records)
	}
	if r.data.Sets == nil {
		const why = "Nothing was measured: the last student was taken (-keep last), and no judged queries were given (-queries, -qrels)."
		r.data.Missing[report.SectionQuality], r.data.Missing[report.SectionGains] = why, why
	}
	return nil
}

func (r *reporter) set(ctx context.Context, set judgedSet, note string, records []results.Record) error {
	of := func(system string) *eval.Report { return reportOf(records, set.name, system) }
	shown, err := report.Judged(ctx, cmp.Or(set.title, set.name), report.Systems{
		BM25: of(results.BM25), Before: of(results.Before), Teacher: of(results.Teacher), After: of(results.After),
	}, r.s.mining.Seed)
	if err != nil {
		return err
	}
	shown.Note = note
	if err := r.showExtremes(ctx, &shown, set, records); err != nil {
		return err
	}
	r.data.Sets = append(r.data.Sets, shown)
	return nil
}

// reportOf is what one system did with the queries of a set, nil where it was not measured.
func reportOf(records []results.Record, set, system string) *eval.Report {
	byQuery := results.Of(records, set, system)
	if len(byQuery) == 0 {
		return nil
	}
	r := &eval.Report{Queries: slices.Sorted(maps.Keys(byQuery))}
	for _, m := range runMetrics() {
		if _, ok := byQuery[r.Queries[0]].Metrics[m.Name]; !ok {
			continue
		}
		values := make([]float64, len(r.Queries))
		for i, q := range r.Queries {
			values[i] = byQuery[q].Metrics[m.Name]
		}
		r.Metrics, r.Values = append(r.Metrics, m.Name), append(r.Values, values)
	}
	return r
}
