package training

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/checkpoint"
)

// killedAfter trains in a folder until a number of steps are made, and ends there as a kill would.
func killedAfter(t *testing.T, dir string, steps int) settings {
	t.Helper()
	s := settings{dir: dir, evaluates: true}
	l := newLearner(s)
	l.hook = func(at string) error {
		if at == "step" && l.state.Step == steps {
			return errKilled
		}
		return nil
	}
	require.ErrorIs(t, l.train(t.Context()), errKilled)
	return s
}

// damages are what disks and kills make of a file.
func damages(whole []byte) map[string][]byte {
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 4
	return map[string][]byte{
		"empty": {}, "one byte": whole[:1], "half": whole[:len(whole)/2], "last byte lost": whole[:len(whole)-1],
		"a bit flipped": flipped,
	}
}

func TestARunGoesOnFromTheCheckpointBeforeADamagedOne(t *testing.T) {
	want := undisturbed(t, settings{evaluates: true})
	whole, err := os.ReadFile(filepath.Join(killedAfter(t, t.TempDir(), 7).dir, checkpoint.Name))
	require.NoError(t, err)
	for name, content := range damages(whole) {
		t.Run(name, func(t *testing.T) {
			s := killedAfter(t, t.TempDir(), 7)
			require.NoError(t, os.WriteFile(filepath.Join(s.dir, checkpoint.Name), content, 0o600))
			first := 0
			l := newLearner(s)
			l.hook = func(at string) error {
				if at == "step" && first == 0 {
					first = l.state.Step + 1
				}
				return nil
			}
			require.NoError(t, l.train(t.Context()))
			require.Equal(t, 7, first)
			require.Len(t, l.damages, 1)
			require.ErrorContains(t, l.damages[0], "is damaged")
			requireSame(t, want, l)
		})
	}
}

// Every moment between the files of two checkpoints leaves one that the run goes on from.
func TestAKillBetweenTwoRenamesCostsNothingButTime(t *testing.T) {
	s := killedAfter(t, t.TempDir(), 7)
	require.NoError(t, os.Remove(filepath.Join(s.dir, checkpoint.Name)))
	for _, name := range []string{"." + checkpoint.Name + ".tmp-1", ".best-9.state.tmp-77"} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte("torn"), 0o600))
	}
	l := newLearner(s)
	require.NoError(t, l.train(t.Context()))
	require.Empty(t, l.damages)
	requireSame(t, undisturbed(t, s), l)
	require.NotContains(t, strings.Join(names(t, s.dir), " "), ".tmp-", "what a kill has left is removed")
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestACheckpointWithoutItsBestModelIsDamaged(t *testing.T) {
	for name, content := range map[string][]byte{"missing": nil, "torn": []byte("retort")} {
		t.Run(name, func(t *testing.T) {
			s := killedAfter(t, t.TempDir(), 8)
			last, err := LastState(s.dir)
			require.NoError(t, err)
			best := checkpoint.BestPath(s.dir, last.Best.Step)
			require.NoError(t, os.Remove(best))
			if content != nil {
				require.NoError(t, os.WriteFile(best, content, 0o600))
			}
			err = newLearner(s).train(t.Context())
			require.ErrorContains(t, err, "without its best model")
			require.ErrorContains(t, err, best)
		})
	}
}

func TestWhereNoCheckpointIsWholeTheErrorNamesBoth(t *testing.T) {
	s := killedAfter(t, t.TempDir(), 7)
	path, previous := filepath.Join(s.dir, checkpoint.Name), filepath.Join(s.dir, checkpoint.PreviousName)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, content := range damages(whole) {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		require.NoError(t, os.WriteFile(previous, content, 0o600))
		l := newLearner(s)
		err := l.train(t.Context())
		require.ErrorContains(t, err, "damaged", name)
		require.ErrorContains(t, err, path+" is", name)
		require.ErrorContains(t, err, previous, name)
		require.Equal(t, 1.0, l.Weight, name)
	}
	require.NoError(t, os.Remove(path))
	require.ErrorContains(t, newLearner(s).train(t.Context()), previous, "a damaged checkpoint is no fresh start")
}

func TestAFullDiskLeavesTheOldCheckpointAndSaysSo(t *testing.T) {
	for _, c := range []struct {
		name string
		at   string
		step int // the step after which nothing can be written
		err  error
		want []string
	}{
		{"a checkpoint", "save", 5, DiskFull, []string{
			"the disk is full", "fake: step 5 is not saved", "the last good checkpoint is of step 4 in DIR",
		}},
		{"the best model", "save best", 9, DiskFull, []string{
			"the disk is full", "step 9 is not saved", "checkpoint is of step 9 in DIR",
		}},
		{"the first model", "save best", 0, DiskFull, []string{
			"the disk is full", "step 0 is not saved", "there is no checkpoint:",
		}},
		{"another failure", "save", 5, errors.New("the device fell off"), []string{
			"step 5 is not saved", "the device fell off",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := settings{dir: t.TempDir(), evaluates: true, score: rising}
			l := newLearner(s)
			l.hook = func(at string) error {
				if at == c.at && l.state.Step == c.step {
					return c.err
				}
				return nil
			}
			err := l.train(t.Context())
			require.ErrorIs(t, err, c.err)
			for _, text := range c.want {
				require.ErrorContains(t, err, strings.ReplaceAll(text, "DIR", s.dir))
			}
			require.Equal(t, c.err == error(DiskFull), strings.Contains(err.Error(), "disk is full"))
			require.NotContains(t, strings.Join(names(t, s.dir), " "), ".tmp-")

			again := newLearner(s)
			require.NoError(t, again.train(t.Context()), "with room again")
			requireSame(t, undisturbed(t, s), again)
		})
	}
}

func TestACheckpointOfAnotherRunIsRefusedByName(t *testing.T) {
	s := killedAfter(t, t.TempDir(), 7)
	for name, want := range map[string]string{"LR": "LR is 0.1 in the checkpoint and other in this run", "items": "other items"} {
		l := newLearner(s)
		l.state.Run[name] = "other"
		err := l.train(t.Context())
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "fake: "+filepath.Join(s.dir, checkpoint.Name)+" belongs to another run")
		require.ErrorContains(t, err, "take another Options.Dir")
	}
}

func TestOnlyTheFilesOfTheLastCheckpointsStay(t *testing.T) {
	s := settings{dir: filepath.Join(t.TempDir(), "new", "folder"), every: time.Hour, evaluates: true}
	s.score = func(n int) Evaluation { return Evaluation{Score: float64(min(n, 3))} }
	l := newLearner(s)
	require.NoError(t, l.train(t.Context()))
	require.Equal(t, 9, l.state.Best.Step)
	require.Equal(t, []string{"best-9.state", "checkpoint", "checkpoint.previous"}, names(t, s.dir))
	for i, e := range l.events {
		require.Equal(t, Checkpoint{Step: e.Step, Dir: s.dir, Saved: i%2 == 1, Took: e.Took}, e)
		require.Equal(t, e.Saved, e.Took > 0)
	}
	require.Len(t, l.events, 2*len(l.state.History))
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	err := newLearner(settings{dir: filepath.Join(file, "run")}).train(t.Context())
	require.ErrorContains(t, err, "fake: Options.Dir: ")
}
