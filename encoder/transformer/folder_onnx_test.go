package transformer

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/onnx"
)

// exported writes a folder's networks in ONNX and reads the folder.
func exported(t *testing.T, f *Folder) *Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "exported")
	require.NoError(t, f.ExportONNX(t.Context(), dir))
	is, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	return is
}

func readFolder(t *testing.T, name string, o Options) *Folder {
	t.Helper()
	f, err := ReadFolder(filepath.Join("testdata", name), o)
	require.NoError(t, err)
	return f
}

// familyFolders are the folders of testdata with one tower, one at least for each family.
func familyFolders() []string {
	all := []string{"tiny", "tiny-cls"}
	for _, name := range families {
		all = append(all, familyFolder(name))
	}
	return all
}

func TestExportedNetworksHoldTheWeightsOfTheFolder(t *testing.T) {
	for _, name := range append(familyFolders(), "tiny-router") {
		t.Run(name, func(t *testing.T) {
			was := readFolder(t, name, Options{})
			is := exported(t, was)
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				before, after := was.Side(role).Tower, is.Side(role).Tower
				require.NoFileExists(t, filepath.Join(after.Dir, weightsFile))
				w, err := before.openWeights()
				require.NoError(t, err)
				defer w.Close()
				m, err := onnx.Open(filepath.Join(after.Dir, onnxFile))
				require.NoError(t, err)
				defer m.Close()
				parameters, err := m.Parameters()
				require.NoError(t, err)
				shapes := encodernet.Shapes(before.config)
				require.Len(t, parameters, len(shapes))
				for _, p := range parameters {
					want, err := w.Read(p.Name, p.Shape)
					require.NoError(t, err)
					require.Equal(t, want, p.Values, p.Name)
				}
			}
		})
	}
}

func TestExportedFoldersKeepTheSettings(t *testing.T) {
	was := readFolder(t, "tiny-router", Options{QueryTokens: 9, TruncateDim: 12})
	is := exported(t, was)
	require.False(t, is.Shared())
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		require.Equal(t, was.Side(role).Prompt, is.Side(role).Prompt)
		require.Equal(t, was.Side(role).Tokens, is.Side(role).Tokens)
	}
	require.Equal(t, 12, is.Dim())
	one := exported(t, was.Only(encoder.Query))
	require.True(t, one.Shared())
	require.Equal(t, was.Query.Prompt, one.Passage.Prompt)
	require.FileExists(t, filepath.Join(one.Dir, onnxFile))

	_, err := one.Query.Tower.openWeights()
	require.ErrorContains(t, err, one.Dir+": the weights are only in onnx/model.onnx")
	require.ErrorContains(t, one.ExportONNX(t.Context(), filepath.Join(t.TempDir(), "again")), "onnx/model.onnx")
	require.ErrorContains(t, was.ExportONNX(t.Context(), was.Dir), "is where the model was opened from")
}

// One network cannot leave out prompts of two lengths.
func TestAPoolingWithoutPromptsIsExportedForOneRole(t *testing.T) {
	dir := changedFolder(t, "tiny", func(dir string) {
		changeJSON(t, dir, "1_Pooling/config.json", func(j map[string]any) { j["include_prompt"] = false })
	})
	passage := "a much longer prompt: "
	f, err := ReadFolder(dir, Options{PassagePrompt: &passage})
	require.NoError(t, err)
	require.ErrorContains(t, f.ExportONNX(t.Context(), filepath.Join(t.TempDir(), "x")), "export the tower of one role")
	exported(t, f.Only(encoder.Query))
}

// batchONNX is a batch for testdata/check_onnx.py.
type batchONNX struct {
	IDs        [][]int32   `json:"ids"`
	Pad        int32       `json:"pad"`
	Left       bool        `json:"left"`
	Embeddings [][]float32 `json:"embeddings"`
}

func batchOf(t *testing.T, side *Side, texts []string, embeddings [][]float32) batchONNX {
	t.Helper()
	b := batchONNX{Pad: side.Tower.pad, Embeddings: embeddings}
	for _, text := range texts {
		ids, _, err := side.Tokenize(text)
		require.NoError(t, err)
		b.IDs = append(b.IDs, ids)
	}
	return b
}

// checkedONNX are networks and the batches that onnxruntime is to compute.
type checkedONNX []string

func (c *checkedONNX) add(t *testing.T, tower *Tower, batches ...batchONNX) {
	t.Helper()
	raw, err := json.Marshal(batches)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "batches.json")
	require.NoError(t, os.WriteFile(path, raw, 0o644))
	*c = append(*c, filepath.Join(tower.Dir, onnxFile), path)
}

// inPython runs onnx's checker and onnxruntime, once for all networks.
func (c checkedONNX) inPython(t *testing.T) {
	t.Helper()
	packages := os.Getenv("RETORT_ONNXRUNTIME")
	if packages == "" {
		t.Skip("set RETORT_ONNXRUNTIME to a folder of the Python packages onnx and onnxruntime (make .cache/onnxruntime)")
	}
	command := exec.CommandContext(t.Context(), "python3", append([]string{"-B", "testdata/check_onnx.py"}, c...)...)
	command.Env = append(os.Environ(), "PYTHONPATH="+packages)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, len(c)/2, strings.Count(string(out), "smallest cosine"), "%s", out)
	t.Logf("%s", out)
}

// The reference is sentence-transformers 6.2, which made the goldens.
func TestOnnxruntimeComputesTheGoldensOfEveryFamily(t *testing.T) {
	var networks checkedONNX
	for _, name := range familyFolders() {
		var g familyGolden
		readGolden(t, filepath.Join("testdata", name+".json"), &g)
		f := exported(t, readFolder(t, name, Options{}))
		batches := []batchONNX{
			batchOf(t, &f.Query, g.Query.Texts, g.Query.Embeddings),
			batchOf(t, &f.Passage, g.Passage.Texts, g.Passage.Embeddings),
		}
		for _, long := range g.Long {
			short := batchOf(t, &f.Passage, g.Passage.Texts[:1], g.Passage.Embeddings[:1])
			both := batchOf(t, &f.Passage, []string{longText(long.Words)}, [][]float32{long.Embedding})
			both.IDs, both.Embeddings = append(both.IDs, short.IDs...), append(both.Embeddings, short.Embeddings...)
			batches = append(batches, both)
		}
		if c := f.Query.Tower.config; c.Rotary.Theta > 0 { // no table of positions, so padding may be on the left
			for _, b := range batches {
				b.Left = true
				batches = append(batches, b)
			}
		}
		networks.add(t, f.Query.Tower, batches...)
	}
	var g familyGolden
	readGolden(t, "testdata/dense.json", &g)
	dense, err := ReadFolder(denseFolder(t, func(string) {}), Options{})
	require.NoError(t, err)
	f := exported(t, dense)
	networks.add(t, f.Query.Tower, batchOf(t, &f.Query, g.Query.Texts, g.Query.Embeddings),
		batchOf(t, &f.Passage, g.Passage.Texts, g.Passage.Embeddings))
	readGolden(t, "testdata/tiny-router.json", &g)
	f = exported(t, readFolder(t, "tiny-router", Options{}))
	networks.add(t, f.Query.Tower, batchOf(t, &f.Query, g.Query.Texts, g.Query.Embeddings))
	networks.add(t, f.Passage.Tower, batchOf(t, &f.Passage, g.Passage.Texts, g.Passage.Embeddings))
	networks.inPython(t)
}
