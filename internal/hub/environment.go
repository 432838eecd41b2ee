package hub

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/internal/regular"
)

// environment holds the settings that huggingface_hub reads from environment variables.
type environment struct {
	cache    string
	endpoint *url.URL
	offline  bool
	token    func() string // a function, so that printing an environment shows no token
}

func readEnvironment() (environment, error) {
	var e environment
	home, err := folderIn("HF_HOME")
	if err == nil && home == "" {
		if home, err = folderIn("XDG_CACHE_HOME"); err == nil && home == "" {
			home, err = expand("~/.cache")
		}
		home = filepath.Join(home, "huggingface")
	}
	if err != nil {
		return e, err
	}
	if e.cache, err = folderIn("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"); err != nil {
		return e, err
	}
	e.cache = cmp.Or(e.cache, filepath.Join(home, "hub"))
	e.endpoint, err = httpretry.ParseURL(cmp.Or(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"))
	if err != nil {
		return e, fmt.Errorf("the environment variable HF_ENDPOINT: %w", err)
	}
	e.offline = isTrue(cmp.Or(os.Getenv("HF_HUB_OFFLINE"), os.Getenv("TRANSFORMERS_OFFLINE")))
	token, err := readToken(home)
	e.token = func() string { return token }
	return e, err
}

// readToken returns the user's token, "" where there is none.
func readToken(home string) (string, error) {
	if token := strings.TrimSpace(cmp.Or(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN"))); token != "" {
		return token, nil
	}
	if isTrue(os.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return "", nil
	}
	path, err := folderIn("HF_TOKEN_PATH")
	if err != nil {
		return "", err
	}
	data, err := regular.ReadFile(cmp.Or(path, filepath.Join(home, "token")), regular.MaxText)
	if os.IsNotExist(err) {
		return "", nil
	}
	return strings.TrimSpace(string(data)), err
}

// folderIn returns the path in the first of the environment variables that is set.
func folderIn(variables ...string) (string, error) {
	for _, v := range variables {
		if value := os.Getenv(v); value != "" {
			return expand(value)
		}
	}
	return "", nil
}

// expand replaces a leading ~ and variables, as Python does.
func expand(path string) (string, error) {
	if rest, found := strings.CutPrefix(path, "~"); found && (rest == "" || os.IsPathSeparator(rest[0])) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("the cache of the Hugging Face hub: %w; set HF_HOME", err)
		}
		path = home + rest
	}
	return os.ExpandEnv(path), nil
}

func isTrue(value string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(value))
}
