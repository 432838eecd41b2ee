package runfolder

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// victimOf puts a folder with a file beside the run and returns the file.
func victimOf(t *testing.T, dir string) string {
	t.Helper()
	victim := filepath.Join(filepath.Dir(dir), "victim")
	require.NoError(t, os.MkdirAll(victim, 0o755))
	file := filepath.Join(victim, "precious")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	return file
}

// rewrite changes the manifest of a run, and gives it the checksum that it should have then.
func rewrite(t *testing.T, dir string, change func(m *Manifest)) {
	t.Helper()
	m := &Manifest{}
	require.NoError(t, json.Unmarshal(read(t, filepath.Join(dir, ManifestFile)), m))
	change(m)
	data, err := m.seal()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ManifestFile), data, 0o644))
}

// hostileNames are what a run must not name, besides names that are another's.
func hostileNames(dir string) []string {
	return []string{
		"../victim", "", ".", "..", "a/../../victim", filepath.Join(filepath.Dir(dir), "victim"), "checkpoints/../../victim",
		"./checkpoints", "checkpoints/", "checkpoints/x", `..\victim`, `C:\victim`, "checkpoints\x00", "\x00",
		"manifest.json", "lock", "notes.txt",
	}
}

// A manifest is data: whatever it says is owned, nothing but the program's own names is ever removed, also where a
// stage's file is gone, which removes all that it owns.
func TestAManifestThatOwnsWhatIsNotItsOwnIsRefusedByName(t *testing.T) {
	for _, name := range hostileNames(chain(t)) {
		t.Run(name, func(t *testing.T) {
			dir := chain(t)
			precious := victimOf(t, dir)
			if name == "notes.txt" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
			}
			rewrite(t, dir, func(m *Manifest) { m.Find("a").Owns = []string{"checkpoints", name} })
			require.NoError(t, os.Remove(filepath.Join(dir, "a.jsonl")))
			requireRefused(t, dir, fmt.Sprintf("stage a owns %q, which is not its own", name))
			require.FileExists(t, precious)
			require.FileExists(t, filepath.Join(dir, "b.jsonl"))
		})
	}
}

func TestAManifestWhoseStagesAreNotTheProgramsIsRefusedByName(t *testing.T) {
	for _, name := range append(hostileNames(chain(t)), "e", "A", strings.Repeat("x", 5000)) {
		for what, change := range map[string]func(e *Entry){
			fmt.Sprintf("has the unknown name %q", name): func(e *Entry) { e.Name, e.File = name, name+".jsonl" },
			fmt.Sprintf("has the file %q", name):         func(e *Entry) { e.File = name },
			fmt.Sprintf("has the state %q", "done"):      func(e *Entry) { e.State = "done" },
		} {
			dir := chain(t)
			precious := victimOf(t, dir)
			rewrite(t, dir, func(m *Manifest) { change(m.Find("c")) })
			requireRefused(t, dir, what)
			require.FileExists(t, precious)
		}
	}
}

func TestAManifestWithChecksumsOfOtherFilesIsRefusedByName(t *testing.T) {
	for _, name := range hostileNames(chain(t)) {
		if name == "checkpoints/x" {
			continue // a journal's file, tried below
		}
		dir := chain(t)
		rewrite(t, dir, func(m *Manifest) { m.Files = map[string]Sum{name: {}} })
		requireRefused(t, dir, fmt.Sprintf("%q is not a file of a run", name))
	}
	for _, name := range []string{
		"checkpoints/x", "answers.jsonl", "model/../x", "model//x", "model/x\\..",
		"model/\x00",
	} {
		dir := chain(t)
		rewrite(t, dir, func(m *Manifest) { m.Files = map[string]Sum{name: {}} })
		requireRefused(t, dir, fmt.Sprintf("%q is not a file of a run", name))
	}
}

// requireRefused tries all that reads a manifest.
func requireRefused(t *testing.T, dir, want string) {
	t.Helper()
	_, err := Open(t.Context(), dir, testLayout, quiet())
	require.ErrorContains(t, err, want)
	require.ErrorContains(t, err, filepath.Join(dir, ManifestFile))
	_, err = Repair(t.Context(), dir, testLayout, quiet())
	require.ErrorContains(t, err, want)
	_, err = Verify(t.Context(), dir, testLayout)
	require.ErrorContains(t, err, want)
	_, err = ReadManifest(dir, testLayout)
	require.ErrorContains(t, err, want)
}

// A link among the program's names that leads out of the run is refused by name before anything is written or removed.
func TestLinksOutOfARunAreNeitherFollowedNorRemovedThrough(t *testing.T) {
	for _, name := range []string{
		"checkpoints", "model", "metrics", "state", "a.jsonl", "b.jsonl", "lock", "answers.jsonl", "corpus.jsonl",
		"manifest.json",
		"manifest.backup.json", "model/inner", "metrics/inner",
	} {
		for to, target := range map[string]string{
			"a folder": "../victim", "a file": "../victim/precious", "nothing": "../victim/none", "an absolute path": "",
		} {
			t.Run(name+" to "+to, func(t *testing.T) {
				dir := chain(t)
				precious := victimOf(t, dir)
				path := filepath.Join(dir, name)
				require.NoError(t, os.RemoveAll(path))
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				if strings.Contains(name, "/") && target != "" {
					target = "../" + target
				}
				if target == "" {
					target = filepath.Dir(precious)
				}
				require.NoError(t, os.Symlink(target, path))
				for _, err := range allOpeners(t, dir) {
					require.Error(t, err)
					if name != "manifest.json" {
						require.ErrorContains(t, err, path+" is a link to "+target)
					}
				}
				require.Equal(t, "precious", string(read(t, precious)))
				entries, err := os.ReadDir(filepath.Dir(precious))
				require.NoError(t, err)
				require.Len(t, entries, 1, "nothing is written there")
				link, err := os.Readlink(path)
				require.NoError(t, err)
				require.Equal(t, target, link, "the link stays: its owner decides")
			})
		}
	}
}

func allOpeners(t *testing.T, dir string) []error {
	t.Helper()
	f, openErr := Open(t.Context(), dir, testLayout, quiet())
	if openErr == nil {
		f.Close()
	}
	_, repairErr := Repair(t.Context(), dir, testLayout, quiet())
	_, verifyErr := Verify(t.Context(), dir, testLayout)
	return []error{openErr, repairErr, verifyErr}
}

func TestCleaningUpFollowsNoLinkAndRemovesOnlyThePrograms(t *testing.T) {
	dir := chain(t)
	precious := victimOf(t, dir)
	victim := filepath.Dir(precious)
	for _, path := range []string{
		filepath.Join(victim, ".x.tmp-1"), filepath.Join(dir, "notes", ".x.tmp-1"), filepath.Join(dir, ".notes.tmp-1"),
		filepath.Join(dir, "checkpoints", ".x.tmp-1"),
		filepath.Join(dir, ".model.tmp-1", "x"),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	require.NoError(t, os.Symlink(victim, filepath.Join(dir, "linked")))
	require.NoError(t, os.Symlink(victim, filepath.Join(dir, ".a.jsonl.tmp-7")), "a temporary name that is a link")
	require.NoError(t, os.Symlink(victim, filepath.Join(dir, ".model.tmp-1", "link")))
	openFolder(t, dir)
	require.FileExists(t, filepath.Join(victim, ".x.tmp-1"))
	require.FileExists(t, precious)
	require.FileExists(t, filepath.Join(dir, "notes", ".x.tmp-1"))
	require.FileExists(t, filepath.Join(dir, ".notes.tmp-1"))
	require.NoFileExists(t, filepath.Join(dir, "checkpoints", ".x.tmp-1"))
	require.NoDirExists(t, filepath.Join(dir, ".model.tmp-1"))
	_, err := os.Lstat(filepath.Join(dir, ".a.jsonl.tmp-7"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestARunThatIsReachedThroughALinkWorks(t *testing.T) {
	dir := chain(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	f := openFolder(t, link)
	require.Zero(t, run(t, f, specOf("a", "1"), 5))
	require.Equal(t, 5, run(t, f, specOf("a", "2"), 5))
	require.NoError(t, f.Close())
	v, err := Verify(t.Context(), link, testLayout)
	require.NoError(t, err)
	require.Empty(t, v.Damaged)
}

func TestWhatIsNoFileIsNamedAndDoesNotHang(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs pipes")
	}
	for _, name := range []string{"manifest.json", "a.jsonl", LockFile} {
		dir := chain(t)
		path := filepath.Join(dir, name)
		require.NoError(t, os.Remove(path))
		makePipe(t, path)
		for _, err := range allOpeners(t, dir) {
			require.ErrorContains(t, err, path+": not a regular file but a named pipe")
		}
	}
}

func TestBeginRefusesAStageThatIsNotInTheLayout(t *testing.T) {
	f := openFolder(t, t.TempDir())
	for _, name := range hostileNames(f.Dir()) {
		_, err := f.Begin(Spec{Name: name})
		require.ErrorContains(t, err, "is not a stage of the layout")
		require.ErrorContains(t, f.Record(t.Context(), name), "is not a file or folder of the layout")
		if name != "manifest.json" && name != "lock" {
			require.ErrorContains(t, f.Remove(name), "is not in the layout")
		}
	}
}

// FuzzManifest: whatever a manifest says, what is read names the program's files only.
func FuzzManifest(f *testing.F) {
	m := &Manifest{
		Format: Format, Stages: []*Entry{{Name: "a", File: "a.jsonl", State: Complete}},
		Files: map[string]Sum{"model/x": {1, "y"}},
	}
	sealed, err := m.seal()
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte(`{"format":1,"stages":[{"name":"a","file":"a.jsonl","state":"running","owns":["checkpoints"]}]}`))
	f.Add([]byte(`{"format":1,"stages":[{"name":"a","file":"a.jsonl","state":"running","owns":["../victim"]}],"files":{"../x":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data, testLayout)
		if err != nil {
			return
		}
		for _, e := range m.Stages {
			require.Contains(t, testLayout.Stages, e.Name)
			require.Equal(t, e.Name+".jsonl", e.File)
			require.Empty(t, e.Owns)
		}
		for file := range m.Files {
			require.True(t, filepath.IsLocal(file), file)
			top, _, _ := strings.Cut(file, "/")
			require.Contains(t, testLayout.names(), top)
		}
	})
}

func TestAManifestWithNegativeFiguresIsRefused(t *testing.T) {
	for _, entry := range []Entry{
		{Count: -1}, {Bytes: -1}, {Seconds: -1}, {Peak: -1},
	} {
		entry.Name, entry.File, entry.State = "a", "a.jsonl", Complete
		sealed, err := (&Manifest{Format: Format, Stages: []*Entry{&entry}}).seal()
		require.NoError(t, err)
		_, err = parseManifest(sealed, testLayout)
		require.ErrorContains(t, err, "stage a has a count, size or time below 0")
	}
}
