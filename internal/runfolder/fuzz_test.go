package runfolder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzManifest: a manifest is read or refused by its name, and what is read can be asked for its stages.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format": 1, "stages": [{"name": "corpus", "file": "corpus.jsonl", "state": "complete"}]}`))
	f.Add([]byte(`{"format": 1, "stages": [null, {"name": "..", "file": "...jsonl", "owns": ["../x"]}]}`))
	f.Add([]byte(`{"format": 99}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, ManifestFile)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		m, err := ReadManifest(dir, testLayout)
		if err != nil {
			require.ErrorContains(t, err, path)
			return
		}
		for _, e := range m.Stages {
			require.Same(t, e, m.Find(e.Name))
			require.Equal(t, filepath.Base(e.File), e.File)
		}
	})
}
