package distill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/teacher"
)

// Folder is the folder of a run, which no other process can work on until it is closed or its process ends. It belongs to
// one goroutine.
//
// It holds manifest.json, one JSON Lines file a stage (generate.jsonl, mine.jsonl, ...), checkpoints/ while the student is
// trained, then train.state, its weights, and model/. docs/run-folder.md says what is in each. Where Training.MetricsDir is
// its metrics/, that goes with the student: it is removed where training is done anew.
type Folder struct{ run *runfolder.Folder }

// ErrInUse says that another process, or another Folder of this one, works on the run.
var ErrInUse = runfolder.ErrInUse

// ErrDamaged says that a file of a run is not as it was written; the error names the file.
var ErrDamaged = runfolder.ErrDamaged

// OpenFolder opens the folder of a run, which it makes where there is none. It checks what is there: a record that a
// kill left unfinished is removed, a stage whose file somebody deleted is forgotten with those that read it, and both
// are reported to log (nil: slog.Default()). Other damage is an error that names the file, line and offset; "retort
// repair" removes it. A run that is open elsewhere is ErrInUse, a file that is not as its checksum says ErrDamaged. A
// link in the folder that leads out of it is an error, as is a manifest that names what no run owns.
func OpenFolder(ctx context.Context, dir string, log *slog.Logger) (*Folder, error) {
	run, err := runfolder.Open(ctx, dir, runfolder.Pipeline, log)
	if err != nil {
		return nil, err
	}
	return &Folder{run}, nil
}

// Close frees the folder. It is not called while Run works.
func (f *Folder) Close() error { return f.run.Close() }

// Path returns the path of a file of the folder.
func (f *Folder) Path(name string) string { return f.run.Path(name) }

// Replace calls write, which makes files or folders of the run anew, and keeps their checksums in the manifest. names
// are those of docs/run-folder.md that belong to no stage.
func (f *Folder) Replace(ctx context.Context, write func() error, names ...string) error {
	return f.run.Replace(ctx, write, names...)
}

// Recorded says whether the manifest has a checksum of the file, or of a file of the folder.
func (f *Folder) Recorded(name string) bool { return f.run.Recorded(name) }

// Check reads files, or all files of folders, and compares them with their checksums. The error names the first that is
// not as it was written, and is ErrDamaged. What has no checksum is not looked at.
func (f *Folder) Check(ctx context.Context, names ...string) error {
	damaged, err := f.run.Check(ctx, names...)
	if err != nil || len(damaged) == 0 {
		return err
	}
	return damaged[0].Error(f.run.Dir())
}

// Describe writes the job's settings, hashes of the files it was given and its seed to the manifest, for whoever looks at
// the run later. No stage depends on them.
func (f *Folder) Describe(seed uint64, settings, inputs map[string]string) error {
	return f.run.Describe(seed, settings, inputs)
}

// job is one call of Run, or of one of its parts.
type job struct {
	*Pipeline
	folder *runfolder.Folder // nil: all stays in memory
	corpus string            // hash of it, where there is a folder
	ranker string            // its fingerprint, once it was asked for: it may read a whole index
	funnel *Funnel
}

// settings are what decides a stage's output besides the stages that it reads.
type settings = map[string]string

func (p *Pipeline) job(ctx context.Context, funnel *Funnel) (*job, error) {
	j := p.inMemory(funnel)
	if p.Folder == nil {
		return j, nil
	}
	j.folder = p.Folder.run
	var err error
	j.corpus, err = j.hashCorpus(ctx)
	return j, err
}

func (p *Pipeline) inMemory(funnel *Funnel) *job {
	if funnel == nil {
		funnel = &Funnel{}
	}
	own := *p
	own.Corpus = withLookup(p.Corpus)
	return &job{Pipeline: &own, funnel: funnel}
}

func (j *job) hashCorpus(ctx context.Context) (string, error) {
	h := sha256.New()
	for i := range j.Corpus.Len() {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		p, err := j.Corpus.At(i)
		if err != nil {
			return "", fmt.Errorf("distill: read passages: %w", err)
		}
		fmt.Fprintf(h, "%q %q %q\n", p.ID, p.Title, p.Text)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// records returns a stage's records: those that the folder has, and from there on those that make emits, which is told how
// many there are. identity is asked where there is a folder only, since it may read much. What make emits is read back, so
// that an undisturbed run and one that goes on see the same.
func records[T any](ctx context.Context, j *job, name Stage, reads []Stage, identity func() settings,
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

func (j *job) begin(name Stage, s settings, reads []Stage) (*runfolder.Stage, error) {
	s["corpus"] = j.corpus
	if v := j.Versions[name]; v != "" {
		s["version"] = v
	}
	spec := runfolder.Spec{Name: string(name), Settings: s}
	for _, stage := range reads {
		spec.Inputs = append(spec.Inputs, string(stage))
	}
	stage, err := j.folder.Begin(spec)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	return stage, nil
}

func readAll[T any](ctx context.Context, stage *runfolder.Stage) ([]T, error) {
	values := make([]T, 0, stage.Count())
	for v, err := range runfolder.Read[T](ctx, stage) {
		if err != nil {
			return nil, fmt.Errorf("distill: %w", err)
		}
		values = append(values, v)
	}
	return values, nil
}

// rankerFingerprint is that of the Ranker as it is before training.
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
