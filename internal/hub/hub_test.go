package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/faultproxy"
	"github.com/retort-ir/retort/internal/hub/hubtest"
)

const (
	modulesText = `[{"path": "", "type": "T"}, {"path": "1_Pooling", "type": "P"}]`
	weightsText = "0123456789abcdefghij"
	secret      = "hf_0123456789secret"
)

func model() *hubtest.Repository {
	return &hubtest.Repository{Commit: hubtest.Commit, Files: map[string]string{
		"config.json": "{}", "modules.json": modulesText, "tokenizer.json": `{"version": "1.0"}`, "1_Pooling/config.json": "{ }",
		"model.safetensors": weightsText, "pytorch_model.bin": "pickle", "onnx/model.onnx": "onnx", "onnx/config.json": "{  }",
		"train.py": "import os", "README.md": "# model",
	}}
}

func one(r *hubtest.Repository) map[string]*hubtest.Repository {
	return map[string]*hubtest.Repository{"org/model": r}
}

func TestAModelIsDownloadedOnce(t *testing.T) {
	h := hubtest.New(t, one(model()))
	var log bytes.Buffer
	dir, err := Resolve(t.Context(), "org/model", logger(&log))
	require.NoError(t, err)
	cache := filepath.Join(os.Getenv("HF_HOME"), "hub")
	require.Equal(t, filepath.Join(cache, "models--org--model", "snapshots", hubtest.Commit), dir)
	require.Equal(t, map[string]string{
		"config.json": "{}", "modules.json": modulesText, "tokenizer.json": `{"version": "1.0"}`, "1_Pooling/config.json": "{ }",
		"model.safetensors": weightsText, "README.md": "# model",
	}, contents(t, dir))
	link, err := os.Readlink(filepath.Join(dir, "1_Pooling", "config.json"))
	require.NoError(t, err)
	require.Equal(t, "../../../blobs", filepath.ToSlash(filepath.Dir(link)))
	ref, err := os.ReadFile(filepath.Join(cache, "models--org--model", "refs", "main"))
	require.NoError(t, err)
	require.Equal(t, hubtest.Commit, string(ref))
	require.FileExists(t, filepath.Join(cache, "models--org--model", "blobs", fmt.Sprintf("%x", sha256.Sum256([]byte(weightsText)))))

	before := len(h.Requests())
	again, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.Len(t, h.Requests(), before+1, "only the revision is looked up")
	require.Len(t, h.Large.Requests(), 1)
}

// The listing was made by Python's huggingface_hub from the same repository (testdata/make_cache.py).
func TestTheCacheIsPythons(t *testing.T) {
	hubtest.New(t, one(model()))
	_, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/python_cache.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), listing(t, filepath.Join(os.Getenv("HF_HOME"), "hub")))
}

func TestARevisionHasItsOwnRef(t *testing.T) {
	for revision, ref := range map[string]string{"refs/pr/1": "refs/refs/pr/1", hubtest.Commit: ""} {
		h := hubtest.New(t, one(model()))
		dir, err := Resolve(t.Context(), "org/model@"+revision, nil)
		require.NoError(t, err)
		require.Equal(t, hubtest.Commit, filepath.Base(dir))
		require.Equal(t, "GET /api/models/org/model/revision/"+revision, h.Requests()[0])
		if ref != "" {
			require.FileExists(t, filepath.Join(filepath.Dir(filepath.Dir(dir)), filepath.FromSlash(ref)))
		}
		t.Setenv("HF_HUB_OFFLINE", "1")
		_, err = Resolve(t.Context(), "org/model@"+revision, nil)
		require.NoError(t, err)
	}
}

func TestOneFileIsDownloadedAlone(t *testing.T) {
	repository := &hubtest.Repository{Commit: hubtest.Commit, Files: map[string]string{"q/m.gguf": "GGUF", "config.json": "{}"}}
	hubtest.New(t, one(repository))
	path, err := Resolve(t.Context(), "org/model:q/m.gguf", nil)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"q/m.gguf": "GGUF"}, contents(t, filepath.Dir(filepath.Dir(path))))
	_, err = Resolve(t.Context(), "org/model:other.gguf", nil)
	require.ErrorContains(t, err, `org/model has no file "other.gguf"`)
	_, err = Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, "the repository holds GGUF files: name one after a colon, such as :q/m.gguf")
	t.Setenv("HF_HUB_OFFLINE", "1")
	offline, err := Resolve(t.Context(), "org/model:q/m.gguf", nil)
	require.NoError(t, err)
	require.Equal(t, path, offline)
}

func TestAPathThatExistsIsTaken(t *testing.T) {
	h := hubtest.New(t, one(model()))
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll("org/model", 0o755))
	for _, path := range []string{"org/model", "org", "./org/other", "/nowhere/model", "a/b/c", "model", "", `org\model`} {
		got, err := Resolve(t.Context(), path, nil)
		require.NoError(t, err)
		require.Equal(t, path, got)
	}
	require.Empty(t, h.Requests())
}

func TestARenamedRepositoryIsFollowed(t *testing.T) {
	h := hubtest.New(t, map[string]*hubtest.Repository{"new/name": model()})
	h.Moved = map[string]string{"org/model": "new/name"}
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Contains(t, dir, "models--org--model")
	require.Equal(t, weightsText, contents(t, dir)["model.safetensors"])
}

func TestADownloadGoesOnWhereItStopped(t *testing.T) {
	for name, c := range map[string]struct {
		partial string
		ranges  []string
	}{
		"nothing":        {"", []string{""}},
		"half":           {weightsText[:10], []string{"bytes=10-"}},
		"all":            {weightsText, nil},
		"damaged":        {"damaged", []string{"bytes=7-", ""}},
		"damaged, whole": {strings.ToUpper(weightsText), []string{""}},
		"longer":         {weightsText + "x", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t, one(model()))
			blobs := filepath.Join(os.Getenv("HF_HOME"), "hub", "models--org--model", "blobs")
			require.NoError(t, os.MkdirAll(blobs, 0o755))
			blob := filepath.Join(blobs, fmt.Sprintf("%x", sha256.Sum256([]byte(weightsText))))
			require.NoError(t, os.WriteFile(blob+".incomplete", []byte(c.partial), 0o644))
			dir, err := Resolve(t.Context(), "org/model", nil)
			require.NoError(t, err)
			require.Equal(t, weightsText, contents(t, dir)["model.safetensors"])
			var ranges []string
			for _, r := range h.Large.Requests() {
				ranges = append(ranges, r.Header.Get("Range"))
			}
			require.Equal(t, c.ranges, ranges)
			require.NoFileExists(t, blob+".incomplete")
		})
	}
}

func TestFaultsOfTheServerAreRetried(t *testing.T) {
	hubtest.New(t, one(model()), faultproxy.Reset(), faultproxy.CutBody(), faultproxy.CutBody())
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Equal(t, weightsText, contents(t, dir)["model.safetensors"])
}

func TestWrongBytesAreRefused(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"other bytes": bytes.ToUpper,
		"more bytes":  func(b []byte) []byte { return append(b, "more"...) },
	} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t, one(model()), faultproxy.Edit(change), faultproxy.Edit(change))
			_, err := Resolve(t.Context(), "org/model", nil)
			require.ErrorContains(t, err, "download model.safetensors: the server sent other bytes than its ETag and size announce")
			require.NotContains(t, err.Error(), "signature")
			for file := range contents(t, os.Getenv("HF_HOME")) {
				require.NotContains(t, file, "safetensors")
				require.NotContains(t, file, ".incomplete")
			}
			require.NoFileExists(t, filepath.Join(os.Getenv("HF_HOME"), "hub", "models--org--model", "refs", "main"))
			require.Len(t, h.Large.Requests(), 1)
		})
	}
}

// The token reaches the hub, and neither another server nor an error nor a log line, even where the hub sends it back.
func TestTheTokenGoesToTheHubOnly(t *testing.T) {
	repository := model()
	repository.Token = secret
	for name, set := range map[string]func(){
		"variable": func() { t.Setenv("HF_TOKEN", " "+secret+"\n") },
		"file": func() {
			require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("HF_HOME"), "token"), []byte(secret+"\n"), 0o600))
		},
	} {
		h := hubtest.New(t, one(repository))
		set()
		var log bytes.Buffer
		dir, err := Resolve(t.Context(), "org/model", logger(&log))
		require.NoError(t, err, name)
		require.Equal(t, weightsText, contents(t, dir)["model.safetensors"])
		for _, r := range h.Large.Requests() {
			require.NotContains(t, r.Header, "Authorization", name)
		}
		require.NotContains(t, log.String(), secret)
		t.Setenv("HF_TOKEN", "")
	}
	hubtest.New(t, one(repository))
	t.Setenv("HF_TOKEN", secret+"-of-another")
	var log bytes.Buffer
	_, err := Resolve(t.Context(), "org/model", logger(&log))
	require.ErrorContains(t, err, "HTTP 401 Unauthorized: Repository not found for Bearer [API key]")
	require.NotContains(t, err.Error()+log.String(), secret)
	t.Setenv("HF_TOKEN", "two words")
	_, err = Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, "HF_TOKEN")
	require.NotContains(t, err.Error(), "two words")
}

func TestNamesFromTheServerStayInTheFolder(t *testing.T) {
	for _, file := range []string{"../evil.json", "1_Pooling/../../evil.json", "/evil.json", `..\evil.json`, "C:evil.json"} {
		repository := model()
		repository.Files[file] = "{}"
		repository.Files["modules.json"] = `[{"path": ""}, {"path": "1_Pooling/.."}, {"path": ".."}, {"path": "1_Pooling/../.."}]`
		hubtest.New(t, one(repository))
		_, err := Resolve(t.Context(), "org/model", nil)
		if err != nil {
			require.ErrorContains(t, err, "leads out of the model folder", file)
		}
		for path := range contents(t, os.Getenv("HF_HOME")) {
			require.NotContains(t, path, "evil", file)
		}
	}
	_, err := parseETag(`"../../evil"`)
	require.Error(t, err)
	repository := model()
	repository.Commit = "../../../evil"
	hubtest.New(t, one(repository))
	_, err = Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, `gave "../../../evil" as the commit of org/model`)
}

func TestOffline(t *testing.T) {
	h := hubtest.New(t, one(model()))
	t.Setenv("HF_HUB_OFFLINE", "yes")
	_, err := Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, "org/model: not a path here; on the Hugging Face hub: HF_HUB_OFFLINE is set, and the cache "+
		filepath.Join(os.Getenv("HF_HOME"), "hub")+" has no whole copy of org/model: unset it once to download the model")
	require.Empty(t, h.Requests())

	t.Setenv("HF_HUB_OFFLINE", "0")
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	t.Setenv("HF_HUB_OFFLINE", "1")
	before := len(h.Requests())
	offline, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Equal(t, dir, offline)
	require.Len(t, h.Requests(), before)

	require.NoError(t, os.Remove(filepath.Join(dir, "model.safetensors")))
	_, err = Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, "has no whole copy")
}

func TestWithoutTheHubTheCacheWillDo(t *testing.T) {
	hubtest.New(t, one(model()))
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	server := faultproxy.Always(t, http.NotFoundHandler(), faultproxy.Status(503))
	t.Setenv("HF_ENDPOINT", server.URL)
	var log bytes.Buffer
	got, err := Resolve(t.Context(), "org/model", logger(&log))
	require.NoError(t, err)
	require.Equal(t, dir, got)
	require.Contains(t, log.String(), "the Hugging Face hub cannot be reached; org/model is the copy in the cache")
	require.Len(t, server.Requests(), 1, "no retries")
}

func TestErrorsSayWhatToDo(t *testing.T) {
	gated := model()
	gated.Gated = true
	for name, c := range map[string]struct {
		repository *hubtest.Repository
		ask        string
		want       []string
	}{
		"unknown": {model(), "foo/bar", []string{
			"foo/bar: not a path here; on the Hugging Face hub: no such repository or revision, or a private one: ",
			"/api/models/foo/bar/revision/main: HTTP 401 Unauthorized: Repository not found; check the name, and set HF_TOKEN",
		}},
		"gated": {gated, "org/model", []string{
			"the repository is gated or private: ", "HTTP 401 Unauthorized; ask for access on its page, and set HF_TOKEN",
		}},
		"revision":      {model(), "org/model@v9", []string{"no such repository or revision", "Invalid rev id: v9"}},
		"bad revision":  {model(), "org/model@../main", []string{"org/model@../main: not a path here"}},
		"another model": {&hubtest.Repository{Commit: hubtest.Commit, Files: map[string]string{"a.onnx": ""}}, "org/model", []string{"holds no model that Retort reads"}},
	} {
		hubtest.New(t, one(c.repository))
		_, err := Resolve(t.Context(), c.ask, nil)
		for _, want := range c.want {
			require.ErrorContains(t, err, want, name)
		}
	}
	hubtest.New(t, one(gated))
	t.Setenv("HF_TOKEN", secret)
	_, err := Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, "the repository is gated or private")
	require.ErrorContains(t, err, "HTTP 403 Forbidden; ask for access on its page")
	t.Setenv("HF_ENDPOINT", "ftp://host")
	_, err = Resolve(t.Context(), "org/model", nil)
	require.ErrorContains(t, err, "HF_ENDPOINT")
}

func TestACancelledDownloadEndsAndGoesOnLater(t *testing.T) {
	hubtest.New(t, one(model()), faultproxy.HangMidBody())
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Resolve(ctx, "org/model", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 5*time.Second)
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	require.Equal(t, weightsText, contents(t, dir)["model.safetensors"])
}

func TestTwoDownloadsShareOne(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		time.Sleep(300 * time.Millisecond)
		next.ServeHTTP(w, r)
	}
	h := hubtest.New(t, one(model()), slow, slow)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			dir, err := Resolve(t.Context(), "org/model", nil)
			if err == nil {
				_, err = os.ReadFile(filepath.Join(dir, "model.safetensors"))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Len(t, h.Large.Requests(), 1)
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		relative, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(relative)] = string(data)
		return err
	}))
	return found
}

// listing lists the repositories' files in a cache: their sizes, or where they link to.
func listing(t *testing.T, cache string) string {
	t.Helper()
	lines := map[string]string{}
	require.NoError(t, filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		relative, _ := filepath.Rel(cache, path)
		relative = filepath.ToSlash(relative)
		if err != nil || d.IsDir() || !strings.HasPrefix(relative, "models--") {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		lines[relative] = fmt.Sprint(info.Size())
		if link, err := os.Readlink(path); err == nil {
			lines[relative] = "-> " + filepath.ToSlash(link)
		}
		return nil
	}))
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(&b, name, lines[name])
	}
	return b.String()
}

func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
