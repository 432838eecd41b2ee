package runfolder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/ledger"
)

type thing struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func openFolder(t testing.TB, dir string) *Folder {
	t.Helper()
	f, _ := openLogged(t, dir)
	return f
}

// openLogged also returns what is reported.
func openLogged(t testing.TB, dir string) (*Folder, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	f, err := Open(t.Context(), dir, testLayout, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f, &log
}

var testLayout = Layout{
	Stages: map[string]map[string]Remedy{
		"a": {"checkpoints": Journal, "state": Redo, "model": Remove, "metrics": SetAside}, "b": nil, "c": nil, "d": nil,
		"squares": nil,
	},
	Others: map[string]Remedy{"corpus.jsonl": Remove, "costs.json": SetAside, "answers.jsonl": Journal},
}

// the stages of the tests: b reads a, c reads b, d reads nothing.
func specOf(name, setting string) Spec {
	s := Spec{Name: name, Settings: map[string]string{"setting": setting}}
	switch name {
	case "b":
		s.Inputs = []string{"a"}
	case "c":
		s.Inputs = []string{"b"}
	}
	return s
}

// run does the stage as far as it is not done, to n records, and returns how many it appended.
func run(t testing.TB, f *Folder, spec Spec, n int) int {
	t.Helper()
	s, err := f.Begin(spec)
	require.NoError(t, err)
	appended := 0
	for !s.Complete() && s.Count() < n {
		require.NoError(t, s.Append(thing{s.Count(), fmt.Sprintf("%s<%s>", spec.Name, spec.Settings["setting"])}))
		appended++
	}
	require.NoError(t, s.Finish())
	return appended
}

func records(t testing.TB, f *Folder, spec Spec) []thing {
	t.Helper()
	s, err := f.Begin(spec)
	require.NoError(t, err)
	defer s.Stop()
	var all []thing
	for v, err := range Read[thing](t.Context(), s) {
		require.NoError(t, err)
		all = append(all, v)
	}
	return all
}

// chain makes a run of four stages of 5 records and returns its folder.
func chain(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	chained.Do(func() {
		var err error
		chainedRun, err = os.MkdirTemp("", "retort-chain-") // TestMain removes it
		require.NoError(t, err)
		f := openFolder(t, chainedRun)
		for _, name := range []string{"a", "b", "c", "d"} {
			require.Equal(t, 5, run(t, f, specOf(name, "1"), 5))
		}
		require.NoError(t, f.Close())
	})
	require.NoError(t, os.CopyFS(dir, os.DirFS(chainedRun)))
	return dir
}

// chained makes chainedRun once: a run takes long for all its files to be synced.
var (
	chained    sync.Once
	chainedRun string
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

var errDiskFull = errors.New("no space left on device")

// fullDisk writes half of what is beyond its room and fails.
type fullDisk struct {
	ledger.File
	room *int64
}

func (f fullDisk) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) <= *f.room {
		return f.File.WriteAt(p, at)
	}
	n, err := f.File.WriteAt(p[:len(p)/2], at)
	return n, errors.Join(errDiskFull, err)
}
