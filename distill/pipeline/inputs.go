package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/runfolder"
)

// The names in a run folder besides the names of the stages.
const (
	runCorpus  = "corpus.jsonl"
	runStudent = "student"     // the student as it was
	runModel   = "model"       // the specialised one
	runVectors = "vectors.npy" // of the passages, by the student as it was
	runResults = "results.json"
	runAnswers = "answers.jsonl"        // of the language model
	runScores  = "teacher-scores.jsonl" // of the teachers that are models or servers
	runCosts   = "costs.json"

	runVectorsKey = runVectors + ".key" // of which student and corpus, and what they took
)

// The names of the manifest's inputs of which the folder holds copies.
const (
	inputCorpus  = "corpus"
	inputStudent = "student" // as it was given
)

// inputRetention is the name of the retention's collection among the manifest's inputs.
const inputRetention = "retention"

// keepInputs copies the corpus and the student into the folder, unless they are there as they were written.
func (r *run) keepInputs(ctx context.Context) error {
	had := maps.Clone(r.folder.Manifest().Inputs)
	var stale []func() error
	known := maps.Clone(r.inputs)
	for _, c := range []struct {
		input, name string
		save        func(path string) error
	}{
		{inputCorpus, runCorpus, func(path string) error { return retort.SaveCorpus(path, r.corpus) }},
		{inputStudent, runStudent, func(path string) error {
			return errors.Join(os.RemoveAll(path), r.student.Save(path))
		}},
	} {
		if had[c.input] != "" && had[c.input] == r.inputs[c.input] && r.folder.Recorded(c.name) {
			whole, err := r.whole(ctx, c.name)
			if err != nil {
				return err
			}
			if whole {
				continue
			}
		}
		delete(known, c.input)
		stale = append(stale, func() error {
			return r.folder.Replace(ctx, func() error { return c.save(r.path(c.name)) }, c.name)
		})
	}
	// What is replaced is forgotten first, so that after a kill no copy is kept under the hash of another.
	if err := r.describe(known); err != nil {
		return err
	}
	for _, save := range stale {
		if err := save(); err != nil {
			return err
		}
	}
	return r.describe(r.inputs)
}

func (r *run) describe(inputs map[string]string) error {
	settings := map[string]string{}
	for _, s := range r.settings() {
		settings[s.Name] = s.Value
	}
	if r.detected != "" {
		settings[settingDetected] = fmt.Sprint(r.Analyzer)
	}
	return r.folder.Describe(r.Seed, settings, inputs)
}

// hashInputs hashes the passages, once a run, and the files that the run was given.
func (r *run) hashInputs(ctx context.Context) error {
	var err error
	if r.corpusHash, err = hashCorpus(ctx, r.corpus); err != nil {
		return err
	}
	r.inputs = map[string]string{inputCorpus: r.corpusHash, inputStudent: fingerprint(r.student)}
	if c := r.Retention.Collection; c != nil {
		if r.inputs[inputRetention], err = HashCollection(ctx, c); err != nil {
			return err
		}
	}
	for name, path := range r.Names.Files {
		hash, err := runfolder.HashPath(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // what was read from it is at hand
		}
		if err != nil {
			return fmt.Errorf("pipeline: %s: %w", name, err)
		}
		r.inputs[name] = hash
	}
	return nil
}

// whole says whether files of the run are as they were written. It warns of one that is not: whoever asks makes it
// again.
func (r *run) whole(ctx context.Context, names ...string) (bool, error) {
	err := r.check(ctx, names...)
	if errors.Is(err, retort.ErrDamaged) {
		r.events.warn(fmt.Sprintf("%v: it is made again", err))
		return false, nil
	}
	return err == nil, err
}

// check compares files with their checksums. The error names the first that is not as it was written, and is retort.ErrDamaged.
func (r *run) check(ctx context.Context, names ...string) error {
	damaged, err := r.folder.Check(ctx, names...)
	if err != nil || len(damaged) == 0 {
		return err
	}
	return damaged[0].Error(r.folder.Dir())
}
