package runfolder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

// ManifestFile is the name of the manifest.
const ManifestFile = "manifest.json"

// Format is the version of the folder's layout.
const Format = 1

// State is how far a stage is.
type State string

// The states. A stage that never began has no entry.
const (
	Running  State = "running" // or interrupted
	Complete State = "complete"
)

// Manifest says what a folder holds.
type Manifest struct {
	Format   int               `json:"format"`
	Retort   string            `json:"retort"` // version of the program that wrote it last
	Seed     uint64            `json:"seed"`
	Settings map[string]string `json:"settings,omitempty"` // of the whole job, by name
	Inputs   map[string]string `json:"inputs,omitempty"`   // hashes of the files that the job was given, by setting
	Stages   []*Entry          `json:"stages"`
}

// Entry is what the manifest says of one stage.
type Entry struct {
	Name    string  `json:"name"`
	State   State   `json:"state"`
	Count   int     `json:"count"`   // records; of a running stage those synced last
	Seconds float64 `json:"seconds"` // spent on it, in all sessions together
	// Peak is the highest resident memory of the process until the stage ended, in bytes; 0: not known.
	Peak int64  `json:"peak_bytes,omitempty"`
	Key  string `json:"key"`
	// Settings are its own, and Inputs the hashes of the stage files that it reads: together they are the key.
	Settings map[string]string `json:"settings"`
	Inputs   map[string]string `json:"inputs,omitempty"`
	Owns     []string          `json:"owns,omitempty"` // other files and folders that go with it
	File     string            `json:"file"`
	Bytes    int64             `json:"bytes,omitempty"`  // of the file, once complete
	SHA256   string            `json:"sha256,omitempty"` // of the file, once complete
}

// ReadManifest reads the manifest of a run without locking it. A folder without one is fs.ErrNotExist.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	data, err := regular.ReadFile(path, regular.MaxJSON)
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := strictjson.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: malformed manifest (%w): remove it to do all stages anew", path, err)
	}
	if m.Format != Format {
		return nil, fmt.Errorf("%s: a run of format %d, this program reads %d: go on with the version of retort that began it (%s), or take another folder",
			path, m.Format, Format, m.Retort)
	}
	for i, e := range m.Stages {
		if e == nil || e.Name == "" || e.File != e.Name+".jsonl" || e.File != filepath.Base(e.File) || m.Find(e.Name) != e {
			return nil, fmt.Errorf("%s: stage %d is malformed: remove the file to do all stages anew", path, i+1)
		}
	}
	return m, nil
}

// Find returns the entry of a stage, nil where there is none.
func (m *Manifest) Find(stage string) *Entry {
	i := slices.IndexFunc(m.Stages, func(e *Entry) bool { return e != nil && e.Name == stage })
	if i < 0 {
		return nil
	}
	return m.Stages[i]
}

// Stale says why a stage, if it were begun with the same settings, would be done anew or gone on with: "" for one that
// would be left alone. Stages after it are redone only where its file then differs.
func (m *Manifest) Stale(stage string) string {
	e := m.Find(stage)
	if e == nil {
		return "not done yet"
	}
	for _, input := range slices.Sorted(maps.Keys(e.Inputs)) {
		in := m.Find(input)
		switch {
		case in == nil:
			return input + ", which it reads, is not done"
		case in.State != Complete:
			return input + ", which it reads, is not finished"
		case in.SHA256 != e.Inputs[input]:
			return input + ", which it reads, has changed"
		}
	}
	if e.State != Complete {
		return "not finished"
	}
	return ""
}

// Readers returns the stages that read a stage's file, directly or not, in the manifest's order.
func (m *Manifest) Readers(stage string) []string {
	found := map[string]bool{stage: true}
	for range m.Stages { // as often as a chain can be long
		for _, e := range m.Stages {
			for input := range e.Inputs {
				found[e.Name] = found[e.Name] || found[input]
			}
		}
	}
	var names []string
	for _, e := range m.Stages {
		if found[e.Name] && e.Name != stage {
			names = append(names, e.Name)
		}
	}
	return names
}

func (m *Manifest) write(dir string) error {
	return atomicfile.Write(filepath.Join(dir, ManifestFile), func(w io.Writer) error {
		data, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return err
		}
		_, err = w.Write(append(data, '\n'))
		return err
	})
}

func (m *Manifest) remove(stages ...string) {
	m.Stages = slices.DeleteFunc(m.Stages, func(e *Entry) bool { return slices.Contains(stages, e.Name) })
}

// keyOf hashes what decides a stage's output.
func keyOf(name string, settings, inputs map[string]string) (string, error) {
	var b bytes.Buffer
	for _, part := range []any{name, settings, inputs} { // maps are written in the order of their keys
		if err := json.NewEncoder(&b).Encode(part); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// differences says in words what is different, or "" where nothing is.
func (e *Entry) differences(settings, inputs map[string]string) string {
	var all []string
	for _, name := range names(e.Inputs, inputs) {
		if e.Inputs[name] != inputs[name] {
			all = append(all, name+", which it reads, has changed")
		}
	}
	all = append(all, Differences(e.Settings, settings)...)
	return strings.Join(all, "; ")
}

// Differences says in words how settings differ: "depth was 100, is 50".
func Differences(before, now map[string]string) []string {
	var all []string
	for _, name := range names(before, now) {
		was, hadIt := before[name]
		is, hasIt := now[name]
		switch {
		case hadIt == hasIt && was == is:
		case !hadIt:
			all = append(all, fmt.Sprintf("%s is new (%s)", name, brief(is)))
		case !hasIt:
			all = append(all, name+" is gone")
		case len(was) > longest || len(is) > longest:
			all = append(all, name+" has changed")
		default:
			all = append(all, fmt.Sprintf("%s was %s, is %s", name, brief(was), brief(is)))
		}
	}
	return all
}

// longest is how long a value is that can be shown: hashes are not worth it.
const longest = 40

func brief(value string) string {
	switch {
	case value == "":
		return `""`
	case len(value) > longest:
		return "..."
	}
	return value
}

func names(a, b map[string]string) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
