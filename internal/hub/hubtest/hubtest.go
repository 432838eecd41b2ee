// Package hubtest is a Hugging Face hub in tests: its model API, the redirects of large files to another server, ETags
// and parts of files.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/faultproxy"
)

// Repository is a model on the hub.
type Repository struct {
	Commit string
	Files  map[string]string // contents by name; weights are large files
	Token  string            // "": public
	Gated  bool              // everybody sees the names of the files, and nobody has access to them
}

// Hub is a running hub. Change Repositories and Moved before the first request only.
type Hub struct {
	URL          string
	Repositories map[string]*Repository
	Moved        map[string]string // new names of repositories
	Large        *faultproxy.Proxy // the server of large files

	mu       sync.Mutex
	requests []string
}

// Commit is a commit for a Repository.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// New starts a hub that ends with the test, and points the environment of the test to it and to an empty cache.
// faults are those of the server of large files.
func New(t *testing.T, repositories map[string]*Repository, faults ...faultproxy.Fault) *Hub {
	t.Helper()
	h := &Hub{Repositories: repositories}
	h.Large = faultproxy.New(t, http.HandlerFunc(h.serveLarge), faults...)
	server := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(server.Close)
	h.URL = server.URL
	Environment(t, h.URL)
	return h
}

// Environment sets the environment of the test to an endpoint and an empty cache, and returns the cache.
func Environment(t *testing.T, endpoint string) string {
	t.Helper()
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "HF_") || strings.HasPrefix(name, "HUGGING") || name == "TRANSFORMERS_OFFLINE" {
			t.Setenv(name, "")
		}
	}
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_ENDPOINT", endpoint)
	return filepath.Join(home, "hub")
}

// Folder returns the repository of a folder.
func Folder(t *testing.T, dir string) *Repository {
	t.Helper()
	r := &Repository{Commit: Commit, Files: map[string]string{}}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		r.Files[filepath.ToSlash(name)] = string(data)
		return err
	}))
	return r
}

// Requests returns the requests so far, such as "HEAD /a/b/resolve/main/config.json".
func (h *Hub) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.Path)
	h.mu.Unlock()
	for old, id := range h.Moved {
		if strings.Contains(r.URL.Path, old+"/re") {
			http.Redirect(w, r, strings.Replace(r.URL.Path, old, id, 1), http.StatusTemporaryRedirect)
			return
		}
	}
	for id, repository := range h.Repositories {
		if revision, found := strings.CutPrefix(r.URL.Path, "/api/models/"+id+"/revision/"); found {
			h.serveList(w, r, repository, id, revision)
			return
		}
		if rest, found := strings.CutPrefix(r.URL.Path, "/"+id+"/resolve/"); found {
			revision, file, _ := strings.Cut(rest, "/")
			h.serveFile(w, r, repository, revision, file)
			return
		}
	}
	refuse(w, http.StatusUnauthorized, "Repository not found") // as the hub says to a stranger
}

func (r *Repository) admits(w http.ResponseWriter, request *http.Request, revision string) bool {
	switch {
	case r.Token != "" && request.Header.Get("Authorization") != "Bearer "+r.Token:
		refuse(w, http.StatusUnauthorized, "Repository not found for "+request.Header.Get("Authorization"))
	case revision != "main" && revision != "refs/pr/1" && revision != r.Commit:
		refuse(w, http.StatusNotFound, "Invalid rev id: "+revision)
	default:
		return true
	}
	return false
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": message})
}

func (h *Hub) serveList(w http.ResponseWriter, r *http.Request, repository *Repository, id, revision string) {
	if !repository.admits(w, r, revision) {
		return
	}
	type sibling struct {
		Name string `json:"rfilename"`
	}
	siblings := []sibling{}
	for name := range repository.Files {
		siblings = append(siblings, sibling{name})
	}
	json.NewEncoder(w).Encode(map[string]any{
		"_id": "1", "id": id, "modelId": id, "sha": repository.Commit, "siblings": siblings, "private": false,
		"downloads": 0, "likes": 0, "tags": []string{},
	})
}

func (h *Hub) serveFile(w http.ResponseWriter, r *http.Request, repository *Repository, revision, file string) {
	if !repository.admits(w, r, revision) {
		return
	}
	if repository.Gated {
		status := http.StatusUnauthorized
		if r.Header.Get("Authorization") != "" {
			status = http.StatusForbidden
		}
		w.Header().Set("X-Error-Code", "GatedRepo")
		refuse(w, status, "Access to this model is restricted")
		return
	}
	content, found := repository.Files[file]
	if !found {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		refuse(w, http.StatusNotFound, "Entry not found")
		return
	}
	w.Header().Set("X-Repo-Commit", repository.Commit)
	if !IsLarge(file) {
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
		return
	}
	hash := sha256.Sum256([]byte(content))
	w.Header().Set("X-Linked-Etag", fmt.Sprintf(`"%x"`, hash))
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
	w.Header().Set("ETag", `"of the redirect"`)
	http.Redirect(w, r, fmt.Sprintf("%s/%x?signature=secret", h.Large.URL, hash), http.StatusFound)
}

// IsLarge says whether the hub keeps a file on the server of large files.
func IsLarge(file string) bool {
	return slices.Contains([]string{".safetensors", ".bin", ".gguf", ".onnx"}, path.Ext(file))
}

func (h *Hub) serveLarge(w http.ResponseWriter, r *http.Request) {
	for _, repository := range h.Repositories {
		for _, content := range repository.Files {
			if hash := sha256.Sum256([]byte(content)); r.URL.Path == fmt.Sprintf("/%x", hash) {
				w.Header().Set("ETag", `"of the other server"`)
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(content)))
				return
			}
		}
	}
	http.NotFound(w, r)
}
