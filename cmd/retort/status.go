package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/internal/runfolder"
)

var statusCommand = command{
	name:    "status",
	summary: "show the progress of a run, and what the next run redoes",
	usage: `RUN [-verify] [-c retort.yaml] [flags of distill]

Prints the stages of a run with their records and seconds. With a settings file or flags of distill it also prints what
"retort distill" would redo with these settings, and why. A settings file replaces all settings of the run, a flag one
setting. It changes nothing and works while the run is active.

  -c FILE   settings file of distill, in place of the settings of the run
  -verify   compare every file of the run with its checksum, list the damaged files, and fail if there is one. The run
            must not be active

example: what does another learning rate redo?
  retort status runs/mine -lr 5e-5
`,
	run: runStatus, json: true,
}

func runStatus(ctx context.Context, args []string, stdout, _ io.Writer) error {
	verify := false
	a, err := parseDistill(args, func(flags *flag.FlagSet) { flags.BoolVar(&verify, "verify", false, "") })
	if err != nil {
		return err
	}
	if len(a.words) != 1 {
		return fmt.Errorf("%w: want exactly one RUN", errUsage)
	}
	s := runStatusOf{dir: a.words[0]}
	if verify {
		if s.verified, err = verifyRun(ctx, s.dir); err != nil {
			return noRun(s.dir, err)
		}
	}
	s.manifest, err = runfolder.ReadManifest(s.dir, runfolder.Pipeline)
	if errors.Is(err, runfolder.ErrDamaged) && verify { // the verification lists every damaged file
		if wantsJSON(stdout) {
			return errors.Join(writeResult(stdout, runStatusResult{Run: s.dir, Verified: s.verified.result()}),
				s.verified.err(s.dir))
		}
		return errors.Join(s.verified.print(stdout), s.verified.err(s.dir))
	}
	if err != nil {
		return noRun(s.dir, err)
	}
	if err := a.recorded(s.manifest, args); err != nil {
		return err
	}
	changes, err := a.changes(ctx, s.manifest)
	if err != nil {
		return err
	}
	s.next, s.notes = redone(s.dir, s.manifest, changes), a.unknownFiles(s.manifest)
	if wantsJSON(stdout) {
		return errors.Join(writeResult(stdout, s.result()), s.verified.err(s.dir))
	}
	return errors.Join(s.print(stdout), s.verified.print(stdout), s.verified.err(s.dir))
}

// runStatusOf is the status of a run.
type runStatusOf struct {
	dir      string
	manifest *runfolder.Manifest
	next     map[string]string // action of the next run, by stage
	notes    []string
	verified *verification // nil without -verify
}

func (s *runStatusOf) state(e *runfolder.Entry) string {
	if e.State == runfolder.Running && !runfolder.InUse(s.dir) {
		return "interrupted"
	}
	return string(e.State)
}

// recorded applies the settings of the run, except those that a file or a flag sets. Relative paths start at the
// working folder of the run.
func (a *distillArgs) recorded(m *runfolder.Manifest, args []string) error {
	if a.file != "" || len(m.Settings) == 0 {
		return nil
	}
	for name, value := range m.Settings {
		if a.flags.Lookup(name) == nil {
			continue // a setting of another version
		}
		if slices.Contains(fileSettings, name) {
			value = fromFolder(m.WorkingFolder, value)
		}
		if err := a.flags.Set(name, value); err != nil {
			return fmt.Errorf("%s: setting %s: %w", runfolder.ManifestFile, name, err)
		}
	}
	_, err := parseWords(a.flags, args) // again, because flags override settings
	return err
}

// fromFolder resolves a path relative to folder. If that file is gone, for example after the run was moved together
// with its corpus, the path is relative to the current folder.
func fromFolder(folder, path string) string {
	if path == "" || filepath.IsAbs(path) || folder == "" {
		return path
	}
	full := filepath.Join(folder, path)
	if _, err := os.Stat(full); err != nil {
		return path
	}
	return full
}

// change is a changed setting or file, with the stages that read it.
type change struct {
	what   string
	stages []string
}

// changes returns the changes since the last call of the run.
func (a *distillArgs) changes(ctx context.Context, m *runfolder.Manifest) ([]change, error) {
	var changes []change
	if len(m.Settings) == 0 {
		return nil, nil // a run of another command
	}
	before, now := effective(m.Settings), effective(a.values())
	for _, g := range settingGroups() {
		for _, s := range g.settings {
			if slices.Contains(fileSettings, s.name) {
				continue // fileChanges compares their contents
			}
			was, is := map[string]string{}, map[string]string{}
			if v, ok := before[s.name]; ok {
				was[s.name] = v
			} else if f := a.flags.Lookup(s.name); f.DefValue != "" && now[s.name] == f.DefValue {
				continue // an older version without the setting behaved like the default
			}
			if v, ok := now[s.name]; ok {
				is[s.name] = v
			}
			for _, what := range runfolder.Differences(was, is) {
				changes = append(changes, change{what, s.stages})
			}
		}
	}
	files, err := a.fileChanges(ctx, m)
	return append(changes, files...), err
}

// effective replaces settings that select a default by the actual value, so that both compare equal.
func effective(values map[string]string) map[string]string {
	f := &distillFlags{}
	flags := flag.NewFlagSet("distill", flag.ContinueOnError)
	f.add(flags)
	for name, value := range values {
		if flags.Lookup(name) != nil && flags.Set(name, value) != nil {
			return values // written by another version
		}
	}
	effective := maps.Clone(values)
	for name, value := range f.taken() {
		if _, ok := values[name]; ok {
			effective[name] = value
		}
	}
	return effective
}

// fileSettings are the settings whose values are paths.
var fileSettings = []string{"corpus", "model", "queries", "qrels", "lists", "test-queries", "llm", "retention", "out"}

func (a *distillArgs) fileChanges(ctx context.Context, m *runfolder.Manifest) ([]change, error) {
	hashes, err := a.hashes(ctx, m)
	if err != nil {
		return nil, err
	}
	var changes []change
	for _, name := range fileSettings[:len(fileSettings)-1] {
		path := a.flags.Lookup(name).Value.String()
		was, had := m.Inputs[name]
		is, has := hashes[name]
		what := ""
		switch {
		case path != "" && !has: // unknownFiles reports it
		case had && !has:
			what = name + " is gone"
		case has && !had:
			what = fmt.Sprintf("%s is new (%s)", name, path)
		case was != is:
			what = fmt.Sprintf("%s has changed (%s)", name, path)
		}
		if what != "" {
			changes = append(changes, change{what, findSetting(name).stages})
		}
	}
	return changes, nil
}

// hashes returns the hashes of the files and folders in the settings, as a run would record them. A stream counts as
// unchanged, because reading it would consume it.
func (a *distillArgs) hashes(ctx context.Context, m *runfolder.Manifest) (map[string]string, error) {
	hashes := map[string]string{}
	for name, path := range a.files() {
		if path == "" {
			continue
		}
		hash, err := runfolder.HashPath(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		hashes[name] = hash
	}
	if isStream(a.corpus) {
		hashes["corpus"] = m.Inputs["corpus"]
	} else if err := a.hashContents(ctx, hashes, "corpus", a.corpus, func() (string, error) {
		corpus, err := retort.OpenCorpus(ctx, a.corpus)
		if err != nil {
			return "", err
		}
		hash, err := pipeline.HashCollection(ctx, &eval.Collection{Corpus: corpus})
		return hash, errors.Join(err, corpus.Close())
	}); err != nil {
		return nil, err
	}
	return hashes, a.hashContents(ctx, hashes, "retention", a.retention, func() (string, error) {
		c, err := eval.LoadCollection(a.retention, retentionSplit)
		if err != nil {
			return "", err
		}
		return pipeline.HashCollection(ctx, c)
	})
}

// hashContents adds the hash of the contents, unless the path is empty or missing.
func (a *distillArgs) hashContents(
	ctx context.Context, hashes map[string]string, name, path string, hash func() (string, error),
) error {
	if _, err := os.Stat(path); path == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	sum, err := hash()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		sum = "unreadable" // the next run reports the error
	}
	hashes[name] = sum
	return nil
}

// unknownFiles reports the files that are missing and cannot be compared.
func (a *distillArgs) unknownFiles(m *runfolder.Manifest) []string {
	var notes []string
	for _, name := range fileSettings[:len(fileSettings)-1] {
		path := a.flags.Lookup(name).Value.String()
		if path == "" || len(m.Settings) == 0 {
			continue
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			notes = append(notes, fmt.Sprintf("%s: %s does not exist: it may have changed", name, path))
		}
	}
	return notes
}

// redone returns what the next call of distill does with each stage, "" for a stage that it keeps.
func redone(dir string, m *runfolder.Manifest, changes []change) map[string]string {
	next := map[string]string{}
	for _, e := range m.Stages {
		var why []string
		for _, c := range changes {
			if slices.Contains(c.stages, e.Name) {
				why = append(why, c.what)
			}
		}
		_, err := os.Stat(filepath.Join(dir, e.File))
		switch stale := m.Stale(e.Name); {
		case errors.Is(err, fs.ErrNotExist):
			next[e.Name] = "redone: " + e.File + " is gone"
		case len(why) > 0:
			next[e.Name] = "redone: " + strings.Join(why, "; ")
		case e.State == runfolder.Running && stale == "not finished":
			next[e.Name] = "resumed"
		case stale != "":
			next[e.Name] = "redone: " + stale
		}
	}
	// A stage is redone if its input changes. It is kept if the redone input has the same contents.
	for _, e := range m.Stages {
		if !strings.HasPrefix(next[e.Name], "redone") {
			continue
		}
		gone := strings.HasSuffix(next[e.Name], " is gone")
		for _, reader := range m.Readers(e.Name) {
			switch {
			case strings.HasPrefix(next[reader], "redone"):
			case gone:
				next[reader] = "redone: it reads " + e.Name
			default:
				next[reader] = fmt.Sprintf("redone if %s changes", e.Name)
			}
		}
	}
	return next
}

func (s *runStatusOf) print(w io.Writer) error {
	m := s.manifest
	fmt.Fprintf(w, "%s, seed %d, written by retort %s\n\n", s.dir, m.Seed, m.Retort)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "stage\tstate\trecords\tseconds\tnext run")
	for _, stage := range stageOrder(m) {
		e := m.Find(stage)
		if e == nil {
			fmt.Fprintf(table, "%s\tnot begun\t\t\t\n", stage)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%.1f\t%s\n", e.Name, s.state(e), e.Count, e.Seconds, s.next[e.Name])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, note := range s.notes {
		fmt.Fprintln(w, note)
	}
	return nil
}

// stageOrder returns the stages of distill in their order, then all other stages.
func stageOrder(m *runfolder.Manifest) []string {
	var order []string
	lists := m.Settings["lists"] != "" || len(m.Settings) == 0
	for _, s := range runfolder.PipelineStages() {
		if m.Find(s) != nil || !lists && s != runfolder.StageCheck {
			order = append(order, s)
		}
	}
	others := map[string]bool{}
	for _, e := range m.Stages {
		if !slices.Contains(order, e.Name) {
			others[e.Name] = true
		}
	}
	return append(order, slices.Sorted(maps.Keys(others))...)
}
