package runfolder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/ledger"
)

// holdDir is the environment variable that makes this test binary hold a folder until it is killed.
const holdDir = "RETORT_RUNFOLDER_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdDir); dir != "" {
		f, err := Open(context.Background(), dir, testLayout, nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("open")
		time.Sleep(time.Minute)
		runtime.KeepAlive(f)
		return
	}
	code := m.Run()
	os.RemoveAll(chainedRun)
	os.Exit(code)
}

func TestASecondProcessIsRefusedByTheRunAndTheHoldersNumberUntilThatDies(t *testing.T) {
	dir := chain(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	require.True(t, bufio.NewScanner(out).Scan())

	_, err = Open(t.Context(), dir, testLayout, quiet())
	require.ErrorIs(t, err, ErrInUse)
	require.EqualError(t, err, fmt.Sprintf("the run %s is in use by process %d: wait for it, or take another folder", dir, cmd.Process.Pid))
	_, err = Repair(t.Context(), dir, testLayout, quiet())
	require.ErrorIs(t, err, ErrInUse)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	openFolder(t, dir)
}

func TestCompleteStagesAreLeftAlone(t *testing.T) {
	dir := chain(t)
	manifest := read(t, filepath.Join(dir, ManifestFile))
	f, log := openLogged(t, dir)
	for _, name := range []string{"a", "b", "c", "d"} {
		require.Zero(t, run(t, f, specOf(name, "1"), 5))
		require.Len(t, records(t, f, specOf(name, "1")), 5)
	}
	require.Empty(t, log.String())
	require.Equal(t, string(manifest), string(read(t, filepath.Join(dir, ManifestFile))))
}

func TestOnlyWhatDependsOnAChangedSettingIsRedone(t *testing.T) {
	dir := chain(t)
	f, log := openLogged(t, dir)
	require.Zero(t, run(t, f, specOf("a", "1"), 5))
	require.Equal(t, 5, run(t, f, specOf("b", "2"), 5))
	require.Contains(t, log.String(), `stage=b why="setting was 1, is 2"`)
	require.Equal(t, "b, which it reads, has changed", f.Manifest().Stale("c"))
	require.Equal(t, 5, run(t, f, specOf("c", "1"), 5))
	require.Contains(t, log.String(), `stage=c why="b, which it reads, has changed"`)
	require.Zero(t, run(t, f, specOf("d", "1"), 5))
	require.Equal(t, []thing{{0, "b<2>"}, {1, "b<2>"}, {2, "b<2>"}, {3, "b<2>"}, {4, "b<2>"}}, records(t, f, specOf("b", "2")))
}

// A stage that is redone with the same result leaves those after it alone.
func TestAnEqualResultSparesTheStagesAfterIt(t *testing.T) {
	dir := chain(t)
	f := openFolder(t, dir)
	changed := specOf("a", "1")
	changed.Settings["other"] = "new"
	require.Equal(t, 5, run(t, f, changed, 5))
	require.Zero(t, run(t, f, specOf("b", "1"), 5))
	require.Zero(t, run(t, f, specOf("c", "1"), 5))
}

func TestAnInterruptedStageGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	for stop := range 5 {
		f := openFolder(t, dir)
		s, err := f.Begin(specOf("a", "1"))
		require.NoError(t, err)
		require.Equal(t, stop, s.Count())
		require.NoError(t, s.Append(thing{stop, "a<1>"}))
		require.NoError(t, s.Stop())
		require.Equal(t, Running, f.Manifest().Find("a").State)
		require.NoError(t, f.Close())
	}
	f := openFolder(t, dir)
	require.Zero(t, run(t, f, specOf("a", "1"), 5))
	whole := openFolder(t, t.TempDir())
	run(t, whole, specOf("a", "1"), 5)
	require.Equal(t, read(t, whole.Path("a.jsonl")), read(t, f.Path("a.jsonl")))
	require.Equal(t, whole.Manifest().Find("a").SHA256, f.Manifest().Find("a").SHA256)
}

func TestARunningFileCutAtAnyByteIsRepairedAndReported(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	s, err := f.Begin(specOf("a", "1"))
	require.NoError(t, err)
	for n := range 3 {
		require.NoError(t, s.Append(thing{n, "a<1>"}))
	}
	require.NoError(t, s.Stop())
	require.NoError(t, f.Close())
	path := filepath.Join(dir, "a.jsonl")
	whole := read(t, path)
	for cut := range whole {
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o644))
		f, log := openLogged(t, dir)
		torn := cut > 0 && whole[cut-1] != '\n'
		require.Equal(t, torn, strings.Contains(log.String(), "cut off an unfinished record"), "cut at %d: %s", cut, log)
		require.Equal(t, 3-strings.Count(string(whole[:cut]), "\n"), run(t, f, specOf("a", "1"), 3))
		require.Equal(t, whole, read(t, path))
		f.manifest.Find("a").State = Running
		require.NoError(t, f.save())
		require.NoError(t, f.Close())
	}
}

func TestDamageIsAnErrorWithLineAndOffsetUntilItIsRepaired(t *testing.T) {
	lines := strings.SplitAfter(string(read(t, filepath.Join(chain(t), "b.jsonl"))), "\n")
	at := len(lines[0]) + len(lines[1])
	for _, c := range []struct {
		name                 string
		data                 string
		line, offset, redone int
		reason               string
	}{
		{"a changed letter", strings.Replace(strings.Join(lines, ""), `"n":2,"text":"b`, `"n":2,"text":"x`, 1), 3, at, 3, "checksum does not match"},
		{"a line that is gone", lines[0] + lines[1] + lines[3] + lines[4], 3, at, 3, "checksum does not match"},
		{"a line twice", lines[0] + lines[1] + lines[1] + lines[2] + lines[3] + lines[4], 3, at, 4, "checksum does not match"},
		{"no end", lines[0] + lines[1], 3, at, 3, "the file ends after 2 of 5 records"},
		{"half a record at the end", lines[0] + lines[1] + lines[2][:9], 3, at, 3, "checksum does not match"},
		{"zeros", lines[0] + lines[1] + strings.Repeat("\x00", 99), 3, at, 3, "checksum does not match"},
		{"another stage's file", "A", 1, 0, 5, "the file is not the one that this stage has written"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := chain(t)
			path := filepath.Join(dir, "b.jsonl")
			whole := read(t, path)
			if c.data == "A" {
				c.data = string(read(t, filepath.Join(dir, "a.jsonl")))
			}
			require.NoError(t, os.WriteFile(path, []byte(c.data), 0o644))
			_, err := Open(t.Context(), dir, testLayout, quiet())
			var corrupt *ledger.DamagedError
			require.ErrorAs(t, err, &corrupt)
			require.ErrorContains(t, err, fmt.Sprintf("%s:%d: record at byte offset %d: %s", path, c.line, c.offset, c.reason))
			require.ErrorContains(t, err, fmt.Sprintf(`run "retort repair %s"`, dir))
			require.Equal(t, c.data, string(read(t, path)), "nothing is changed")

			repaired, err := Repair(t.Context(), dir, testLayout, quiet())
			require.NoError(t, err)
			require.Equal(t, []Repaired{
				{Path: path, Reason: c.reason, Cut: &Cut{
					Line: c.line, Offset: int64(c.offset), Kept: c.line - 1,
					Redone: c.redone,
				}},
			}, repaired)
			again, err := Repair(t.Context(), dir, testLayout, quiet())
			require.NoError(t, err)
			require.Empty(t, again)

			f := openFolder(t, dir)
			require.Equal(t, "b, which it reads, is not finished", f.Manifest().Stale("c"))
			require.Zero(t, run(t, f, specOf("a", "1"), 5))
			require.Equal(t, 6-c.line, run(t, f, specOf("b", "1"), 5))
			require.Equal(t, whole, read(t, path))
			require.Zero(t, run(t, f, specOf("c", "1"), 5), "what it reads is as it was")
		})
	}
}

// A repair that is killed between the manifest and the file leaves the damage to the next one.
func TestAnInterruptedRepairIsDoneAgain(t *testing.T) {
	dir := chain(t)
	path := filepath.Join(dir, "b.jsonl")
	whole := read(t, path)
	damaged := strings.Replace(string(whole), `"n":1,"text":"b`, `"n":1,"text":"x`, 1)
	require.NoError(t, os.WriteFile(path, []byte(damaged), 0o644))
	f, err := openLocked(dir, testLayout, quiet())
	require.NoError(t, err)
	require.NoError(t, f.readManifest())
	e := f.manifest.Find("b")
	e.State, e.Count, e.Bytes, e.SHA256 = Running, 1, 0, ""
	require.NoError(t, f.save())
	require.NoError(t, f.Close())

	_, err = Open(t.Context(), dir, testLayout, quiet())
	require.ErrorContains(t, err, "retort repair")
	repaired, err := Repair(t.Context(), dir, testLayout, quiet())
	require.NoError(t, err)
	require.Len(t, repaired, 1)
	require.Equal(t, 4, repaired[0].Cut.Redone)
	require.Equal(t, 4, run(t, openFolder(t, dir), specOf("b", "1"), 5))
	require.Equal(t, whole, read(t, path))
}

func TestADeletedFileIsRedoneWithTheStagesThatReadIt(t *testing.T) {
	dir := chain(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "b.jsonl")))
	f, log := openLogged(t, dir)
	require.Contains(t, log.String(), "the file of a stage is gone")
	require.Contains(t, log.String(), `stages="b, c"`)
	require.NoFileExists(t, filepath.Join(dir, "c.jsonl"))
	for name, want := range map[string]int{"a": 0, "d": 0} {
		require.Equal(t, want, run(t, f, specOf(name, "1"), 5), name)
	}
	for _, name := range []string{"b", "c"} {
		require.Equal(t, 5, run(t, f, specOf(name, "1"), 5), name)
	}
}

func TestOtherFilesOfAStageGoWhereItIsDoneAnew(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	spec := specOf("a", "1")
	run(t, f, spec, 1)
	require.NoError(t, os.MkdirAll(f.Path("checkpoints/x"), 0o755))
	run(t, f, spec, 1)
	require.DirExists(t, f.Path("checkpoints"))
	spec.Settings = map[string]string{"setting": "2"}
	run(t, f, spec, 1)
	require.NoDirExists(t, f.Path("checkpoints"))
}

func TestAFullDiskIsNamedAndWhatWasWrittenStays(t *testing.T) {
	f := openFolder(t, t.TempDir())
	var room int64 = 200
	plain := f.create
	f.create = func(path string) (ledger.File, error) {
		inner, err := plain(path)
		return fullDisk{inner, &room}, err
	}
	s, err := f.Begin(specOf("a", "1"))
	require.NoError(t, err)
	for err == nil {
		err = s.Append(thing{s.Count(), "a<1>"})
	}
	require.ErrorIs(t, err, errDiskFull)
	require.ErrorContains(t, err, f.Path("a.jsonl")+": no space left on device (its 4 records are safe: once the cause is gone, the same command goes on from there)")
	require.NoError(t, s.Stop())
	require.Equal(t, 4, strings.Count(string(read(t, f.Path("a.jsonl"))), "\n"))
	require.NoError(t, f.Close())

	f, log := openLogged(t, f.Dir())
	require.Equal(t, 2, run(t, f, specOf("a", "1"), 6))
	require.Empty(t, log.String())
	require.Len(t, records(t, f, specOf("a", "1")), 6)
}

func TestAClockThatIsSetBackTakesNoSecondsAway(t *testing.T) {
	f := openFolder(t, t.TempDir())
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.now = func() time.Time { return now }
	s, err := f.Begin(specOf("a", "1"))
	require.NoError(t, err)
	for _, step := range []time.Duration{time.Minute, -24 * time.Hour, 3 * time.Second} {
		now = now.Add(step)
		require.NoError(t, s.Append(thing{s.Count(), "x"}))
	}
	require.NoError(t, s.Finish())
	seconds := f.Manifest().Find("a").Seconds
	require.GreaterOrEqual(t, seconds, 60.)
	require.LessOrEqual(t, seconds, 63.)
	require.Len(t, records(t, f, specOf("a", "1")), 3)
	now = now.Add(-48 * time.Hour)
	require.Zero(t, run(t, f, specOf("a", "1"), 3), "no decision is made by the clock")
}

func TestAFolderThatCannotBeUsedIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := Open(t.Context(), filepath.Join(file, "run"), testLayout, quiet())
	require.ErrorContains(t, err, file)

	for content, want := range map[string]string{
		"{":                            "malformed manifest",
		`{"format":9}`:                 "the run has format 9, this program reads 2",
		`{"stages":[null]}`:            "the run has format 0",
		`{"format":1,"stages":[null]}`: "stage 1 is malformed",
		`{"format":1,"stages":[{"name":"../a","file":"../a.jsonl"}]}`:                                            `stage 1 has the unknown name "../a"`,
		`{"format":1,"stages":[{"name":"a","file":"a.jsonl","state":"complete"},{"name":"a","file":"a.jsonl"}]}`: "stage 2 is malformed",
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, ManifestFile), []byte(content), 0o644))
		for range 2 { // the lock is free again
			_, err := Open(t.Context(), dir, testLayout, quiet())
			require.ErrorContains(t, err, filepath.Join(dir, ManifestFile))
			require.ErrorContains(t, err, want)
		}
	}
}

func TestRepairOfAFolderWithoutARunMakesNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := Repair(t.Context(), dir, testLayout, quiet())
	require.ErrorIs(t, err, os.ErrNotExist)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestWhatAKillLeftOfWholeFilesIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".model.tmp-123", "x"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o755))
	for _, name := range []string{".manifest.json.tmp-9", "checkpoints/.checkpoint.tmp-1", "checkpoints/checkpoint", ".hidden", "mine.tmp-1"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	openFolder(t, dir)
	require.NoDirExists(t, filepath.Join(dir, ".model.tmp-123"))
	require.NoFileExists(t, filepath.Join(dir, ".manifest.json.tmp-9"))
	require.NoFileExists(t, filepath.Join(dir, "checkpoints/.checkpoint.tmp-1"))
	for _, name := range []string{"checkpoints/checkpoint", ".hidden", "mine.tmp-1"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
}

func TestAStageWaitsForWhatItReads(t *testing.T) {
	f := openFolder(t, t.TempDir())
	_, err := f.Begin(specOf("b", "1"))
	require.ErrorContains(t, err, "stage b reads a, which is not complete")
}

func TestOpenAndReadEndWithTheirContext(t *testing.T) {
	dir := chain(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, dir, testLayout, quiet())
	require.ErrorIs(t, err, context.Canceled)
	f := openFolder(t, dir)
	s, err := f.Begin(specOf("a", "1"))
	require.NoError(t, err)
	for _, err = range Read[thing](ctx, s) {
	}
	require.ErrorIs(t, err, context.Canceled)
}

func TestDifferencesAreSaidInWords(t *testing.T) {
	require.Equal(t, []string{"a was 1, is 2", "gone is gone", "long has changed", `new is new ("")`}, Differences(
		map[string]string{"a": "1", "same": "x", "gone": "y", "long": strings.Repeat("f", 64)},
		map[string]string{"a": "2", "same": "x", "new": "", "long": strings.Repeat("e", 64)},
	))
}

func TestOnlyObjectsAreRecords(t *testing.T) {
	f := openFolder(t, t.TempDir())
	s, err := f.Begin(specOf("a", "1"))
	require.NoError(t, err)
	defer s.Stop()
	require.ErrorContains(t, s.Append([]int{1}), "is not an object")
	require.ErrorContains(t, s.Append(map[string]any{"x": func() {}}), "unsupported type")
	require.NoError(t, s.Append(struct{}{}))
	require.NoError(t, s.Append(map[string]string{"crc32c": `","crc32c":"00000000"}`}))
	require.NoError(t, s.Finish())
	var all []map[string]string
	for v, err := range Read[map[string]string](t.Context(), s) {
		require.NoError(t, err)
		all = append(all, v)
	}
	require.Equal(t, []map[string]string{{}, {"crc32c": `","crc32c":"00000000"}`}}, all)
}

func TestAFileThatIsDamagedAfterItWasOpenedIsNamed(t *testing.T) {
	dir := chain(t)
	f := openFolder(t, dir)
	s, err := f.Begin(specOf("a", "1"))
	require.NoError(t, err)
	data := read(t, s.Path())
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(s.Path(), data, 0o644))
	var last error
	for _, last = range Read[thing](t.Context(), s) {
	}
	var corrupt *ledger.DamagedError
	require.True(t, errors.As(last, &corrupt))
	require.Equal(t, 3, corrupt.Line)
}
