package generate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/regular"
)

// Every bit of a file of answers: it is noticed, and a repair loses the one answer that it is in, or two where it takes
// the end of a line between them.
func TestAFlippedBitOfTheAnswersIsNoticedAndCostsNoOthers(t *testing.T) {
	path := answersPath(t)
	owns := []string{"one", "two", "three", "four"}
	model := &parrot{fingerprint: "v1"}
	answers := openAnswers(t, path)
	recorded, err := Recorded(model, answers)
	require.NoError(t, err)
	for _, r := range asks(owns...) {
		_, err := recorded.Complete(t.Context(), r)
		require.NoError(t, err)
	}
	require.NoError(t, answers.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, CheckAnswers(t.Context(), path))
	r, err := RepairAnswers(t.Context(), path)
	require.NoError(t, err)
	require.Nil(t, r)
	for at := range whole {
		for bit := range 8 {
			damaged := append([]byte(nil), whole...)
			damaged[at] ^= 1 << bit
			require.NoError(t, os.WriteFile(path, damaged, 0o644))
			require.ErrorIs(t, CheckAnswers(t.Context(), path), ErrAnswersCorrupt, "bit %d of byte %d", bit, at)
			if whole[at] != '\n' && (8*at+bit)%101 > 0 {
				continue // a repair syncs files, which takes its time
			}
			r, err := RepairAnswers(t.Context(), path)
			require.NoError(t, err)
			lost := 1
			if whole[at] == '\n' && at < len(whole)-1 {
				lost = 2
			}
			require.Equal(t, len(owns)-lost, r.Kept, "bit %d of byte %d", bit, at)
			require.NoError(t, CheckAnswers(t.Context(), path))
		}
	}

	// What is kept is answered from the file, and the rest asked for again.
	damaged := append([]byte(nil), whole...)
	damaged[40] ^= 1
	require.NoError(t, os.WriteFile(path, damaged, 0o644))
	_, err = RepairAnswers(t.Context(), path)
	require.NoError(t, err)
	again := &parrot{fingerprint: "v1"}
	recorded, err = Recorded(again, openAnswers(t, path))
	require.NoError(t, err)
	for _, r := range asks(owns...) {
		c, err := recorded.Complete(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, "re: "+r.Prompt.Own, c.Text)
	}
	require.Equal(t, []string{"one"}, again.asked)

	none := filepath.Join(t.TempDir(), "none")
	require.NoError(t, CheckAnswers(t.Context(), none))
	r, err = RepairAnswers(t.Context(), none)
	require.NoError(t, err)
	require.Nil(t, r)
}

func TestWhatIsNoRegularFileIsNeitherCheckedNorRepaired(t *testing.T) {
	folder := t.TempDir()
	require.ErrorIs(t, CheckAnswers(t.Context(), folder), regular.ErrNotRegular)
	_, err := RepairAnswers(t.Context(), folder)
	require.ErrorIs(t, err, regular.ErrNotRegular)
}
