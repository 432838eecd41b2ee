package runfolder

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Layout is the closed set of names that a program may own in a run folder. A manifest with any other name is
// refused: a run is data, and must not choose which files are written or removed.
type Layout struct {
	// Stages are the stages by name. Each has its own file, NAME.jsonl, and may own other files and folders, which are
	// removed when the stage starts anew.
	Stages map[string]map[string]Remedy
	// Others are the files and folders that belong to no stage.
	Others map[string]Remedy
}

// Remedy is what [Repair] does about a damaged file or a damaged file in a folder.
type Remedy int

const (
	// Remove removes the file or the whole folder: the next run makes it again from other files.
	Remove Remedy = iota
	// Redo makes the next run start the stage anew.
	Redo
	// SetAside renames the file to NAME.damaged, since no run makes it again.
	SetAside
	// Journal leaves the file alone: its owner appends to it, keeps checksums in it, and repairs it. The manifest holds
	// no checksum of a journal.
	Journal
)

// The stages of a run of package distill/pipeline. The records of a stage are in the file of its name.
const (
	StageCheck    = "check" // of the teacher
	StageGenerate = "generate"
	StageMine     = "mine"
	StageScore    = "score"
	StageFilter   = "filter"
	StageBefore   = "before" // what is measured before training
	StageTrain    = "train"
	StageEvaluate = "evaluate" // what is measured after training
)

// PipelineStages returns the stages of package distill/pipeline in their order.
func PipelineStages() []string {
	return []string{
		StageCheck, StageGenerate, StageMine, StageScore, StageFilter, StageBefore, StageTrain, StageEvaluate,
	}
}

// Pipeline is the layout of the runs of package distill/pipeline and of the command.
var Pipeline = Layout{
	Stages: map[string]map[string]Remedy{
		StageCheck: nil, StageGenerate: nil, StageMine: nil, StageScore: nil, StageFilter: nil, StageBefore: nil,
		StageTrain:    {"checkpoints": Journal, "train.state": Redo, "model": Remove, "metrics": SetAside},
		StageEvaluate: nil,
	},
	Others: map[string]Remedy{
		"corpus.jsonl": Remove, "student": Remove, "vectors.npy": Remove, "vectors.npy.key": Remove,
		"vectors.npy.partial": Journal, "vectors.npy.partial.jsonl": Journal,
		"answers.jsonl": Journal, "teacher-scores.jsonl": Journal,
		"results.json": Remove, "report.json": Remove, "report.html": Remove, "costs.json": SetAside,
	},
}

func stageFile(stage string) string { return stage + ".jsonl" }

// owned returns the files and folders of a stage besides its own file.
func (l Layout) owned(stage string) []string { return slices.Sorted(maps.Keys(l.Stages[stage])) }

// names returns all names that the program may own, with the manifest, its copy and the lock.
func (l Layout) names() []string {
	all := []string{ManifestFile, BackupFile, LockFile}
	for stage := range l.Stages {
		all = append(append(all, stageFile(stage)), l.owned(stage)...)
	}
	all = append(all, slices.Collect(maps.Keys(l.Others))...)
	slices.Sort(all)
	return all
}

// remedy returns, for the path of a file in the run, the remedy and the owning stage; not ok for a file of which the
// manifest may hold no checksum.
func (l Layout) remedy(file string) (r Remedy, stage string, ok bool) {
	if !fs.ValidPath(file) || strings.ContainsAny(file, "\x00\\") {
		return 0, "", false
	}
	top, _, _ := strings.Cut(file, "/")
	if r, ok := l.Others[top]; ok {
		return r, "", r != Journal
	}
	for stage, owned := range l.Stages {
		if r, ok := owned[top]; ok {
			return r, stage, r != Journal
		}
	}
	return 0, "", false
}

// check refuses a manifest that names a file or stage that the program does not own.
func (l Layout) check(m *Manifest) error {
	for i, e := range m.Stages {
		if e == nil {
			return fmt.Errorf("stage %d is malformed", i+1)
		}
		owned, known := l.Stages[e.Name]
		if !known {
			return fmt.Errorf("stage %d has the unknown name %q", i+1, e.Name)
		}
		if e.File != stageFile(e.Name) {
			return fmt.Errorf("stage %s has the file %q, want %s", e.Name, e.File, stageFile(e.Name))
		}
		if m.Find(e.Name) != e {
			return fmt.Errorf("stage %d is malformed: the name %s occurs twice", i+1, e.Name)
		}
		for _, name := range e.Owns {
			if _, ok := owned[name]; !ok {
				return fmt.Errorf("stage %s owns %q, which is not its own", e.Name, name)
			}
		}
		if e.Count < 0 || e.Bytes < 0 || e.Peak < 0 || !(e.Seconds >= 0) {
			return fmt.Errorf("stage %s has a count, size or time below 0", e.Name)
		}
		if e.State != Running && e.State != Complete {
			return fmt.Errorf("stage %s has the state %q", e.Name, e.State)
		}
	}
	for file := range m.Files {
		if _, _, ok := l.remedy(file); !ok {
			return fmt.Errorf("%q is not a file of a run", file)
		}
	}
	return nil
}

// checkLinks refuses links of the layout that lead out of the run, or nowhere: writing through such a link would change
// files outside the run.
func (l Layout) checkLinks(root *os.Root) error {
	for _, name := range l.names() {
		err := walk(root, name, func(file string, info fs.FileInfo) error {
			if info.Mode().Type() != fs.ModeSymlink {
				return nil
			}
			if _, err := root.Stat(file); err == nil {
				return nil
			}
			to, _ := root.Readlink(file)
			return fmt.Errorf("%s is a link to %s, which is outside the run or does not exist: remove the link, "+
				"or replace the link by its target", path.Join(root.Name(), file), to)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walk calls do with the file, or with the folder and everything in it, in the order of their names. It follows no
// link, and skips a name that does not exist.
func walk(root *os.Root, name string, do func(file string, info fs.FileInfo) error) error {
	info, err := root.Lstat(name)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := do(name, info); err != nil || !info.IsDir() {
		return err
	}
	entries, err := fs.ReadDir(root.FS(), name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := walk(root, name+"/"+e.Name(), do); err != nil {
			return err
		}
	}
	return nil
}
