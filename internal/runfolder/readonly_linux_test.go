package runfolder

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asNobody calls do without the rights of root, which may write everywhere.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	require.NoError(t, unix.Setfsuid(65534))
	do()
	require.NoError(t, unix.Setfsuid(0))
}

func TestAReadOnlyFolderIsNamedAndLeftAsItIs(t *testing.T) {
	dir := chain(t)
	before := read(t, dir+"/a.jsonl")
	for _, name := range []string{"lock", "manifest.json", "a.jsonl"} {
		require.NoError(t, os.Chmod(dir+"/"+name, 0o444))
	}
	for parent := filepath.Dir(dir); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		require.NoError(t, os.Chmod(parent, 0o755)) // so that nobody gets this far
	}
	require.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	var err error
	asNobody(t, func() { _, err = Open(t.Context(), dir, testLayout, quiet()) })
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, dir+"/lock: permission denied")
	require.Equal(t, before, read(t, dir+"/a.jsonl"))
	m, err := ReadManifest(dir, testLayout)
	require.NoError(t, err, "its state can still be looked at")
	require.Len(t, m.Stages, 4)
}
