package teacher

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/regular"
)

// Every bit of a store: it is noticed, and a repair loses the one record that it is in.
func TestAFlippedBitOfAStoreIsNoticedAndCostsOneScore(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(t.Context(), dir, quiet)
	require.NoError(t, err)
	var keys []key
	for i := range 5 {
		k := scoreKey("teacher", "query", fmt.Sprint("content ", i))
		keys = append(keys, k)
		require.NoError(t, s.put([]record{{k, float64(i) + .5}}))
	}
	require.NoError(t, s.Close())
	path := filepath.Join(dir, StoreFile)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, CheckStore(t.Context(), dir))
	r, err := RepairStore(t.Context(), dir)
	require.NoError(t, err)
	require.Nil(t, r)
	for at := range whole {
		for bit := range 8 {
			damaged := append([]byte(nil), whole...)
			damaged[at] ^= 1 << bit
			require.NoError(t, os.WriteFile(path, damaged, 0o644))
			require.ErrorIs(t, CheckStore(t.Context(), dir), ErrCorrupt, "bit %d of byte %d", bit, at)
			if (8*at+bit)%29 > 0 {
				continue // a repair syncs files, which takes its time
			}
			lost := 1
			if at < len(storeHeader) {
				lost = 0
			}
			r, err := RepairStore(t.Context(), dir)
			require.NoError(t, err)
			require.Equal(t, &StoreRepair{5 - lost, lost}, r)
			require.NoError(t, CheckStore(t.Context(), dir))
			s, err := OpenStore(t.Context(), dir, quiet)
			require.NoError(t, err)
			require.Equal(t, 5-lost, s.Len())
			for i, k := range keys {
				if score, ok := s.get(k); ok {
					require.Equal(t, float64(i)+.5, score)
				}
			}
			require.NoError(t, s.Close())
		}
	}
	require.NoError(t, os.WriteFile(path, []byte("a file of somebody's, longer than the header"), 0o644))
	_, err = RepairStore(t.Context(), dir)
	require.ErrorContains(t, err, "not a score cache")
	none := filepath.Join(dir, "none")
	require.NoError(t, CheckStore(t.Context(), none))
	r, err = RepairStore(t.Context(), none)
	require.NoError(t, err)
	require.Nil(t, r)
}

func TestWhatIsNoRegularFileIsNeitherCheckedNorRepaired(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, StoreFile), 0o755))
	require.ErrorIs(t, CheckStore(t.Context(), dir), regular.ErrNotRegular)
	_, err := RepairStore(t.Context(), dir)
	require.ErrorIs(t, err, regular.ErrNotRegular)
}
