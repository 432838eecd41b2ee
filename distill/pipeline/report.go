package pipeline

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

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline/internal/report"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/counted"
	"github.com/retort-ir/retort/internal/jsonl"
	"github.com/retort-ir/retort/internal/results"
	"github.com/retort-ir/retort/internal/runfolder"
)

// reporter gathers what a run's page shows from the files of the run, which it reads a record at a time.
type reporter struct {
	*run
	out      *Outcome
	manifest *runfolder.Manifest
	data     report.Data
}

// saveReport writes RUN/report.json and RUN/report.html.
func (r *run) saveReport(ctx context.Context, out *Outcome) error {
	defer r.events.piece(stageReport)()
	p := reporter{run: r, out: out, manifest: r.folder.Manifest()}
	p.head()
	for _, gather := range []func(context.Context) error{p.sets, p.training, p.scores, p.hashes} {
		if err := gather(ctx); err != nil {
			return fmt.Errorf("pipeline: report: %w", err)
		}
	}
	p.data.Funnel = out.Funnel.Funnel
	p.stagesShown()
	p.settingsShown()
	return r.folder.Replace(ctx, func() error { return report.Save(r.Folder, p.data) }, report.DataFile, report.PageFile)
}

// before calls do while the student has the weights that it had at the start.
func (r *reporter) before(do func() error) (err error) {
	kept, err := distill.ReadWeights(r.student)
	if err != nil {
		return err
	}
	if err := distill.SetInterpolated(r.student, r.start, r.start, 0); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, distill.SetInterpolated(r.student, kept, kept, 0)) }()
	return do()
}

// head is what stands above the sections.
func (r *reporter) head() {
	name := r.Folder
	if full, err := filepath.Abs(name); err == nil {
		name = full
	}
	r.data = report.Data{Title: filepath.Base(name), Outcome: r.out.Verdict, Missing: map[report.Section]string{}}
	for _, stage := range []string{runfolder.StageEvaluate, runfolder.StageTrain} {
		if info, err := os.Stat(r.path(stage + ".jsonl")); err == nil && r.data.Created.IsZero() {
			r.data.Created = info.ModTime().UTC()
		}
	}
	towers := "queries and passages"
	if r.Towers == distill.QueryOnly {
		towers = "queries only"
	}
	r.data.Facts = []report.Setting{
		{Name: "student", Value: fmt.Sprintf("%s, %d dimensions", cmp.Or(r.Names.Student, "the student"), r.student.Dim())},
		{Name: "teacher", Value: r.teacherName()},
		{Name: "corpus", Value: counted.Thousands(r.corpus.Len()) + " passages"},
		{Name: "trained", Value: fmt.Sprintf("%s, on %s lists", towers, counted.Thousands(r.out.Training.TrainLists))},
	}
	if len(r.Widths) > 0 {
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "trained at widths", Value: listed(r.Widths)})
	}
	if f := r.out.Funnel; f.Generated > 0 {
		queries := counted.Thousands(f.Generated) + " generated"
		if f.Own > 0 {
			queries += ", " + counted.Thousands(f.Own) + " your own"
		}
		if r.LanguageModel != nil {
			queries += ", by " + r.generatorName()
		}
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "queries", Value: queries})
	}
	for _, g := range r.out.Check {
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "before training", Value: g.String()})
	}
	for _, line := range r.out.Costs.Lines() {
		r.data.Facts = append(r.data.Facts, report.Setting{Name: "cost", Value: line})
	}
}

// training reads the steps and evaluations.
func (r *reporter) training(context.Context) error {
	t := r.out.Training
	shown := &report.Training{Loss: "listwise KL", DevMeasure: r.chosenBy(), BestStep: t.Best.Step, TotalSteps: t.TotalSteps}
	type record struct {
		Step       *report.Step       `json:"step"`
		Evaluation *report.Evaluation `json:"evaluation"`
	}
	for v, err := range jsonl.ReadFile[record](r.path(runfolder.StageTrain+".jsonl"), nil) {
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
func (r *reporter) stagesShown() {
	encoding := report.Stage{Name: "encode passages", Records: r.corpus.Len(), Unit: "passages", Seconds: r.encoding.Seconds, PeakBytes: r.encoding.PeakBytes}
	if encoding.Seconds == 0 {
		encoding.Note = "not recorded"
	}
	r.data.Stages = []report.Stage{encoding}
	units := map[string]string{
		runfolder.StageCheck: "sets", runfolder.StageGenerate: "passages", runfolder.StageMine: "rankings", runfolder.StageScore: "lists", runfolder.StageFilter: "lists",
		runfolder.StageBefore: "measurements", runfolder.StageTrain: "steps", runfolder.StageEvaluate: "measurements",
	}
	for _, name := range runfolder.PipelineStages() {
		e := r.manifest.Find(name)
		if e == nil {
			continue
		}
		stage := report.Stage{Name: name, Seconds: e.Seconds, PeakBytes: e.Peak, Records: e.Count, Unit: units[name]}
		if name == runfolder.StageTrain {
			stage.Records = r.out.Training.Steps
		}
		r.data.Stages = append(r.data.Stages, stage)
	}
}

func (r *reporter) settingsShown() {
	for _, s := range r.settings() {
		if value := cmp.Or(s.Taken, s.Value); value != "" {
			r.data.Settings = append(r.data.Settings, report.Setting{Name: s.Name, Value: value})
		}
	}
	r.data.Settings = append(r.data.Settings, report.Setting{
		Name: "versions", Value: fmt.Sprintf("retort %s, %s %s/%s", r.manifest.Retort, runtime.Version(), runtime.GOOS, runtime.GOARCH),
	})
}

// hashes are those of what was given and of what came out.
func (r *reporter) hashes(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(r.manifest.Inputs)) {
		path := r.Names.Files[name]
		r.data.Hashes = append(r.data.Hashes, report.Hash{Name: name, Path: path, SHA256: r.manifest.Inputs[name], Bytes: fileSize(path)})
	}
	for _, name := range runfolder.PipelineStages() {
		if e := r.manifest.Find(name); e != nil && e.SHA256 != "" {
			r.data.Hashes = append(r.data.Hashes, report.Hash{Name: e.Name, Path: e.File, SHA256: e.SHA256, Bytes: e.Bytes})
		}
	}
	hash, err := runfolder.HashPath(ctx, r.path(runModel))
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
func (r *reporter) stageLists(stage string) func(func(retort.List, error) bool) {
	if r.Lists == nil {
		return jsonl.ReadFile[retort.List](r.path(stage+".jsonl"), nil)
	}
	return func(yield func(retort.List, error) bool) {
		for _, l := range r.out.Lists {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// sets are the judged queries, the set that counts most first, and the held-out items.
func (r *reporter) sets(ctx context.Context) error {
	records, err := measuredRecords(r.out)
	if err != nil {
		return err
	}
	for _, set := range slices.Backward(r.measuredSets()) {
		note := ""
		if set.Collection == r.Judged {
			note = "These queries chose the best student, so what they gain is a little more than others would."
		}
		if err := r.set(ctx, set, note, records); err != nil {
			return err
		}
	}
	if r.held != nil {
		collection, err := r.held.Test.Collection()
		if err != nil {
			return err
		}
		return r.set(ctx, Set{Name: setHeldOut, Collection: collection}, heldOutNote, records)
	}
	if r.data.Sets == nil {
		const why = "Nothing was measured: the last student was taken, and there are no judged queries."
		r.data.Missing[report.SectionQuality], r.data.Missing[report.SectionGains] = why, why
	}
	return nil
}

const heldOutNote = "Generated queries of a type that was not trained on, each with the passage that it was made from. No query of " +
	"these passages was trained on, and they had no part in the choice of the best student. Each value is the mean of a " +
	"passage's queries, of which one is shown."

func (r *reporter) set(ctx context.Context, set Set, note string, records []results.Record) error {
	of := func(system string) *eval.Report { return r.reportOf(records, set.Name, system) }
	shown, err := report.Judged(ctx, set.title(), report.Systems{
		BM25: of(results.BM25), Before: of(results.Before), Teacher: of(results.Teacher), After: of(results.After),
	}, r.Seed)
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

// MakePage makes the page of a run again from what the run has kept for it, and returns its path. The error is
// fs.ErrNotExist where the run has kept nothing, because it has not come to its end.
func MakePage(ctx context.Context, dir string) (string, error) {
	if err := runfolder.CheckRead(ctx, dir, runfolder.Pipeline, report.DataFile); err != nil {
		return "", err
	}
	d, err := report.Load(filepath.Join(dir, report.DataFile))
	if err != nil {
		return "", err
	}
	write := func() error { return report.SavePage(dir, d) }
	if err := runfolder.Replace(ctx, dir, runfolder.Pipeline, write, report.PageFile); err != nil {
		return "", err
	}
	return filepath.Join(dir, report.PageFile), nil
}
