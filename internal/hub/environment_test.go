package hub

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/hub/hubtest"
)

// The variables and their order are those of huggingface_hub 2.4.0 (constants.py).
func TestTheEnvironmentIsPythons(t *testing.T) {
	home, err := os.UserHomeDir()
	require.NoError(t, err)
	join := filepath.Join
	for name, c := range map[string]struct {
		set                    map[string]string
		cache, endpoint, token string
		offline                bool
	}{
		"nothing":         {nil, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "", false},
		"XDG":             {map[string]string{"XDG_CACHE_HOME": "/x"}, join("/x", "huggingface", "hub"), "https://huggingface.co", "", false},
		"HF_HOME":         {map[string]string{"HF_HOME": "~/hf", "XDG_CACHE_HOME": "/x"}, join(home, "hf", "hub"), "https://huggingface.co", "", false},
		"an old cache":    {map[string]string{"HUGGINGFACE_HUB_CACHE": "/old"}, "/old", "https://huggingface.co", "", false},
		"a cache":         {map[string]string{"HF_HUB_CACHE": "$X/c", "X": "/x", "HUGGINGFACE_HUB_CACHE": "/old"}, "/x/c", "https://huggingface.co", "", false},
		"a mirror":        {map[string]string{"HF_ENDPOINT": "http://mirror/hf/"}, join(home, ".cache", "huggingface", "hub"), "http://mirror/hf", "", false},
		"a token":         {map[string]string{"HF_TOKEN": "t", "HUGGING_FACE_HUB_TOKEN": "old"}, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "t", false},
		"an old token":    {map[string]string{"HUGGING_FACE_HUB_TOKEN": "old"}, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "old", false},
		"a token's file":  {map[string]string{"HF_TOKEN_PATH": "FILE"}, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "filed", false},
		"no implicit one": {map[string]string{"HF_TOKEN_PATH": "FILE", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "", false},
		"offline":         {map[string]string{"HF_HUB_OFFLINE": "on"}, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "", true},
		"transformers":    {map[string]string{"TRANSFORMERS_OFFLINE": "1"}, join(home, ".cache", "huggingface", "hub"), "https://huggingface.co", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			hubtest.Environment(t, "")
			t.Setenv("HF_HOME", "")
			t.Setenv("XDG_CACHE_HOME", "")
			file := join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(file, []byte("filed\n"), 0o600))
			t.Setenv("HF_TOKEN_PATH", join(t.TempDir(), "none"))
			for variable, value := range c.set {
				if value == "FILE" {
					value = file
				}
				t.Setenv(variable, value)
			}
			e, err := readEnvironment()
			require.NoError(t, err)
			require.Equal(t, c.cache, e.cache)
			require.Equal(t, c.endpoint, e.endpoint.String())
			require.Equal(t, c.token, e.token())
			require.Equal(t, c.offline, e.offline)
		})
	}
}
