package ledger

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASealedRecordIsReadBackAtItsPlaceOnly(t *testing.T) {
	for _, value := range []any{
		map[string]any{}, map[string]string{"text": `<"}` + "\n"}, struct {
			N int `json:"n"`
		}{3},
	} {
		line, err := Seal(7, value)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(line), "\n"))
		line = line[:len(line)-1]
		body, ok := Unseal(7, line)
		require.True(t, ok)
		if len(body) > 2 {
			require.Contains(t, string(line), string(body[:len(body)-1])+`,"crc32c":"`)
		}
		_, ok = Unseal(8, line)
		require.False(t, ok, "another place")
		for i := range line {
			for bit := range 8 {
				changed := append([]byte(nil), line...)
				changed[i] ^= 1 << bit
				_, ok = Unseal(7, changed)
				require.False(t, ok, "bit %d of byte %d changed", bit, i)
			}
			_, ok = Unseal(7, line[:i])
			require.False(t, ok, "cut at byte %d", i)
		}
	}
	_, err := Seal(0, []int{1})
	require.ErrorContains(t, err, "[]int is not an object")
}
