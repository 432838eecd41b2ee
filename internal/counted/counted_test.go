package counted

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThousandsArePartedByCommas(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 1002003: "1,002,003"} {
		require.Equal(t, want, Thousands(n), fmt.Sprint(n))
	}
}

func TestJoinPutsTheLargestCountFirst(t *testing.T) {
	require.Equal(t, "too long 27, empty 3, other 3", Join(map[string]int{"other": 3, "too long": 27, "empty": 3}))
	require.Empty(t, Join(map[string]int{}))
}
