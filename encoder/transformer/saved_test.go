//go:build libtorch

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
	"github.com/retort-ir/retort/internal/modelcard"
)

// checked are folders and what sentence-transformers is to make of them.
type checked []string

// embedded is a role's texts and their vectors.
type embedded struct {
	Texts      []string    `json:"texts"`
	Embeddings [][]float32 `json:"embeddings"`
}

func embeddedBy(t *testing.T, m *Model, role encoder.Role, texts []string) embedded {
	rows := encode(t, m, role, texts)
	return embedded{texts, rowsOf(rows)}
}

// add notes a folder, and the vectors by the name of a method in check_st.py.
func (c *checked) add(t *testing.T, dir string, want map[string]embedded) {
	raw, err := json.Marshal(want)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "embeddings.json")
	require.NoError(t, os.WriteFile(path, raw, 0o644))
	*c = append(*c, dir, path)
}

// inPython compares them, all in one process, which takes long to start.
func (c checked) inPython(t *testing.T) {
	python := os.Getenv("RETORT_PYTHON")
	if python == "" {
		t.Skip("set RETORT_PYTHON to a Python that has sentence-transformers")
	}
	out, err := exec.Command(python, append([]string{"-B", "testdata/check_st.py"}, c...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "MISSING")
}

// From folders of 16-bit weights, transformers 5 rounded what training had changed. The reference is
// sentence-transformers 6.2, on transformers 5.
func TestTrainingOfHalvesIsNotRoundedAway(t *testing.T) {
	g := readModelGolden(t, "tiny")
	var folders checked
	for _, dtype := range []string{"bfloat16", "float16"} {
		for _, towers := range []int{1, 2} {
			m := openModel(t, inHalves(t, "tiny", dtype, nil), Options{})
			if towers == 2 {
				require.NoError(t, m.SplitTowers())
			}
			before := encode(t, m, encoder.Query, g.Query.Texts)
			train(t, m, g)
			require.NotEqual(t, before, encode(t, m, encoder.Query, g.Query.Texts))
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, m.Save(dir))
			again := openModel(t, dir, Options{})
			want := map[string]embedded{
				"query": embeddedBy(t, m, encoder.Query, g.Query.Texts), "passage": embeddedBy(t, m, encoder.Passage,
					g.Passage.Texts),
			}
			require.Equal(t, want["query"], embeddedBy(t, again, encoder.Query, g.Query.Texts))
			require.Equal(t, want["passage"], embeddedBy(t, again, encoder.Passage, g.Passage.Texts))
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				said, types := storedAs(t, again.folder.Side(role).Tower.Dir)
				require.Equal(t, "float32", said)
				require.Equal(t, []string{"F32"}, types)
			}
			folders.add(t, dir, want)
		}
	}
	folders.inPython(t)
}

// A gate or a test that keeps the original once left a Router of twice the size.
func TestAModelThatIsAsItWasIsSavedAsItCame(t *testing.T) {
	g := readModelGolden(t, "tiny")
	for name, source := range map[string]string{
		"float32": "testdata/tiny", "bfloat16": inHalves(t, "tiny", "bfloat16", nil), "router": "testdata/tiny-router",
	} {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, source, Options{})
			require.NoError(t, m.SplitTowers())
			var start [][]float32
			for _, p := range m.Parameters() {
				values, err := p.Value()
				require.NoError(t, err)
				start = append(start, values)
			}
			train(t, m, g)
			for i, p := range m.Parameters() { // as the guard of a pipeline does
				require.NoError(t, p.Set(start[i]))
			}
			m.Describe(encoder.Card{Verdict: "No gain."})
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, m.Save(dir))
			was, err := ReadFolder(source, Options{})
			require.NoError(t, err)
			is, err := ReadFolder(dir, Options{})
			require.NoError(t, err)
			require.Equal(t, was.Shared(), is.Shared())
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				want, err := os.ReadFile(filepath.Join(was.Side(role).Tower.Dir, weightsFile))
				require.NoError(t, err)
				got, err := os.ReadFile(filepath.Join(is.Side(role).Tower.Dir, weightsFile))
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			card, err := os.ReadFile(filepath.Join(dir, modelcard.File))
			require.NoError(t, err)
			require.Contains(t, string(card), "with unchanged weights. No gain.\n")
		})
	}
}

func TestTheCardNamesTheWidthsThatAModelWasTrainedAt(t *testing.T) {
	for name, c := range map[string]struct {
		widths []int
		want   bool
	}{"widths": {[]int{16, 8}, true}, "whole vectors": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, "testdata/tiny", Options{})
			train(t, m, readModelGolden(t, "tiny"))
			m.Describe(encoder.Card{Widths: c.widths})
			dir := filepath.Join(t.TempDir(), "model")
			require.NoError(t, m.Save(dir))
			card, err := os.ReadFile(filepath.Join(dir, modelcard.File))
			require.NoError(t, err)
			require.Equal(t, c.want, strings.Contains(string(card), "16, 8: vectors may be truncated to any of these"), string(card))
		})
	}
}

// The reference is sentence-transformers 6.2, which cuts vectors by the truncate_dim of a saved model.
func TestASavedModelOfCutVectorsIsCutInPython(t *testing.T) {
	g := readModelGolden(t, "tiny")
	var folders checked
	for _, towers := range []int{1, 2} {
		m := openModel(t, "testdata/tiny", Options{TruncateDim: 12})
		if towers == 2 {
			require.NoError(t, m.SplitTowers())
		}
		train(t, m, g)
		dir := filepath.Join(t.TempDir(), "model")
		require.NoError(t, m.Save(dir))
		want := map[string]embedded{
			"query":   embeddedBy(t, m, encoder.Query, g.Query.Texts),
			"passage": embeddedBy(t, m, encoder.Passage, g.Passage.Texts),
		}
		require.Len(t, want["query"].Embeddings[0], 12)
		again := openModel(t, dir, Options{})
		require.Equal(t, want["query"], embeddedBy(t, again, encoder.Query, g.Query.Texts))
		folders.add(t, dir, want)
	}
	folders.inPython(t)
}

func TestASavedModelIsWhatIsInMemory(t *testing.T) {
	source := changedFolder(t, "tiny", func(string) {})
	m := openModel(t, source, Options{})
	require.NoError(t, m.SplitTowers())
	changed := towerWeights(t, m.folder.Passage.Tower)
	require.NoError(t, os.CopyFS(source+".other", os.DirFS("testdata/tiny-cls")))
	require.NoError(t, os.Rename(filepath.Join(source+".other", weightsFile), filepath.Join(source, weightsFile)))
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, m.Save(dir), "the folder got other weights of the same shape meanwhile")
	again, err := ReadFolder(dir, Options{})
	require.NoError(t, err)
	require.Equal(t, changed, towerWeights(t, again.Passage.Tower))
	require.Equal(t, changed, towerWeights(t, again.Query.Tower))
}

func TestAnExportedTowerGivesItsRolesVectors(t *testing.T) {
	var folders checked
	for _, name := range []string{"tiny", "tiny-router", "tiny-cls"} {
		g := readModelGolden(t, name)
		m := openModel(t, filepath.Join("testdata", name), Options{})
		for role, texts := range map[encoder.Role][]string{encoder.Query: g.Query.Texts, encoder.Passage: g.Passage.Texts} {
			f, err := ReadFolder(filepath.Join("testdata", name), Options{})
			require.NoError(t, err)
			dir := filepath.Join(t.TempDir(), "tower")
			require.NoError(t, f.Export(t.Context(), dir, role))
			require.NoFileExists(t, filepath.Join(dir, routerJSON))
			tower := openModel(t, dir, Options{})
			require.True(t, tower.folder.Shared())
			want := embeddedBy(t, m, role, texts)
			require.Equal(t, want, embeddedBy(t, tower, encoder.Query, texts))
			require.Equal(t, want, embeddedBy(t, tower, encoder.Passage, texts))
			folders.add(t, dir, map[string]embedded{"query": want, "passage": want, "encode": want})
		}
	}
	folders.inPython(t)
}
