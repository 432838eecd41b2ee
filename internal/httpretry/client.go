package httpretry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/retort-ir/retort/internal/strictjson"
)

// maxBody is the longest answer in bytes.
const maxBody = 16 << 20

// Client sends requests with retries and limits. It is safe for concurrent use.
type Client struct {
	options Options
	http    *http.Client
	key     func() string // a function, so that printing a Client shows no key
	redact  func(text string) string
	leaks   func(answer []byte) bool
	*shared
}

// shared is the state that a client and its Once share.
type shared struct {
	slots    chan struct{}
	limiter  *rate.Limiter
	requests atomic.Int64
	retries  atomic.Int64

	mu     sync.Mutex
	paused time.Time // no request before
}

// Counts counts what a client has sent.
type Counts struct {
	Requests int64 // attempts
	Retries  int64 // attempts after the first of a request
}

// New returns a client. Its Close frees the idle connections.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("httpretry: Options.%w", err)
	}
	key, err := o.readKey()
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	c := &Client{
		options: o,
		key:     func() string { return key },
		redact:  newRedactor(key),
		leaks:   newLeakDetector(key),
		shared:  &shared{slots: make(chan struct{}, o.Concurrency), limiter: rate.NewLimiter(rate.Inf, 1)},
	}
	if o.PerMinute > 0 {
		c.limiter.SetLimit(rate.Every(time.Minute / time.Duration(o.PerMinute)))
	}
	transport := o.Transport
	if transport == nil {
		transport = newTransport(o.Concurrency)
	}
	c.http = &http.Client{
		Transport: transport,
		// Following would turn a POST into a GET, or send the passages to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func newTransport(concurrency int) *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = concurrency
	return t
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Concurrency is the most requests in flight.
func (c *Client) Concurrency() int { return c.options.Concurrency }

// HasKey says whether requests carry a key.
func (c *Client) HasKey() bool { return c.key() != "" }

// Counts returns what the client has sent so far.
func (c *Client) Counts() Counts { return Counts{c.requests.Load(), c.retries.Load()} }

// Once returns a client that tries each request once, under the limits of c.
func (c *Client) Once() *Client {
	once := *c
	once.options.Attempts = 1
	return &once
}

// Do sends the request and returns an answer of status 2xx, whose whole body is in memory and is a JSON object or
// array. Do reads the request's body once and sends it at every attempt. It returns the context's error once the
// request's context ends.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	body, err := readRequest(req)
	if err != nil {
		return nil, err
	}
	return retry(req.Context(), c, func(number int, waits *waits) (*http.Response, error) {
		return c.attempt(req.Context(), req, body, number, waits)
	})
}

// retry calls attempt with its number, from 1, until it succeeds or another attempt cannot help.
func retry[T any](ctx context.Context, c *Client, attempt func(number int, waits *waits) (T, error)) (T, error) {
	waits := newWaits(c.options)
	attempts := 0
	result, err := backoff.Retry(
		ctx, func() (T, error) {
			attempts++
			return attempt(attempts, waits)
		},
		backoff.WithBackOff(waits), backoff.WithMaxTries(uint(c.options.Attempts)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			c.options.Logger.LogAttrs(ctx, slog.LevelDebug, "request failed, trying again",
				slog.String("error", err.Error()), slog.Int("attempt", attempts), slog.Duration("wait", wait))
		}),
	)
	if err == nil {
		return result, nil
	}
	var none T
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	if permanent := (*backoff.PermanentError)(nil); errors.As(err, &permanent) {
		return none, permanent.Err
	}
	if attempts > 1 {
		err = fmt.Errorf("%w (attempt %d of %[2]d)", err, attempts)
	}
	return none, err
}

func readRequest(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer req.Body.Close()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return body, nil
}

// attempt is the unit that is retried. Its error names the request and holds no key. The error is a
// backoff.PermanentError if another attempt cannot help.
func (c *Client) attempt(
	ctx context.Context, req *http.Request, body []byte, number int, waits *waits,
) (*http.Response, error) {
	waits.atLeast = 0
	release, err := c.admit(ctx)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	defer release()
	if number > 1 {
		c.retries.Add(1)
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	resp, answer, err := c.send(ctx, req, body)
	if err != nil {
		if ctx.Err() != nil && req.Context().Err() == nil {
			err = fmt.Errorf("no answer within %s", c.options.Timeout)
		}
		return nil, c.failure(req, err, isFinal(err))
	}
	if resp.StatusCode/100 != 2 {
		return nil, c.statusFailure(req, resp, answer, waits)
	}
	if err := checkJSON(answer); err != nil {
		return nil, c.failure(req, fmt.Errorf("%w (content type %q): %q", err, resp.Header.Get("Content-Type"),
			c.Cut(string(answer))), strictjson.IsDuplicate(err))
	}
	if c.leaks(answer) {
		return nil, c.failure(req, errHoldsKey, true)
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	resp.ContentLength = int64(len(answer))
	resp.Header.Set("Content-Type", "application/json") // some servers say otherwise
	return resp, nil
}

// statusFailure is the failure of an answer with a status that is an error.
func (c *Client) statusFailure(req *http.Request, resp *http.Response, answer []byte, waits *waits) error {
	status := c.newStatusError(resp, answer)
	retry := isRetried(resp.StatusCode) && !isOutOfMoney(answer) && !status.TooLong()
	if retry {
		waits.atLeast = c.retryAfter(resp)
	}
	return c.failure(req, status, !retry)
}

// admit waits until another request may be sent.
func (c *Client) admit(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release = func() { <-c.slots }
	if err := errors.Join(c.waitForPause(ctx), c.waitForRate(ctx)); err != nil {
		release()
		return nil, ctx.Err()
	}
	if n := c.requests.Add(1); c.options.MaxRequests > 0 && n > int64(c.options.MaxRequests) {
		c.requests.Add(-1)
		release()
		return nil, fmt.Errorf("%w: %d", ErrMaxRequests, c.options.MaxRequests)
	}
	return release, nil
}

func (c *Client) waitForPause(ctx context.Context) error {
	for {
		c.mu.Lock()
		left := time.Until(c.paused)
		c.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

func (c *Client) waitForRate(ctx context.Context) error {
	turn := c.limiter.Reserve()
	if err := sleep(ctx, turn.Delay()); err != nil {
		turn.Cancel()
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send returns the answer with its whole body.
func (c *Client) send(ctx context.Context, req *http.Request, body []byte) (*http.Response, []byte, error) {
	req = req.Clone(ctx)
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	c.authorize(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer after %d bytes: %w", len(answer), err)
	}
	if len(answer) > maxBody {
		return nil, nil, errTooLong
	}
	return resp, answer, nil
}

func (c *Client) authorize(req *http.Request) {
	if key := c.key(); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
}

// errHoldsKey keeps a key out of what is made of answers, such as the file of a model's answers.
var errHoldsKey = errors.New("the answer holds the API key, which must not get into a file: " +
	"ask the operator of the server why it sends the key back")

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxBody)

// failure adds the request to an error, removes the key, and marks a final error.
func (c *Client) failure(req *http.Request, err error, final bool) error {
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err // url.Error would name the request a second time
	}
	err = fmt.Errorf("%s %s://%s%s: %w", req.Method, req.URL.Scheme, req.URL.Host, req.URL.Path, err)
	err = c.Redact(err)
	if final {
		return backoff.Permanent(err)
	}
	return err
}

func isRetried(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status >= 500
}

// isFinal says whether sending the request fails at every attempt. All other errors are failures of the network.
func isFinal(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError // a server of plain HTTP
	var address *net.AddrError
	return errors.Is(err, errTooLong) || errors.As(err, &certificate) || errors.As(err, &record) ||
		errors.As(err, &address)
}

func checkJSON(body []byte) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return errors.New("the answer is empty instead of JSON")
	}
	if body[0] != '{' && body[0] != '[' {
		return errors.New("the answer is not JSON")
	}
	err := strictjson.CheckNames(body)
	if err != nil && !strictjson.IsDuplicate(err) {
		if noNumber.Match(body) {
			return errors.New("the answer is not JSON: it holds NaN or Infinity")
		}
		return errors.New("the answer is not JSON")
	}
	return err
}

var noNumber = regexp.MustCompile(`[:\[,]\s*-?(?:NaN|Infinity)\s*[,}\]]`)

// retryAfter returns the time to wait that the server asks for, and pauses all requests for that time.
func (c *Client) retryAfter(resp *http.Response) time.Duration {
	wait := min(parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()), c.options.MaxWait)
	until := time.Now().Add(wait)
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait > 0 && until.After(c.paused) {
		c.paused = until
	}
	return wait
}

// parseRetryAfter reads seconds or a date (RFC 9110, section 10.2.3); 0 if the header holds neither.
func parseRetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseFloat(header, 64); err == nil && seconds >= 0 {
		const most = 24 * time.Hour
		return time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// waits computes the waits between the attempts of one request.
type waits struct {
	backoff.ExponentialBackOff
	atLeast time.Duration // what the server asked for
}

// newWaits halves the intervals: the library draws around them, so that a draw lies between 0 and the limit.
func newWaits(o Options) *waits {
	w := &waits{ExponentialBackOff: backoff.ExponentialBackOff{
		InitialInterval: o.Wait / 2, MaxInterval: o.MaxWait / 2, RandomizationFactor: 1, Multiplier: 2,
	}}
	w.Reset()
	return w
}

func (w *waits) NextBackOff() time.Duration { return w.atLeast + w.ExponentialBackOff.NextBackOff() }
