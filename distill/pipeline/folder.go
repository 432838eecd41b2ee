package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/teacher"
)

// job is one call of Run, or of one of its parts.
type job struct {
	*stages
	folder *runfolder.Folder // nil: all stays in memory
	corpus string            // hash of it, where there is a folder
	ranker string            // its fingerprint, once it was asked for: it may read a whole index
	funnel *Funnel
	start  distill.Weights // of the student as it was, with the towers that it is trained with
}

// settings are what decides a stage's output besides the stages that it reads.
type settings = map[string]string

func (p *stages) job(ctx context.Context, funnel *Funnel) (*job, error) {
	j := p.inMemory(funnel)
	if p.Folder == nil {
		return j, nil
	}
	j.folder, j.corpus = p.Folder, p.CorpusHash
	if j.corpus != "" {
		return j, nil
	}
	var err error
	j.corpus, err = hashCorpus(ctx, j.Corpus)
	return j, err
}

func (p *stages) inMemory(funnel *Funnel) *job {
	if funnel == nil {
		funnel = &Funnel{}
	}
	own := *p
	own.Corpus = withLookup(p.Corpus)
	return &job{stages: &own, funnel: funnel}
}

// hashCorpus stands for the passages of a corpus, in their order.
func hashCorpus(ctx context.Context, c retort.Corpus) (string, error) {
	h := sha256.New()
	for i := range c.Len() {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		p, err := c.At(i)
		if err != nil {
			return "", fmt.Errorf("pipeline: read passages: %w", err)
		}
		fmt.Fprintf(h, "%q %q %q\n", p.ID, p.Title, p.Text)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// records returns the records of a stage. The folder has the first of them, and make, which gets their number, emits the
// rest. identity is called only with a folder, since it may read much. The records that make emits are read back, so that
// an undisturbed run and a resumed run see the same records.
func records[T any](ctx context.Context, j *job, name string, reads []string, identity func() settings,
	make func(have int, emit func(T) error) error,
) ([]T, error) {
	if j.folder == nil {
		var values []T
		err := make(0, func(v T) error {
			values = append(values, v)
			return nil
		})
		return values, err
	}
	stage, err := j.begin(name, identity(), reads)
	if err != nil {
		return nil, err
	}
	if !stage.Complete() {
		err := make(stage.Count(), func(v T) error { return stage.Append(v) })
		if err == nil {
			err = stage.Finish()
		}
		if err != nil {
			return nil, errors.Join(err, stage.Stop())
		}
	}
	return readAll[T](ctx, stage)
}

func (j *job) begin(name string, s settings, reads []string) (*runfolder.Stage, error) {
	s["corpus"] = j.corpus
	if v := j.Versions[name]; v != "" {
		s["version"] = v
	}
	spec := runfolder.Spec{Name: name, Settings: s, Inputs: reads}
	stage, err := j.folder.Begin(spec)
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return stage, nil
}

func readAll[T any](ctx context.Context, stage *runfolder.Stage) ([]T, error) {
	values := make([]T, 0, stage.Count())
	for v, err := range runfolder.Read[T](ctx, stage) {
		if err != nil {
			return nil, fmt.Errorf("pipeline: %w", err)
		}
		values = append(values, v)
	}
	return values, nil
}

// rankerFingerprint is the fingerprint of the Ranker before training.
func (j *job) rankerFingerprint() string {
	if j.ranker == "" {
		j.ranker = fingerprint(j.Ranker)
	}
	return j.ranker
}

// fingerprint stands for a part of the pipeline: its own fingerprint, an ensemble's members', or its type.
func fingerprint(part any) string {
	if e, ok := part.(*teacher.Ensemble); ok {
		members := make([]string, 0, len(e.Members()))
		for _, m := range e.Members() {
			members = append(members, fmt.Sprintf("%v x %q", m.Weight, fingerprint(m.Teacher)))
		}
		return fmt.Sprintf("%s of %s", e.Fusion(), strings.Join(members, ", "))
	}
	if f, ok := part.(encoder.Fingerprinter); ok {
		if own := f.Fingerprint(); own != "" {
			return own
		}
	}
	return fmt.Sprintf("%T", part)
}

func hashOf[T any](values []T) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			fmt.Fprintf(h, "%v\n", v) // a score that is not finite: whoever uses it says so
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
