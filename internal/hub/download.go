package hub

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/ctxio"
	"github.com/retort-ir/retort/internal/filelock"
	"github.com/retort-ir/retort/internal/httpretry"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/internal/version"
)

// list returns the commit of the revision, and the names of its files.
func (r *repository) list(ctx context.Context, client *httpretry.Client) (commit string, files []string, err error) {
	at := r.endpoint.JoinPath("api/models", r.id, "revision", url.PathEscape(r.revision))
	var answer struct {
		Commit string `json:"sha"`
		Files  []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	err = r.follow(ctx, client, http.MethodGet, at, nil, func(resp *http.Response) error {
		data, err := regular.ReadAll(resp.Body, at.Path, regular.MaxJSON)
		if err == nil {
			err = strictjson.Unmarshal(data, &answer)
		}
		return err
	})
	if err != nil {
		return "", nil, err
	}
	if !commitHash.MatchString(answer.Commit) {
		return "", nil, fmt.Errorf("%s gave %.80q as the commit of %s", r.endpoint.Host, answer.Commit, r.name)
	}
	for _, f := range answer.Files {
		files = append(files, f.Name)
	}
	return answer.Commit, files, nil
}

// fetch makes sure that the snapshot of the commit holds a file.
func (r *repository) fetch(ctx context.Context, commit, file string) error {
	pointer, err := modelfolder.Join(r.snapshot(commit), file)
	if err != nil {
		return err
	}
	if exists(pointer) {
		return nil
	}
	b, err := r.describe(ctx, commit, file)
	if err != nil {
		return err
	}
	unlock, err := r.lock(ctx, b.etag)
	if err != nil {
		return err
	}
	defer unlock()
	if !exists(b.path) {
		if err := b.download(ctx); err != nil {
			return err
		}
	}
	return link(pointer, b.path)
}

// blob is one file on the hub.
type blob struct {
	*repository
	file string
	etag string
	size int64 // -1: unknown
	url  *url.URL
	path string // in the cache

	resumed bool // some of the bytes were there before
}

// describe asks for the ETag and size of a file.
func (r *repository) describe(ctx context.Context, commit, file string) (*blob, error) {
	at := r.endpoint.JoinPath(r.id, "resolve", commit)
	at = at.JoinPath(strings.Split(file, "/")...)
	b := &blob{repository: r, file: file, size: -1, url: at}
	var etag string
	err := r.follow(ctx, r.hub, http.MethodHead, at, nil, func(resp *http.Response) error {
		etag = cmp.Or(resp.Header.Get("X-Linked-Etag"), resp.Header.Get("ETag"))
		length := resp.Header.Get("X-Linked-Size")
		if length == "" && resp.StatusCode/100 == 2 {
			length = resp.Header.Get("Content-Length")
		}
		if n, err := strconv.ParseInt(length, 10, 64); err == nil && n >= 0 {
			b.size = n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if b.etag, err = parseETag(etag); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	b.path = filepath.Join(r.dir, "blobs", b.etag)
	return b, nil
}

const maxRedirects = 10

// follow sends a request and follows redirects. A HEAD request ends at a redirect to another server: the hub's answer
// describes the file, and the other server's does not. rest, which may be nil, returns the value of the header Range.
func (r *repository) follow(ctx context.Context, client *httpretry.Client, method string, at *url.URL,
	rest func() (string, error), handle func(*http.Response) error,
) error {
	for range maxRedirects {
		if !sameServer(at, r.endpoint) {
			client = r.other
		}
		var next *url.URL
		err := client.Stream(ctx, func(ctx context.Context) (*http.Request, error) {
			return newRequest(ctx, method, at, rest)
		}, func(resp *http.Response) (err error) {
			if resp.StatusCode/100 == 2 {
				return handle(resp)
			}
			if next, err = resp.Location(); err != nil {
				return err
			}
			if next.Scheme != "https" && (next.Scheme != "http" || at.Scheme == "https") {
				return fmt.Errorf("the server redirects to %s://%s", next.Scheme, next.Host)
			}
			if method == http.MethodHead && !sameServer(next, r.endpoint) {
				next = nil
				return handle(resp)
			}
			return nil
		})
		if err != nil || next == nil {
			return err
		}
		at = next
	}
	return fmt.Errorf("%s: more than %d redirects", at.Path, maxRedirects)
}

func newRequest(ctx context.Context, method string, at *url.URL, rest func() (string, error)) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "retort/"+version.Number)
	req.Header.Set("Accept-Encoding", "identity") // a size of other bytes would say nothing
	if rest == nil {
		return req, nil
	}
	value, err := rest()
	if value != "" {
		req.Header.Set("Range", value)
	}
	return req, err
}

func sameServer(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

// download downloads the blob, goes on with what an earlier download left, and checks the bytes.
func (b *blob) download(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
		return err
	}
	partial := b.path + ".incomplete"
	f, err := regular.OpenFile(partial, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	err = b.complete(ctx, f)
	if errors.Is(err, errWrongBytes) && b.resumed { // what was there before may be to blame
		if err := restart(f); err != nil {
			return err
		}
		err = b.complete(ctx, f)
	}
	if errors.Is(err, errWrongBytes) {
		err = errors.Join(err, os.Remove(partial))
	}
	if err != nil {
		return fmt.Errorf("download %s: %w", b.file, err)
	}
	return atomicfile.Commit(f, b.path)
}

// complete appends to f what is missing, and checks the bytes. It goes on after failures for as long as bytes arrive.
func (b *blob) complete(ctx context.Context, f *os.File) error {
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > b.size { // or the size is unknown
		if err := restart(f); err != nil {
			return err
		}
		have = 0
	}
	b.resumed = have > 0
	b.announce(have)
	for have != b.size {
		before := have
		err = b.append(ctx, f)
		if have, _ = f.Seek(0, io.SeekEnd); err == nil {
			break
		}
		if ctx.Err() != nil || have <= before {
			return err
		}
	}
	if b.size >= 0 && have != b.size {
		return fmt.Errorf("%w: their number is not %d", errWrongBytes, b.size)
	}
	return b.check(ctx, f)
}

// append asks for the bytes that f lacks.
func (b *blob) append(ctx context.Context, f *os.File) error {
	var have int64
	rest := func() (value string, err error) {
		if have, err = f.Seek(0, io.SeekEnd); have > 0 {
			value = fmt.Sprintf("bytes=%d-", have)
		}
		return value, err
	}
	return b.follow(ctx, b.hub, http.MethodGet, b.url, rest, func(resp *http.Response) error {
		isRest := resp.StatusCode == http.StatusPartialContent &&
			strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))
		if !isRest {
			if err := restart(f); err != nil {
				return err
			}
			have = 0
		}
		b.resumed = b.resumed || have > 0
		body := io.Reader(resp.Body)
		if b.size >= 0 {
			body = io.LimitReader(body, b.size-have+1)
		}
		_, err := io.Copy(f, body)
		return err
	})
}

func restart(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

const largeFile = 10 << 20

func (b *blob) announce(have int64) {
	if b.size < largeFile || have == b.size {
		return
	}
	text := fmt.Sprintf("downloading %s: %s (%d MB)", b.name, b.file, b.size/1e6)
	if have > 0 {
		text += fmt.Sprintf(", of which %d MB are there", have/1e6)
	}
	b.logger.Info(text)
}

var errWrongBytes = errors.New("the server sent other bytes than its ETag and size announce")

// check compares the bytes with the ETag, if that is a hash: the SHA-256 of a large file, and git's SHA-1 of a small
// one. Some mirrors give the SHA-1 without git's header.
func (b *blob) check(ctx context.Context, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var hashes []hash.Hash
	switch len(b.etag) {
	case 2 * sha256.Size:
		hashes = []hash.Hash{sha256.New()}
	case 2 * sha1.Size:
		git := sha1.New()
		fmt.Fprintf(git, "blob %d\x00", info.Size())
		hashes = []hash.Hash{git, sha1.New()}
	}
	if _, err := hex.DecodeString(b.etag); err != nil || hashes == nil {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	writers := make([]io.Writer, len(hashes))
	for i, h := range hashes {
		writers[i] = h
	}
	if _, err := io.Copy(io.MultiWriter(writers...), ctxio.NewReader(ctx, f)); err != nil {
		return err
	}
	for _, h := range hashes {
		if strings.EqualFold(hex.EncodeToString(h.Sum(nil)), b.etag) {
			return nil
		}
	}
	return fmt.Errorf("%w: their hash is %x, want %s", errWrongBytes, hashes[0].Sum(nil), b.etag)
}

// lock waits for the lock of a blob, which Python's huggingface_hub holds too while it downloads the blob.
func (r *repository) lock(ctx context.Context, etag string) (unlock func(), err error) {
	path := filepath.Join(r.cache, ".locks", r.folder(), etag+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := regular.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	said := false
	for {
		err := filelock.Lock(f)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, filelock.ErrLocked) {
			f.Close()
			return nil, err
		}
		if !said {
			r.logger.Info(fmt.Sprintf("waiting for another download of %s", r.name))
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockInterval):
		}
	}
}

const lockInterval = 100 * time.Millisecond

// link makes pointer a relative link to the blob, in place of a broken one. A hard link will do where the system has
// no symbolic links.
func link(pointer, blob string) error {
	dir := filepath.Dir(pointer)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if exists(pointer) {
		return nil
	}
	if err := os.Remove(pointer); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	target, err := filepath.Rel(dir, blob)
	if err != nil {
		return err
	}
	if os.Symlink(target, pointer) == nil {
		return nil
	}
	err = os.Link(blob, pointer)
	if err != nil && exists(pointer) { // another process was faster
		return nil
	}
	return err
}
