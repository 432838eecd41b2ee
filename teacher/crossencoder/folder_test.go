package crossencoder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// changed returns a copy of a folder of testdata with other members in a JSON file.
func changed(t *testing.T, name, file string, members map[string]any) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))))
	path := filepath.Join(dir, file)
	j := map[string]any{}
	if raw, err := os.ReadFile(path); err == nil {
		require.NoError(t, json.Unmarshal(raw, &j))
	}
	for key, value := range members {
		j[key] = value
	}
	raw, err := json.Marshal(j)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o644))
	return dir
}

// The reference is transformers 5.24: testdata/make_left.py.
func TestPairsAreCutAtTheirBeginningsWhereTheFolderSaysSo(t *testing.T) {
	var cases []struct {
		Folder, Query, Passage string
		Limit                  int
		IDs                    []int32
	}
	raw, err := os.ReadFile("testdata/left.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	lefts, rights := map[string]*folder{}, map[string]*folder{}
	for _, name := range []string{"bert", "roberta", "xlmr"} {
		left := changed(t, name, "tokenizer_config.json", map[string]any{"truncation_side": "left"})
		lefts[name], err = readFolder(left, 0)
		require.NoError(t, err)
		rights[name], err = readFolder("testdata/"+name, 0)
		require.NoError(t, err)
	}
	differ := map[string]int{}
	for _, c := range cases {
		f, right := lefts[c.Folder], rights[c.Folder]
		got, cut, err := f.pair(c.Query, c.Passage, c.Limit)
		require.NoError(t, err)
		require.Equal(t, c.IDs, got.ids, "%q, %q, %d", c.Query, c.Passage, c.Limit)
		other, otherCut, err := right.pair(c.Query, c.Passage, c.Limit)
		require.NoError(t, err)
		require.Equal(t, otherCut, cut)
		require.Len(t, other.ids, len(got.ids))
		if cut {
			differ[c.Folder]++
		}
	}
	for name := range lefts {
		require.Greater(t, differ[name], 5, name)
	}
}

func TestKeysThatChangeScoresAreRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		folder, file string
		members      map[string]any
		want         string
	}{
		"a special token": {
			"roberta", "tokenizer_config.json",
			map[string]any{"additional_special_tokens": []string{"<x>"}},
			`the id of "<x>" (additional_special_tokens of tokenizer_config.json)`,
		},
		"a special token by a purpose": {
			"xlmr", "tokenizer_config.json",
			map[string]any{"image_token": "<image>"},
			`the id of "<image>" (image_token of tokenizer_config.json)`,
		},
		"a special token of the map": {
			"roberta", "special_tokens_map.json",
			map[string]any{"cls_token": map[string]any{"content": "<c>"}},
			`the id of "<c>" (cls_token of special_tokens_map.json)`,
		},
		"an added token": {
			"roberta", "tokenizer_config.json",
			map[string]any{"added_tokens_decoder": map[string]any{"9": map[string]any{"content": "<y>"}}},
			`the id of "<y>" (added_tokens_decoder of tokenizer_config.json)`,
		},
		"padding on the other side": {
			"roberta", "tokenizer_config.json",
			map[string]any{"padding_side": "left"},
			`padding_side is "left", which is not supported`,
		},
		"an unknown key of the tokenizer": {
			"xlmr", "tokenizer.json",
			map[string]any{"pre_tokenizer": map[string]any{"type": "WhitespaceSplit", "odd": 1}},
			`tokenizer.json: pre_tokenizer: the name "odd" is unknown`,
		},
		"a shape of its own for a layer": {
			"bert", "config.json",
			map[string]any{"per_layer_config": map[string]any{"0": map[string]any{"num_attention_heads": 2}}},
			"config.json: per_layer_config is",
		},
		"code of its own": {
			"bert", "config.json",
			map[string]any{"auto_map": map[string]any{"AutoModel": "x.Y"}},
			"config.json: auto_map is",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readFolder(changed(t, c.folder, c.file, c.members), 0)
			require.ErrorContains(t, err, c.want)
		})
	}
}
