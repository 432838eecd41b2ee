package runfolder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/strictjson"
)

// The names of the manifest and of its copy, from which [Repair] restores it.
const (
	ManifestFile = "manifest.json"
	BackupFile   = "manifest.backup.json"
)

// Format is the version of the folder's layout. The manifest of version 1 held checksums of the stages' files only.
const Format = 2

const firstFormat = 1

// State is the state of a stage.
type State string

// The states. A stage that never began has no entry.
const (
	Running  State = "running" // or interrupted: see InUse
	Complete State = "complete"
)

// Manifest describes a run. In the file, the last member, "sha256", is the checksum of everything before it.
type Manifest struct {
	Format   int               `json:"format"`
	Retort   string            `json:"retort"` // version of the program that last wrote the manifest
	Seed     uint64            `json:"seed"`
	Settings map[string]string `json:"settings,omitempty"` // of the whole job, by name
	Inputs   map[string]string `json:"inputs,omitempty"`   // hashes of the job's input files, by setting
	// WorkingFolder is the folder that relative paths in Settings begin at.
	WorkingFolder string `json:"working_folder,omitempty"`
	// Files holds the checksums of the run's files, by path in the run; Stages holds the checksums of the stages' files.
	Files  map[string]Sum `json:"files,omitempty"`
	Stages []*Entry       `json:"stages"`
}

// Sum is the size and checksum of a file when it was written.
type Sum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Entry is the manifest's entry of a stage.
type Entry struct {
	Name    string  `json:"name"`
	State   State   `json:"state"`
	Count   int     `json:"count"`   // records; of a running stage, as of the last sync
	Seconds float64 `json:"seconds"` // spent on the stage, in all sessions together
	// Peak is the highest resident memory of the process until the stage ended, in bytes; 0: unknown.
	Peak int64  `json:"peak_bytes,omitempty"`
	Key  string `json:"key"`
	// Settings are the stage's settings, Inputs the hashes of the stage files that it reads. Key is the hash of both.
	Settings map[string]string `json:"settings"`
	Inputs   map[string]string `json:"inputs,omitempty"`
	Owns     []string          `json:"owns,omitempty"` // format 1 only; now a part of the layout
	File     string            `json:"file"`
	Bytes    int64             `json:"bytes,omitempty"`  // of the file, once complete
	SHA256   string            `json:"sha256,omitempty"` // of the file, once complete
}

// ReadManifest reads the manifest of a run without locking the run. It returns fs.ErrNotExist if there is none,
// [ErrDamaged] if the manifest has changed, and an error that names any name outside the layout.
func ReadManifest(dir string, layout Layout) (*Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readManifest(root, ManifestFile, layout)
}

// ErrDamaged says that a file of a run has changed since it was written.
var ErrDamaged = ledger.ErrDamaged

func readManifest(root *os.Root, name string, layout Layout) (*Manifest, error) {
	data, err := readFile(root, name)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(data, layout)
	if errors.Is(err, ErrDamaged) {
		return nil, fmt.Errorf(`%s: %w: run "retort repair %s"; to do all stages anew, remove %[1]s`,
			filepath.Join(root.Name(), name), err, root.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(root.Name(), name), err)
	}
	return m, nil
}

func parseManifest(data []byte, layout Layout) (*Manifest, error) {
	m := &Manifest{}
	if err := strictjson.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: malformed manifest (%w)", ErrDamaged, err)
	}
	sealed, whole := unseal(data)
	if m.Format != Format && m.Format != firstFormat && whole == sealed {
		return nil, fmt.Errorf("the run has format %d, this program reads %d: "+
			"go on with the version of retort that began the run (%s), or take another folder", m.Format, Format, m.Retort)
	}
	err := layout.check(m)
	switch unsealed := !whole && (sealed || m.Format != firstFormat); {
	case unsealed && err != nil:
		return nil, fmt.Errorf("%w: its checksum does not match: %w", ErrDamaged, err)
	case unsealed:
		return nil, fmt.Errorf("%w: its checksum does not match", ErrDamaged)
	case err != nil:
		return nil, fmt.Errorf("%w: retort has not written this manifest; remove it to do all stages anew", err)
	}
	for _, e := range m.Stages {
		e.Owns = nil
	}
	return m, nil
}

// The text before and after the checksum, which is the last member.
const (
	sealBegin = ",\n  \"sha256\": \""
	sealEnd   = "\"\n}\n"
)

// seal returns the text of the manifest with its checksum.
func (m *Manifest) seal() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(data, []byte("\n}"))
	sum := sha256.Sum256(body)
	return append(body, sealBegin+hex.EncodeToString(sum[:])+sealEnd...), nil
}

// unseal says whether a text ends with a checksum, and whether the checksum matches.
func unseal(data []byte) (sealed, whole bool) {
	at := len(data) - len(sealBegin) - 2*sha256.Size - len(sealEnd)
	if at < 0 || !bytes.HasPrefix(data[at:], []byte(sealBegin)) || !bytes.HasSuffix(data, []byte(sealEnd)) {
		return false, false
	}
	sum := sha256.Sum256(data[:at])
	return true, string(data[at+len(sealBegin):len(data)-len(sealEnd)]) == hex.EncodeToString(sum[:])
}

// Find returns the entry of a stage, nil where there is none.
func (m *Manifest) Find(stage string) *Entry {
	i := slices.IndexFunc(m.Stages, func(e *Entry) bool { return e != nil && e.Name == stage })
	if i < 0 {
		return nil
	}
	return m.Stages[i]
}

// Stale says why a stage, begun with the same settings, would start anew or resume; "" if the stage is complete. Later
// stages start anew only if the stage's file changes.
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
	for range m.Stages { // a chain of readers is at most as long
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

func (m *Manifest) write(root *os.Root, names ...string) error {
	data, err := m.seal()
	if err != nil {
		return err
	}
	for _, name := range names {
		err := atomicfile.WriteIn(root, name, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			return at(root, err)
		}
	}
	return nil
}

func (m *Manifest) remove(stages ...string) {
	m.Stages = slices.DeleteFunc(m.Stages, func(e *Entry) bool { return slices.Contains(stages, e.Name) })
}

// keyOf hashes what decides a stage's output.
func keyOf(name string, settings, inputs map[string]string) (string, error) {
	var b bytes.Buffer
	for _, part := range []any{name, settings, inputs} { // encoding/json sorts the keys of maps
		if err := json.NewEncoder(&b).Encode(part); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// differences describes what has changed since the entry; "" if nothing has.
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

// Differences describes how settings differ: "depth was 100, is 50".
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

// longest is the longest value to show: hashes are longer.
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
