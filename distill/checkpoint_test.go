package distill

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/checkpoint"
)

// damages are what a power cut, a full disk or a bad one make of a file.
func damages(whole []byte) map[string][]byte {
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	return map[string][]byte{
		"empty": {}, "one byte": whole[:1], "half": whole[:len(whole)/2], "last byte lost": whole[:len(whole)-1],
		"a bit flipped": flipped,
	}
}

// killedAt trains until a step has been made and reported, and ends there as a kill would.
func killedAt(t *testing.T, opts Options, step int) {
	t.Helper()
	corpus, lists := world(t)
	n := 0
	e := &student{Encoder: newStudent(t), onStep: func() error {
		if n++; n > step {
			return errKilled
		}
		return nil
	}}
	_, err := Train(background, e, corpus, lists, opts)
	require.ErrorIs(t, err, errKilled)
}

func TestTrainingGoesOnFromTheCheckpointBeforeADamagedOne(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Every = 0
	undisturbed := newStudent(t)
	want, err := Train(background, undisturbed, corpus, lists, opts)
	require.NoError(t, err)

	opts.Checkpoints.Dir = t.TempDir()
	killedAt(t, opts, 7)
	path := filepath.Join(opts.Checkpoints.Dir, checkpoint.Name)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	before, err := os.ReadFile(filepath.Join(opts.Checkpoints.Dir, checkpoint.PreviousName))
	require.NoError(t, err)
	for name, content := range damages(whole) {
		t.Run(name, func(t *testing.T) {
			opts := opts
			opts.Checkpoints.Dir = t.TempDir()
			for name, data := range map[string][]byte{checkpoint.Name: content, checkpoint.PreviousName: before} {
				require.NoError(t, os.WriteFile(filepath.Join(opts.Checkpoints.Dir, name), data, 0o644))
			}
			state := readState(t, filepath.Join(opts.Checkpoints.Dir, checkpoint.PreviousName))
			require.Equal(t, 6, state.Step)
			copyFile(t, checkpoint.BestPath(opts.Checkpoints.Dir, state.Best.Step), checkpoint.BestPath(filepath.Dir(path), state.Best.Step))

			var log bytes.Buffer
			opts.Events = retort.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
			first := 0
			opts.Events.Step = func(s retort.Step) { first = cmp.Or(first, s.Step) }
			e := newStudent(t)
			got, err := Train(background, e, corpus, lists, opts)
			require.NoError(t, err)
			require.Equal(t, 7, first)
			require.Equal(t, want, got)
			require.Equal(t, stateOf(t, undisturbed), stateOf(t, e))
			require.Contains(t, log.String(), "level=WARN")
			require.Contains(t, log.String(), "is damaged")
			require.Contains(t, log.String(), "step=6")
		})
	}
}

func readState(t *testing.T, path string) (state trainState) {
	t.Helper()
	f, err := checkpoint.Open(path)
	require.NoError(t, err)
	require.NoError(t, f.State(&state))
	require.NoError(t, f.Close())
	return state
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o644))
}

// Every moment between the files of two checkpoints leaves one that training goes on from.
func TestAKillBetweenTwoRenamesCostsNothingButTime(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Every = 0
	undisturbed := newStudent(t)
	_, err := Train(background, undisturbed, corpus, lists, opts)
	require.NoError(t, err)
	opts.Checkpoints.Dir = t.TempDir()
	killedAt(t, opts, 7)
	require.NoError(t, os.Remove(filepath.Join(opts.Checkpoints.Dir, checkpoint.Name)))
	for _, name := range []string{"." + checkpoint.Name + ".tmp-1", ".best-9.state.tmp-77"} {
		require.NoError(t, os.WriteFile(filepath.Join(opts.Checkpoints.Dir, name), []byte("torn"), 0o644))
	}
	e := newStudent(t)
	_, err = Train(background, e, corpus, lists, opts)
	require.NoError(t, err)
	require.Equal(t, stateOf(t, undisturbed), stateOf(t, e))
	entries, err := os.ReadDir(opts.Checkpoints.Dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.NotContains(t, e.Name(), ".tmp-", "what a kill has left is removed")
	}
}

func TestACheckpointWithoutItsBestStudentIsDamaged(t *testing.T) {
	corpus, lists := world(t)
	for name, content := range map[string][]byte{"missing": nil, "torn": []byte("retort")} {
		t.Run(name, func(t *testing.T) {
			opts := quick()
			opts.Checkpoints.Every, opts.Checkpoints.Dir = 0, t.TempDir()
			killedAt(t, opts, 7)
			best := checkpoint.BestPath(opts.Checkpoints.Dir, readState(t, filepath.Join(opts.Checkpoints.Dir, checkpoint.Name)).Best.Step)
			require.NoError(t, os.Remove(best))
			if content != nil {
				require.NoError(t, os.WriteFile(best, content, 0o644))
			}
			_, err := Train(background, newStudent(t), corpus, lists, opts)
			require.ErrorContains(t, err, "without its best model")
			require.ErrorContains(t, err, best)
		})
	}
}

func TestWhereNoCheckpointIsWholeTheErrorNamesBoth(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Dir = t.TempDir()
	_, err := Train(background, newStudent(t), corpus, lists, opts)
	require.NoError(t, err)
	path, previous := filepath.Join(opts.Checkpoints.Dir, checkpoint.Name), filepath.Join(opts.Checkpoints.Dir, checkpoint.PreviousName)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, content := range damages(whole) {
		require.NoError(t, os.WriteFile(path, content, 0o644))
		require.NoError(t, os.WriteFile(previous, content, 0o644))
		e := newStudent(t)
		before := weightsOf(t, e)
		_, err = Train(background, e, corpus, lists, opts)
		require.ErrorContains(t, err, "damaged", name)
		require.ErrorContains(t, err, path+" is", name)
		require.ErrorContains(t, err, previous, name)
		require.Equal(t, before, weightsOf(t, e), name)
	}
	require.NoError(t, os.Remove(path))
	_, err = Train(background, newStudent(t), corpus, lists, opts)
	require.ErrorContains(t, err, previous, "a damaged checkpoint is no fresh start")
}

// fullDisk is a student whose state does not fit the disk from a certain moment on.
type fullDisk struct {
	*encodertest.Encoder
	full bool
	err  error
}

func (s *fullDisk) SaveState(w io.Writer) error {
	if !s.full {
		return s.Encoder.SaveState(w)
	}
	if _, err := io.WriteString(w, "half of a state"); err != nil {
		return err
	}
	return s.err
}

func TestAFullDiskLeavesTheOldCheckpointAndSaysSo(t *testing.T) {
	corpus, lists := world(t)
	for _, test := range []struct {
		name string
		from int // the step after which nothing can be written
		want []string
	}{
		{"a checkpoint", 5, []string{"step 5 is not saved", "the last good checkpoint is that of step 4 in DIR"}},
		{"the best student", 6, []string{"step 6 is not saved", "the last good checkpoint is that of step 5 in DIR"}},
		{"the first student", 0, []string{"step 0 is not saved", "there is no checkpoint:"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := quick()
			opts.Checkpoints.Every, opts.Selection.EvalSteps = 0, 3
			undisturbed := newStudent(t)
			want, err := Train(background, undisturbed, corpus, lists, opts)
			require.NoError(t, err)

			opts.Checkpoints.Dir = t.TempDir()
			e := &fullDisk{Encoder: newStudent(t), full: test.from == 0, err: diskFull}
			opts.Events.Step = func(s retort.Step) { e.full = s.Step == test.from }
			_, err = Train(background, e, corpus, lists, opts)
			require.ErrorIs(t, err, diskFull)
			require.ErrorContains(t, err, "the disk is full")
			for _, text := range test.want {
				require.ErrorContains(t, err, string(bytes.ReplaceAll([]byte(text), []byte("DIR"), []byte(opts.Checkpoints.Dir))))
			}
			entries, err := os.ReadDir(opts.Checkpoints.Dir)
			require.NoError(t, err)
			for _, e := range entries {
				require.NotContains(t, e.Name(), ".tmp-")
			}

			opts.Events = retort.Events{}
			again := newStudent(t)
			got, err := Train(background, again, corpus, lists, opts)
			require.NoError(t, err, "with room again")
			require.Equal(t, want, got)
			require.Equal(t, stateOf(t, undisturbed), stateOf(t, again))
		})
	}
}

func TestOtherFailuresToSaveAreNoFullDisk(t *testing.T) {
	corpus, lists := world(t)
	opts := quick()
	opts.Checkpoints.Dir = t.TempDir()
	broken := errors.New("the device fell off")
	_, err := Train(background, &fullDisk{Encoder: newStudent(t), full: true, err: broken}, corpus, lists, opts)
	require.ErrorIs(t, err, broken)
	require.NotContains(t, err.Error(), "disk is full")
}
