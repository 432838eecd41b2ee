package crossencoder

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
)

const encoders = "../../encoder/transformer/testdata/families"

// familyGolden is what testdata/make_families.py wrote about a reranker.
type familyGolden struct {
	Config map[string]any // members of config.json that differ from the encoder's
	Cases  []struct {
		Limit  int
		IDs    [][]int32
		Scores []float64
	}
	Loss      float64
	Gradients map[string][4]float64
}

func readFamilies(t testing.TB) map[string]familyGolden {
	t.Helper()
	raw, err := os.ReadFile("testdata/families.json")
	require.NoError(t, err)
	var g map[string]familyGolden
	require.NoError(t, json.Unmarshal(raw, &g))
	return g
}

// familyFolder makes the folder of a reranker from an encoder's and the head's weights.
func familyFolder(t testing.TB, name string, g familyGolden) string {
	t.Helper()
	family := strings.TrimSuffix(name, "-mean")
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(encoders, family))))
	path := filepath.Join(dir, encodernet.ConfigFile)
	c, err := encodernet.ReadConfig(path)
	require.NoError(t, err)
	config := map[string]json.RawMessage{} // whose numbers keep their form, for transformers tells 0 from 0.0
	require.NoError(t, jsonfile.Read(path, &config))
	class := strings.TrimSuffix(c.Family().Architecture, "Model") + "ForSequenceClassification"
	for key, value := range g.Config {
		config[key], err = json.Marshal(value)
		require.NoError(t, err)
	}
	config["architectures"], err = json.Marshal([]string{class})
	require.NoError(t, err)
	require.NoError(t, jsonfile.Write(path, config))

	prefix := c.Family().Prefix
	bare := func(name string) string { return prefix + strings.TrimPrefix(name, prefix) }
	all := tensorsOf(t, filepath.Join(dir, encodernet.WeightsFile), bare)
	all = slices.DeleteFunc(all, func(w safetensors.Tensor) bool { return strings.Contains(w.Name, "classifier.") })
	heads := tensorsOf(t, "testdata/heads.safetensors", func(stored string) string {
		inner, _ := strings.CutPrefix(stored, name+"/")
		return inner
	})
	for _, w := range heads {
		if !strings.Contains(w.Name, "/") {
			all = append(all, w)
		}
	}
	w, err := os.Create(filepath.Join(dir, encodernet.WeightsFile))
	require.NoError(t, err)
	require.NoError(t, safetensors.Write(w, all, map[string]string{"format": "pt"}))
	require.NoError(t, w.Close())
	return dir
}

func tensorsOf(t testing.TB, path string, rename func(string) string) (all []safetensors.Tensor) {
	t.Helper()
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for _, name := range f.Names() {
		shape, values, err := f.Tensor(name)
		require.NoError(t, err)
		all = append(all, safetensors.Tensor{Name: rename(name), Shape: shape, Values: values})
	}
	return all
}

// The reference is transformers 5.24's tokenizers with truncation "longest_first".
func TestPairsOfEveryFamilyEqualTransformers(t *testing.T) {
	lists := readGolden(t).lists()
	for name, g := range readFamilies(t) {
		dir := familyFolder(t, name, g)
		for _, c := range g.Cases {
			f, err := readFolder(dir, c.Limit)
			require.NoError(t, err, name)
			require.Equal(t, 1, f.labels)
			all, _, err := f.encode(t.Context(), lists)
			require.NoError(t, err)
			require.Len(t, all, len(c.IDs))
			for i, want := range c.IDs {
				require.Equal(t, want, all[i].ids, "%s, limit %d, pair %d", name, c.Limit, i)
			}
		}
	}
}

func TestHeadsOfAnotherTaskAreNone(t *testing.T) {
	f, err := readFolder(filepath.Join(encoders, "new"), 0)
	require.NoError(t, err)
	require.Zero(t, f.labels, "a classifier of tokens")
}

func TestHeadsThatCannotBeComputedAreRefused(t *testing.T) {
	g := readFamilies(t)["modernbert"]
	for want, members := range map[string]map[string]any{
		`classifier_activation is "mish"; gelu, relu, silu, tanh are supported`: {"classifier_activation": "mish"},
		`classifier_pooling is "max"; cls and mean are supported`:               {"classifier_pooling": "max"},
	} {
		g.Config = members
		_, err := readFolder(familyFolder(t, "modernbert", g), 0)
		require.ErrorContains(t, err, "config.json: "+want)
	}
	_, err := readFolder(filepath.Join(encoders, "qwen3"), 0)
	require.ErrorContains(t, err, `model_type is "qwen3"; cross-encoders of bert, `)
}

// docs/models.md has a row for every family, in their order, with what Retort's own tables say of it.
func TestTheDocsListEveryFamily(t *testing.T) {
	const docs = "../../docs"
	raw, err := os.ReadFile(filepath.Join(docs, "models.md"))
	require.NoError(t, err)
	var rows []string
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, "/testdata/") && strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	require.Len(t, rows, len(encodernet.Families()))
	for i, f := range encodernet.Families() {
		reranks := "no"
		if _, ok := heads[f.ModelType]; ok {
			reranks = "yes"
		}
		row, golden, _ := strings.Cut(rows[i], "[")
		require.Equal(t, fmt.Sprintf("| `%s` | %s | yes | yes | yes | yes | %s | ", f.ModelType, f.Known, reranks), row)
		_, golden, _ = strings.Cut(golden, "](")
		golden, _, _ = strings.Cut(golden, ")")
		require.FileExists(t, filepath.Join(docs, golden))
	}
}
