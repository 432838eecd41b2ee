package libtorch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInstallWithoutGloo(t *testing.T) {
	for name, test := range map[string]struct{ header, says string }{
		"no c10d":       {"", "this LibTorch has no c10d: training with several processes is unavailable"},
		"another c10d":  {"#error another c10d\n", "Gloo does not compile: training with several processes is unavailable"},
		"an empty c10d": {"namespace c10d {}\n", "Gloo does not compile: training with several processes is unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if test.header != "" {
				folder := filepath.Join(m.torch, "include", filepath.FromSlash(filepath.Dir(glooHeader)))
				require.NoError(t, os.MkdirAll(folder, 0o755))
				for _, file := range []string{filepath.Base(glooHeader), "PrefixStore.hpp", "TCPStore.hpp"} {
					require.NoError(t, os.WriteFile(filepath.Join(folder, file), []byte(test.header), 0o644))
				}
			}
			i := m.install([]string{"atg_twice", "get_and_reset_last_err"})
			require.Contains(t, m.progress.String(), test.says)
			require.Equal(t, "twice 4 ", m.goRun(i)[0])
			require.Equal(t, test.header != "", lacksGloo(i.Build), "tried again by the next install")
		})
	}
}
