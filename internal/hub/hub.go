package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/regular"
)

// Resolve returns the path of a model: path itself if it exists, or does not read as a name. Otherwise Resolve
// downloads what the cache lacks of the repository with this name, and returns the folder of the model, or the path of
// the file that the name ends with. Where the hub cannot be reached, the copy in the cache will do.
//
// logger, which may be nil, is told of downloads. No error or log line holds the token, which goes to the endpoint
// only.
func Resolve(ctx context.Context, path string, logger *slog.Logger) (string, error) {
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	n, ok := parse(path)
	if !ok {
		return path, nil
	}
	env, err := readEnvironment()
	if err != nil {
		return "", err
	}
	r, err := newRepository(n, env, logger)
	if err != nil {
		return "", err
	}
	defer r.close()
	found, err := r.resolve(ctx)
	if err != nil && ctx.Err() == nil {
		return "", fmt.Errorf("%s: not a path here; on the Hugging Face hub: %w", path, err)
	}
	return found, err
}

// repository is one repository on the hub and in the cache.
type repository struct {
	name
	environment
	hub, other *httpretry.Client // the hub's client sends the token
	logger     *slog.Logger
	dir        string // in the cache
}

// The limits of requests. A pause is the longest time without a byte.
const (
	attempts  = 5
	firstWait = 500 * time.Millisecond
	maxWait   = 15 * time.Second
	pause     = 30 * time.Second
)

func newRepository(n name, env environment, logger *slog.Logger) (*repository, error) {
	r := &repository{
		name: n, environment: env, dir: filepath.Join(env.cache, n.folder()),
		logger: cmp.Or(logger, slog.New(slog.DiscardHandler)),
	}
	o := httpretry.Options{Attempts: attempts, Wait: firstWait, MaxWait: maxWait, Timeout: pause, Logger: r.logger}
	var err error
	if r.other, err = httpretry.New(o); err != nil {
		return nil, err
	}
	o.Key = env.token
	if r.hub, err = httpretry.New(o); err != nil {
		return nil, fmt.Errorf("the token for the Hugging Face hub (HF_TOKEN): %w", err)
	}
	return r, nil
}

func (r *repository) close() {
	r.hub.Close()
	r.other.Close()
}

func (r *repository) resolve(ctx context.Context) (string, error) {
	cached, cacheErr := r.inCache()
	if r.offline {
		if cacheErr != nil {
			return "", fmt.Errorf("HF_HUB_OFFLINE is set, and %w: unset it once to download the model", cacheErr)
		}
		return cached, nil
	}
	hub := r.hub
	if cacheErr == nil {
		hub = hub.Once()
	}
	commit, files, err := r.list(ctx, hub)
	if err != nil && cacheErr == nil && isUnreachable(err) && ctx.Err() == nil {
		r.logger.Warn(fmt.Sprintf("the Hugging Face hub cannot be reached; %s is the copy in the cache", r.name),
			"error", err)
		return cached, nil
	}
	if err != nil {
		return "", explain(err, false)
	}
	found, err := r.download(ctx, commit, files)
	if err != nil {
		return "", explain(err, true)
	}
	if commit != r.revision {
		ref, err := modelfolder.Join(filepath.Join(r.dir, "refs"), r.revision)
		if err != nil {
			return "", fmt.Errorf("revision %q: %w", r.revision, err)
		}
		if err := atomicfile.WriteBytes(ref, []byte(commit)); err != nil {
			return "", err
		}
	}
	return found, nil
}

// isUnreachable says whether an error is one of the network, or of an overloaded server.
func isUnreachable(err error) bool {
	status := (*httpretry.StatusError)(nil)
	return !errors.As(err, &status) || status.Code == http.StatusTooManyRequests || status.Code >= 500
}

// explain adds what to do about an error of the hub. The hub lists the files of a gated repository for everybody, but
// gives them to nobody without access.
func explain(err error, listed bool) error {
	status := (*httpretry.StatusError)(nil)
	if !errors.As(err, &status) {
		return err
	}
	switch {
	case status.Code == http.StatusForbidden, status.Code == http.StatusUnauthorized && listed:
		return fmt.Errorf("the repository is gated or private: %w; ask for access on its page, and set HF_TOKEN", err)
	case status.Code == http.StatusUnauthorized, status.Code == http.StatusNotFound:
		return fmt.Errorf("no such repository or revision, or a private one: %w; "+
			"check the name, and set HF_TOKEN if it is private", err)
	}
	return err
}

// inCache returns what the cache holds of the revision, or an error if that is not all a model needs.
func (r *repository) inCache() (string, error) {
	lacks := fmt.Errorf("the cache %s has no whole copy of %s", r.cache, r.name)
	commit := r.revision
	if !commitHash.MatchString(commit) {
		ref, err := modelfolder.Join(filepath.Join(r.dir, "refs"), r.revision)
		if err != nil {
			return "", lacks
		}
		data, err := regular.ReadFile(ref, regular.MaxText)
		commit = strings.TrimSpace(string(data))
		if err != nil || !commitHash.MatchString(commit) {
			return "", lacks
		}
	}
	snapshot := r.snapshot(commit)
	if r.file != "" {
		path, err := modelfolder.Join(snapshot, r.file)
		if err != nil || !exists(path) {
			return "", lacks
		}
		return path, nil
	}
	var files []string
	err := filepath.WalkDir(snapshot, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && exists(path) {
			relative, _ := filepath.Rel(snapshot, path) // path is below snapshot
			files = append(files, filepath.ToSlash(relative))
		}
		return err
	})
	if err != nil {
		return "", lacks
	}
	modules, err := readModules(filepath.Join(snapshot, modulesFile))
	if err != nil {
		return "", lacks
	}
	small, weights := plan(files, modules)
	if checkPlan(files, small, weights) != nil {
		return "", lacks
	}
	return snapshot, nil
}

// download completes the snapshot of a commit, the weights last, so that a snapshot with its weights is whole.
func (r *repository) download(ctx context.Context, commit string, files []string) (string, error) {
	snapshot := r.snapshot(commit)
	get := func(files ...string) error {
		for _, file := range files {
			if err := r.fetch(ctx, commit, file); err != nil {
				return err
			}
		}
		return nil
	}
	if r.file != "" {
		if !slices.Contains(files, r.file) {
			return "", fmt.Errorf("%s has no file %q", r.name, r.file)
		}
		if err := get(r.file); err != nil {
			return "", err
		}
		return modelfolder.Join(snapshot, r.file)
	}
	if slices.Contains(files, modulesFile) {
		if err := get(modulesFile); err != nil {
			return "", err
		}
	}
	modules, err := readModules(filepath.Join(snapshot, modulesFile))
	if err != nil {
		return "", err
	}
	small, weights := plan(files, modules)
	if err := checkPlan(files, small, weights); err != nil {
		return "", err
	}
	return snapshot, get(append(small, weights...)...)
}

// readModules returns the folders that a modules.json names; none if there is no such file.
func readModules(path string) ([]string, error) {
	var modules []struct {
		Path string `json:"path"`
	}
	if err := jsonfile.Read(path, &modules); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var paths []string
	for _, m := range modules {
		paths = append(paths, m.Path)
	}
	return paths, nil
}

func (r *repository) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
