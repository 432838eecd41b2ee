package runfolder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wholeRun is a run of chain's with files of every remedy.
func wholeRun(t *testing.T) string {
	t.Helper()
	dir := chain(t)
	f := openFolder(t, dir)
	for name, content := range map[string]string{
		"corpus.jsonl": "passages", "costs.json": "costs", "state": "weights", "model/config.json": "config",
		"model/1_Pooling/config.json": "pooling",
		"metrics/steps.csv":           "steps", "metrics/evaluations.csv": "evaluations",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(f.Path(name)), 0o755))
		require.NoError(t, os.WriteFile(f.Path(name), []byte(content), 0o644))
	}
	require.NoError(t, f.Record(t.Context(), "corpus.jsonl", "costs.json", "state", "model", "metrics"))
	require.NoError(t, f.Close())
	return dir
}

func flipBit(t *testing.T, path string, at int) {
	t.Helper()
	data := read(t, path)
	data[at] ^= 4
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

func TestVerifyReadsEverythingAndRepairDoesWhatTheLayoutSays(t *testing.T) {
	dir := wholeRun(t)
	v, err := Verify(t.Context(), dir, testLayout)
	require.NoError(t, err)
	require.Equal(t, 13, v.Files, "manifest, copy, four stages, seven others")
	require.Positive(t, v.Bytes)
	require.Empty(t, v.Damaged)
	require.Empty(t, v.Unchecked)

	for _, c := range []struct {
		file string
		done string
		lost bool
		gone []string // what repair removes
	}{
		{"corpus.jsonl", "removed: the next run makes it again", false, []string{"corpus.jsonl"}},
		{
			"model/1_Pooling/config.json", "removed with all of DIR/model: the next run makes it again", false,
			[]string{"model"},
		},
		{"state", "the next run starts the stage a anew", false, []string{"a.jsonl", "state", "model", "metrics"}},
		{"costs.json", "nothing makes it again: it is now DIR/costs.json.damaged", true, []string{"costs.json"}},
		{
			"metrics/steps.csv", "nothing makes it again: it is now DIR/metrics/steps.csv.damaged", true,
			[]string{"metrics/steps.csv"},
		},
		{"manifest.json", "restored from manifest.backup.json", false, nil},
		{"manifest.backup.json", "written again", false, nil},
	} {
		for _, damage := range []string{"flipped", "longer", "gone"} {
			if damage == "gone" && strings.HasPrefix(c.file, "manifest") {
				continue // stages are done anew, which is how to force that
			}
			t.Run(c.file+" "+damage, func(t *testing.T) {
				dir := wholeRun(t)
				path := filepath.Join(dir, c.file)
				reason := "its checksum does not match"
				switch damage {
				case "flipped":
					flipBit(t, path, 3)
				case "longer":
					data := append(read(t, path), 'x')
					require.NoError(t, os.WriteFile(path, data, 0o644))
					if !strings.HasPrefix(c.file, "manifest") {
						reason = fmt.Sprintf("it has %d bytes and had %d", len(data), len(data)-1)
					}
				case "gone":
					require.NoError(t, os.Remove(path))
					reason = "it is gone"
				}
				v, err := Verify(t.Context(), dir, testLayout)
				require.NoError(t, err)
				require.Equal(t, []Damage{{c.file, reason}}, v.Damaged)
				repaired, err := Repair(t.Context(), dir, testLayout, quiet())
				require.NoError(t, err)
				done := strings.ReplaceAll(c.done, "DIR", dir)
				if damage == "gone" && c.lost {
					done = "nothing makes it again"
				}
				require.Equal(t, []Repaired{{Path: path, Reason: reason, Done: done, Lost: c.lost}}, repaired)
				for _, name := range c.gone {
					_, err := os.Lstat(filepath.Join(dir, name))
					require.ErrorIs(t, err, os.ErrNotExist, name)
				}
				v, err = Verify(t.Context(), dir, testLayout)
				require.NoError(t, err)
				require.Empty(t, v.Damaged)
				repaired, err = Repair(t.Context(), dir, testLayout, quiet())
				require.NoError(t, err)
				require.Empty(t, repaired)
				openFolder(t, dir)
			})
		}
	}
}

// Any bit of the manifest, not one here and there: it decides what all others are held to.
func TestEveryBitOfAManifestIsHeldToItsChecksum(t *testing.T) {
	whole := read(t, filepath.Join(wholeRun(t), ManifestFile))
	_, err := parseManifest(whole, testLayout)
	require.NoError(t, err)
	for at := range whole {
		for bit := range 8 {
			damaged := append([]byte(nil), whole...)
			damaged[at] ^= 1 << bit
			_, err := parseManifest(damaged, testLayout)
			require.Error(t, err, "bit %d of byte %d", bit, at)
		}
	}
}

func TestADamagedManifestStopsTheRunAndItsCopyBringsItBack(t *testing.T) {
	dir := wholeRun(t)
	whole := read(t, filepath.Join(dir, ManifestFile))
	flipBit(t, filepath.Join(dir, ManifestFile), len(whole)/2)
	_, err := Open(t.Context(), dir, testLayout, quiet())
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, filepath.Join(dir, ManifestFile)+": damaged: ")
	require.ErrorContains(t, err, `run "retort repair `+dir+`"`)
	_, err = Repair(t.Context(), dir, testLayout, quiet())
	require.NoError(t, err)
	require.Equal(t, string(whole), string(read(t, filepath.Join(dir, ManifestFile))))

	flipBit(t, filepath.Join(dir, ManifestFile), len(whole)/2)
	flipBit(t, filepath.Join(dir, BackupFile), len(whole)/2)
	_, err = Repair(t.Context(), dir, testLayout, quiet())
	require.ErrorContains(t, err, "its copy manifest.backup.json does not help")
}

// The copy of the manifest may be older by what a kill came between. Whatever it says is held to the files.
func TestAnOlderCopyOfTheManifestDoesNoHarm(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	var copies [][]byte
	for _, name := range []string{"a", "b", "c"} {
		run(t, f, specOf(name, "1"), 5)
		copies = append(copies, read(t, f.Path(BackupFile)))
	}
	require.NoError(t, f.Close())
	whole := read(t, filepath.Join(dir, "c.jsonl"))
	for i, old := range copies {
		require.NoError(t, os.WriteFile(filepath.Join(dir, BackupFile), old, 0o644))
		flipBit(t, filepath.Join(dir, ManifestFile), 40)
		_, err := Repair(t.Context(), dir, testLayout, quiet())
		require.NoError(t, err)
		f := openFolder(t, dir)
		for n, name := range []string{"a", "b", "c"} {
			require.Equal(t, n > i, run(t, f, specOf(name, "1"), 5) > 0, name)
		}
		require.NoError(t, f.Close())
		require.Equal(t, whole, read(t, filepath.Join(dir, "c.jsonl")))
	}
}

func TestAManifestOfTheFirstFormatIsReadAndGetsItsChecksums(t *testing.T) {
	dir := chain(t)
	text := string(read(t, filepath.Join(dir, ManifestFile)))
	at := strings.LastIndex(text, sealBegin)
	old := strings.Replace(text[:at]+"\n}\n", `"format": 2`, `"format": 1`, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ManifestFile), []byte(old), 0o644))
	f := openFolder(t, dir)
	for _, name := range []string{"a", "b", "c", "d"} {
		require.Zero(t, run(t, f, specOf(name, "1"), 5))
	}
	require.NoError(t, f.Describe(1, nil, nil))
	sealed, whole := unseal(read(t, filepath.Join(dir, ManifestFile)))
	require.True(t, sealed && whole)

	second := strings.Replace(old, `"format": 1`, `"format": 2`, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ManifestFile), []byte(second), 0o644))
	_, err := ReadManifest(dir, testLayout)
	require.ErrorIs(t, err, ErrDamaged, "a manifest of this format has a checksum")
}

// A kill between the file and its checksum leaves a file without one, never one with another's.
func TestReplaceForgetsBeforeItWrites(t *testing.T) {
	dir := wholeRun(t)
	f := openFolder(t, dir)
	err := f.Replace(t.Context(), func() error {
		require.False(t, f.Recorded("corpus.jsonl"))
		m, err := ReadManifest(dir, testLayout)
		require.NoError(t, err)
		require.NotContains(t, m.Files, "corpus.jsonl")
		return os.WriteFile(f.Path("corpus.jsonl"), []byte("other"), 0o644)
	}, "corpus.jsonl")
	require.NoError(t, err)
	require.True(t, f.Recorded("corpus.jsonl"))
	damaged, err := f.Check(t.Context(), "corpus.jsonl", "model")
	require.NoError(t, err)
	require.Empty(t, damaged)
	require.Error(t, f.Replace(t.Context(), func() error { return os.ErrInvalid }, "corpus.jsonl"))
	require.False(t, f.Recorded("corpus.jsonl"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Check(ctx, "model")
	require.ErrorIs(t, err, context.Canceled)
}

func TestCheckReadComparesStagesAndOtherFiles(t *testing.T) {
	for _, name := range []string{"a.jsonl", "corpus.jsonl"} {
		dir := wholeRun(t)
		require.NoError(t, CheckRead(t.Context(), dir, testLayout, name))
		flipBit(t, filepath.Join(dir, name), 2)
		err := CheckRead(t.Context(), dir, testLayout, name)
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, filepath.Join(dir, name)+" is damaged: its checksum does not match")
		require.NoError(t, CheckRead(t.Context(), dir, testLayout, "b.jsonl"))
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		require.NoError(t, CheckRead(t.Context(), dir, testLayout, name), "whoever reads it says so")
	}
	require.NoError(t, CheckRead(t.Context(), t.TempDir(), testLayout, "a.jsonl"))
	require.NoError(t, CheckRead(t.Context(), filepath.Join(t.TempDir(), "none"), testLayout, "a.jsonl"))
}

func TestInUseSaysWhetherAProcessWorksOnTheRun(t *testing.T) {
	dir := chain(t)
	require.False(t, InUse(dir))
	f := openFolder(t, dir)
	require.True(t, InUse(dir))
	_, err := Verify(t.Context(), dir, testLayout)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, f.Close())
	require.False(t, InUse(dir))
	require.False(t, InUse(filepath.Join(dir, "none")))
}
