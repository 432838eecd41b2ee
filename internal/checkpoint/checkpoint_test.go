package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

type state struct {
	Step int `json:"step"`
}

func body(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// requireFile closes f.
func requireFile(t *testing.T, f *File, step int, text string) {
	t.Helper()
	var got state
	require.NoError(t, f.State(&got))
	require.Equal(t, step, got.Step)
	data, err := io.ReadAll(f.Body)
	require.NoError(t, err)
	require.Equal(t, text, string(data))
	require.NoError(t, f.Close())
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestAFileComesBackWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	_, err := Open(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, text := range []string{"", "weights"} {
		require.NoError(t, Write(path, state{3}, body(text)))
		f, err := Open(path)
		require.NoError(t, err)
		requireFile(t, f, 3, text)
	}
}

// What a power cut, a full disk or a bad one make of a file.
func TestADamagedFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, Write(path, state{3}, body("weights")))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := range whole {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		for _, damaged := range [][]byte{whole[:n], flipped} {
			require.NoError(t, os.WriteFile(path, damaged, 0o644))
			_, err := Open(path)
			require.ErrorContains(t, err, path+" is damaged")
			require.NotErrorIs(t, err, os.ErrNotExist)
		}
	}
}

func TestAFileOfAnotherVersionIsNotCalledDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, withSum([]byte("retort distill 1\nand what it wrote")), 0o644))
	_, err := Open(path)
	require.EqualError(t, err, path+" is not a checkpoint of this version of Retort: remove it to start anew")
}

func TestTheFolderKeepsTwoCheckpointsAndTheirBestModels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	d, err := OpenFolder(dir)
	require.NoError(t, err)
	_, _, err = Last(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, d.Write(state{0}, -1, body("a")))
	require.NoError(t, d.Prune())
	for _, step := range []int{2, 5, 9} {
		require.NoError(t, d.WriteBest(step, body("best")))
		require.NoError(t, d.Write(state{step}, step, body("b")))
		require.NoError(t, d.Prune())
	}
	require.NoError(t, d.Write(state{11}, 9, body("c")))
	require.Equal(t, []string{"best-5.state", "best-9.state", Name, PreviousName}, names(t, dir), "until it is pruned")
	require.NoError(t, d.Prune())
	require.Equal(t, []string{"best-9.state", Name, PreviousName}, names(t, dir))
	f, damage, err := Last(dir)
	require.NoError(t, err)
	require.NoError(t, damage)
	requireFile(t, f, 11, "c")
	best, err := d.OpenBest(9)
	require.NoError(t, err)
	requireFile(t, best, 0, "best")
}

func TestWhereTheLastIsDamagedOrMissingTheOneBeforeIsTaken(t *testing.T) {
	for name, test := range map[string]struct {
		harm    func(t *testing.T, dir string)
		damaged bool
	}{
		"a torn checkpoint": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, Name), []byte("torn"), 0o644))
		}, true},
		"its best model is torn": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(BestPath(dir, 5), []byte("torn"), 0o644))
		}, true},
		"its best model is missing": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(BestPath(dir, 5))) }, true},
		"killed between two renames": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, Name)))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := OpenFolder(dir)
			require.NoError(t, err)
			for _, step := range []int{2, 5} {
				require.NoError(t, d.WriteBest(step, body("best")))
				require.NoError(t, d.Write(state{step}, step, body("b")))
				require.NoError(t, d.Prune())
			}
			test.harm(t, dir)
			for _, torn := range []string{"." + Name + ".tmp-1", ".best-9.state.tmp-77"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, torn), []byte("torn"), 0o644))
			}

			d, err = OpenFolder(dir)
			require.NoError(t, err)
			f, damage, err := Last(dir)
			require.NoError(t, err)
			require.Equal(t, test.damaged, damage != nil)
			require.NoError(t, d.GoOn(f))
			requireFile(t, f, 2, "b")
			for _, left := range names(t, dir) {
				require.NotContains(t, left, ".tmp-", "what a kill has left is removed")
			}
			f, damage, err = Last(dir)
			require.NoError(t, err)
			require.NoError(t, damage, "it is the last one now")
			requireFile(t, f, 2, "b")
		})
	}
}

func TestWhereNoneIsWholeTheErrorNamesBoth(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, Name), []byte("torn"), 0o644))
	_, _, err := Last(dir)
	require.ErrorContains(t, err, filepath.Join(dir, Name)+" is damaged")
	require.NotErrorIs(t, err, os.ErrNotExist, "a damaged checkpoint is no fresh start")
	require.NoError(t, os.WriteFile(filepath.Join(dir, PreviousName), []byte("torn"), 0o644))
	_, _, err = Last(dir)
	require.ErrorContains(t, err, filepath.Join(dir, PreviousName)+" is damaged")
	require.ErrorContains(t, err, filepath.Join(dir, Name)+" is damaged")
}

func TestACheckpointThatCannotBeWrittenLeavesTheOldOne(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenFolder(dir)
	require.NoError(t, err)
	require.NoError(t, d.Write(state{1}, -1, body("a")))
	full := errors.New("no room")
	err = d.Write(state{2}, -1, func(w io.Writer) error { return errors.Join(body("half")(w), full) })
	require.ErrorIs(t, err, full)
	require.Equal(t, []string{Name}, names(t, dir))
	f, _, err := Last(dir)
	require.NoError(t, err)
	requireFile(t, f, 1, "a")
}

func TestCheckSameRunSaysWhatDiffers(t *testing.T) {
	ours := map[string]string{"LR": "0.1", "lists": "1f"}
	what := map[string]string{"lists": "other lists"}
	require.NoError(t, CheckSameRun(map[string]string{"LR": "0.1", "lists": "1f"}, ours, what))
	require.EqualError(t, CheckSameRun(map[string]string{"LR": "0.1", "lists": "1f", "Widths": "[8 4]"}, ours, what),
		"Widths is [8 4] in the checkpoint and unset in this run")
	require.EqualError(t, CheckSameRun(map[string]string{"lists": "1f"}, ours, what),
		"LR is unset in the checkpoint and 0.1 in this run")
	require.EqualError(t, CheckSameRun(map[string]string{"LR": "0.2", "lists": "1f"}, ours, what), "LR is 0.2 in the checkpoint and 0.1 in this run")
	require.EqualError(t, CheckSameRun(map[string]string{"LR": "0.1"}, ours, what), "other lists")
}

func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(f, Write(path, state{3}, body("weights")))
	whole, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(whole[:len(whole)-sha256.Size], true)
	f.Add(whole[:20], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, data []byte, sum bool) {
		path := filepath.Join(t.TempDir(), "file")
		content := data
		if sum { // let the checksum fit, so that what comes after it is read
			content = withSum(data)
		}
		require.NoError(t, os.WriteFile(path, content, 0o644))
		file, err := Open(path)
		if err != nil {
			require.ErrorContains(t, err, path)
			return
		}
		_, err = io.ReadAll(file.Body)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	})
}

func withSum(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append(bytes.Clone(data), sum[:]...)
}
