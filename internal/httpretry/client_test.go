package httpretry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/faultproxy"
	"github.com/retort-ir/retort/internal/goroutines"
)

const (
	keyVariable = "RETORT_HTTPRETRY_TEST_KEY"
	sentinel    = "sk-sentinel-7f3a91c2"
)

// echo answers with the request's body in an array.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `[%q]`, body)
})

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Wait == 0 {
		o.Wait = time.Microsecond
	}
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func post(ctx context.Context, c *Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/x", strings.NewReader("hello"))
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults []faultproxy.Fault
	}{
		{"429", []faultproxy.Fault{faultproxy.Status(429), faultproxy.Status(429)}},
		{"408, 409, 425", []faultproxy.Fault{faultproxy.Status(408), faultproxy.Status(409), faultproxy.Status(425)}},
		{"5xx", []faultproxy.Fault{faultproxy.Status(500), faultproxy.Status(502), faultproxy.Status(503), faultproxy.Status(529)}},
		{"reset", []faultproxy.Fault{faultproxy.Reset(), faultproxy.Reset()}},
		{"cut mid body", []faultproxy.Fault{faultproxy.CutBody()}},
		{"HTML", []faultproxy.Fault{faultproxy.Answer(200, "text/html", "<html>starting</html>")}},
		{"half of the JSON", []faultproxy.Fault{faultproxy.Edit(func(b []byte) []byte { return b[:len(b)-1] })}},
		{"a JSON text", []faultproxy.Fault{faultproxy.Answer(200, "application/json", `"loading"`)}},
		{"empty", []faultproxy.Fault{faultproxy.Answer(200, "application/json", "")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.New(t, echo, c.faults...)
			client := newClient(t, Options{})
			got, err := post(t.Context(), client, p.URL)
			require.NoError(t, err)
			require.Equal(t, `["hello"]`, got)
			n := len(c.faults)
			require.Equal(t, Counts{int64(n + 1), int64(n)}, client.Counts())
			for _, r := range p.Requests() {
				require.Equal(t, "hello", string(r.Body), "each attempt sends the whole body")
			}
		})
	}
}

func TestAnAttemptThatTakesTooLongIsTriedAgain(t *testing.T) {
	for name, fault := range map[string]faultproxy.Fault{"all of it": faultproxy.Hang(), "the body": faultproxy.HangMidBody()} {
		t.Run(name, func(t *testing.T) {
			p := faultproxy.New(t, echo, fault)
			client := newClient(t, Options{Timeout: 500 * time.Millisecond})
			got, err := post(t.Context(), client, p.URL)
			require.NoError(t, err)
			require.Equal(t, `["hello"]`, got)
			require.GreaterOrEqual(t, client.Counts().Retries, int64(1)) // more where the machine is slow
		})
	}
}

func TestWhatDoesNotPassIsFinal(t *testing.T) {
	long := strings.Repeat("long ", 500)
	redirect := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, "https://other/v1/y?token=secret", http.StatusPermanentRedirect)
	}
	for _, c := range []struct {
		name  string
		fault faultproxy.Fault
		want  string
	}{
		{"400", faultproxy.Status(400), "HTTP 400 Bad Request: fault 400"},
		{"401 of vLLM", faultproxy.Answer(401, "application/json", `{"error":"Unauthorized"}`), "HTTP 401 Unauthorized: Unauthorized"},
		{"404 of Cohere", faultproxy.Answer(404, "application/json", `{"id":"x","message":"model\n 'x' not found"}`), "HTTP 404 Not Found: model 'x' not found"},
		{"422 of Jina", faultproxy.Answer(422, "application/json", `{"detail":[{"loc":["query"],"msg":"missing"}]}`), `HTTP 422 Unprocessable Entity: [{"loc":["query"],"msg":"missing"}]`},
		{"413 with a long text", faultproxy.Answer(413, "text/plain", long), "HTTP 413 Request Entity Too Large: " + long[:maxMessage] + "..."},
		{"501", faultproxy.Status(501), "HTTP 501 Not Implemented: fault 501"},
		{"304", faultproxy.Answer(304, "", ""), "HTTP 304 Not Modified"},
		{"redirect", redirect, "HTTP 308 Permanent Redirect: the server redirects to https://other/v1/y: give the address of the server that answers itself"},
		{"an empty account", faultproxy.Answer(429, "application/json", `{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}`), "HTTP 429 Too Many Requests: pay"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.Always(t, echo, c.fault)
			client := newClient(t, Options{})
			_, err := post(t.Context(), client, p.URL)
			require.EqualError(t, err, "POST "+p.URL+"/v1/x: "+c.want)
			require.Equal(t, Counts{1, 0}, client.Counts())
			var status *StatusError
			require.ErrorAs(t, err, &status)
		})
	}
}

func TestAttemptsEndWithTheLastError(t *testing.T) {
	p := faultproxy.Always(t, echo, faultproxy.Status(503))
	client := newClient(t, Options{Attempts: 3})
	_, err := post(t.Context(), client, p.URL)
	require.EqualError(t, err, "POST "+p.URL+"/v1/x: HTTP 503 Service Unavailable: fault 503 (attempt 3 of 3)")
	_, err = post(t.Context(), client.Once(), p.URL)
	require.EqualError(t, err, "POST "+p.URL+"/v1/x: HTTP 503 Service Unavailable: fault 503")
	require.Equal(t, Counts{4, 2}, client.Counts(), "those of Once are among them")

	p = faultproxy.Always(t, echo, faultproxy.Answer(200, "text/html", "<p>\nHello\n"))
	_, err = post(t.Context(), newClient(t, Options{Attempts: 2}), p.URL)
	require.EqualError(t, err, "POST "+p.URL+`/v1/x: the answer is not JSON (content type "text/html"): "<p> Hello" (attempt 2 of 2)`)

	p = faultproxy.Always(t, echo, faultproxy.Hang())
	_, err = post(t.Context(), newClient(t, Options{Attempts: 2, Timeout: 20 * time.Millisecond}), p.URL)
	require.EqualError(t, err, "POST "+p.URL+"/v1/x: no answer within 20ms (attempt 2 of 2)")
}

func TestAServerThatIsNotThereIsNamed(t *testing.T) {
	_, err := post(t.Context(), newClient(t, Options{Attempts: 2}), "http://127.0.0.1:1")
	require.ErrorContains(t, err, "POST http://127.0.0.1:1/v1/x: dial tcp 127.0.0.1:1: connect: connection refused (attempt 2 of 2)")
}

func TestMaxRequestsEndsAllWork(t *testing.T) {
	p := faultproxy.New(t, echo, faultproxy.Status(500))
	client := newClient(t, Options{MaxRequests: 2})
	_, err := post(t.Context(), client, p.URL)
	require.NoError(t, err)
	_, err = post(t.Context(), client, p.URL)
	require.ErrorIs(t, err, ErrMaxRequests)
	require.Len(t, p.Requests(), 2)
	require.Equal(t, Counts{2, 1}, client.Counts())
}

func TestConcurrencyLimitsTheRequestsInFlight(t *testing.T) {
	const limit = 3
	var now, most atomic.Int64
	p := faultproxy.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond) // so that all could meet
		echo(w, r)
	}))
	client := newClient(t, Options{Concurrency: limit})
	var wg sync.WaitGroup
	for range 30 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := post(t.Context(), client, p.URL); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(limit))
}

func TestRequestsKeepToTheirRate(t *testing.T) {
	client := newClient(t, Options{PerMinute: 60_000})
	p := faultproxy.New(t, echo)
	start := time.Now()
	for range 20 {
		_, err := post(t.Context(), client, p.URL)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, time.Since(start), 19*time.Millisecond)
}

func TestRetryAfterHoldsForAllRequests(t *testing.T) {
	p := faultproxy.New(t, echo, faultproxy.Status(429, "Retry-After", "3600"))
	client := newClient(t, Options{Wait: time.Microsecond, MaxWait: 150 * time.Millisecond})
	start := time.Now()
	_, err := post(t.Context(), client, p.URL)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 150*time.Millisecond, "the cut Retry-After")

	p = faultproxy.New(t, echo, faultproxy.Status(503, "Retry-After", "3600"))
	client = newClient(t, Options{Attempts: 1, MaxWait: 150 * time.Millisecond})
	start = time.Now()
	_, err = post(t.Context(), client, p.URL)
	require.Error(t, err)
	_, err = post(t.Context(), client, p.URL)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 150*time.Millisecond, "another request waits too")
}

func TestRetryAfterIsReadInSecondsAndAsDate(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 0.5 ":                         time.Second / 2,
		"-3":                            0,
		"NaN":                           0,
		"1e300":                         24 * time.Hour,
		"soon":                          0,
		"Mon, 23 Nov 2026 12:01:30 GMT": 90 * time.Second,
		"Mon, 23 Nov 2026 11:00:00 GMT": 0,
	} {
		require.Equal(t, want, parseRetryAfter(header, now), header)
	}
}

// Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
func TestWaitsAreUniformBelowALimitThatDoubles(t *testing.T) {
	const draws = 2000
	limits := []float64{1, 2, 4, 8, 10, 10}
	sums, most := make([]float64, len(limits)), make([]float64, len(limits))
	for range draws {
		w := newWaits(Options{Wait: time.Second, MaxWait: 10 * time.Second})
		for i, limit := range limits {
			seconds := w.NextBackOff().Seconds()
			require.LessOrEqual(t, seconds, limit+1e-6)
			sums[i] += seconds
			most[i] = max(most[i], seconds)
		}
	}
	for i, limit := range limits {
		require.InDelta(t, limit/2, sums[i]/draws, limit*.05) // 7 standard errors
		require.Greater(t, most[i], limit*.95)
	}
	w := newWaits(Options{Wait: time.Second, MaxWait: 10 * time.Second})
	w.atLeast = 5 * time.Second
	require.GreaterOrEqual(t, w.NextBackOff(), 5*time.Second)
}

func TestDoEndsWithItsContextWhereverItWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		fault   faultproxy.Fault
	}{
		{"for the answer", Options{}, faultproxy.Hang()},
		{"for the rest of the answer", Options{}, faultproxy.HangMidBody()},
		{"for the next attempt", Options{Wait: time.Hour, MaxWait: 10 * time.Hour, Attempts: 1000}, faultproxy.Status(500)},
		{"for the Retry-After", Options{MaxWait: time.Hour}, faultproxy.Status(429, "Retry-After", "3000")},
		{"for the rate", Options{PerMinute: 1}, faultproxy.Status(500)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := faultproxy.Always(t, echo, c.fault)
			client := newClient(t, c.options)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			start := time.Now()
			_, err := post(ctx, client, p.URL)
			require.Equal(t, context.Canceled, err)
			require.Less(t, time.Since(start), time.Second)
			_, err = post(ctx, client, p.URL)
			require.Equal(t, context.Canceled, err)
		})
	}
	t.Run("for another request", func(t *testing.T) {
		p := faultproxy.Always(t, echo, faultproxy.Hang())
		client := newClient(t, Options{Concurrency: 1})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := post(ctx, client, p.URL)
				failed <- err
			}()
		}
		require.Eventually(t, func() bool { return len(p.Requests()) == 1 }, 5*time.Second, time.Millisecond)
		cancel()
		require.Equal(t, context.Canceled, <-failed)
		require.Equal(t, context.Canceled, <-failed)
		require.Len(t, p.Requests(), 1)
	})
}

// leaky fails with an error that holds what it was to send.
type leaky struct{}

func (leaky) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("cannot send %v", r.Header)
}

func TestNobodySeesTheKey(t *testing.T) {
	t.Setenv(keyVariable, " "+sentinel+"\n")
	var log bytes.Buffer
	options := Options{
		KeyVariable: keyVariable, KeyRequired: true, Attempts: 2,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	tellsTheKey := func(status int) faultproxy.Fault {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"message":"bad header %s"}}`, r.Header.Get("Authorization"))
		}
	}
	var seen []string
	for _, fault := range []faultproxy.Fault{
		tellsTheKey(500), tellsTheKey(401), tellsTheKey(200), faultproxy.Reset(), faultproxy.CutBody(),
		func(w http.ResponseWriter, r *http.Request, _ http.Handler) { fmt.Fprint(w, r.Header) },
	} {
		p := faultproxy.Always(t, echo, fault)
		client := newClient(t, options)
		require.True(t, client.HasKey())
		got, err := post(t.Context(), client, p.URL)
		seen = append(seen, got, fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), fmt.Sprintf("%+v %#v", *client, *client))
		require.Equal(t, "Bearer "+sentinel, p.Requests()[0].Header.Get("Authorization"), "the key is sent, without the line's end")
	}
	options.Transport = leaky{}
	_, err := post(t.Context(), newClient(t, options), "http://localhost")
	require.ErrorContains(t, err, redactedKey)
	seen = append(seen, fmt.Sprintf("%v %+v %v", err, err, errors.Unwrap(err)), log.String())
	require.Contains(t, log.String(), "trying again")
	for _, text := range seen {
		require.NotContains(t, text, sentinel)
	}
	require.Contains(t, strings.Join(seen, "\n"), redactedKey)
}

func TestKeysThatCannotBeSentAreNamedByTheirVariable(t *testing.T) {
	for value, want := range map[string]string{
		"":                         "the environment variable " + keyVariable + " is not set",
		sentinel + "\n" + sentinel: "the environment variable " + keyVariable + " is not an API key",
		sentinel + "é":             "the environment variable " + keyVariable + " is not an API key",
	} {
		t.Setenv(keyVariable, value)
		_, err := New(Options{KeyVariable: keyVariable, KeyRequired: true})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), sentinel)
	}
	t.Setenv(keyVariable, "")
	p := faultproxy.New(t, echo)
	client := newClient(t, Options{KeyVariable: keyVariable})
	require.False(t, client.HasKey())
	_, err := post(t.Context(), client, p.URL)
	require.NoError(t, err)
	require.NotContains(t, p.Requests()[0].Header, "Authorization")
}

func TestParseURLRefusesWhatIsNoServersAddress(t *testing.T) {
	for address, want := range map[string]string{
		"":                                    "is empty",
		"localhost:8080":                      `begins with "localhost:"`,
		"/v1":                                 `begins with ":"`,
		"http://":                             "names no host",
		"http://a b:" + sentinel + "@host":    "malformed",
		"https://me:" + sentinel + "@host/v1": "the URL of host has a user",
		"https://host/v1?key=" + sentinel:     "the URL of host has a user, query",
	} {
		_, err := ParseURL(address)
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), sentinel)
	}
	u, err := ParseURL("http://host:80/v1//")
	require.NoError(t, err)
	require.Equal(t, "http://host:80/v1", u.String())
}

func TestValidateNamesTheWrongField(t *testing.T) {
	for want, o := range map[string]Options{
		"Options.Concurrency is -1": {Concurrency: -1},
		"Options.PerMinute is -1":   {PerMinute: -1},
		"Options.Attempts is -1":    {Attempts: -1},
		"Options.MaxRequests is -1": {MaxRequests: -1},
		"Options.Timeout is -1s":    {Timeout: -time.Second},
		"Options.Wait is -1s":       {Wait: -time.Second},
		"Options.MaxWait is -1s":    {MaxWait: -time.Second},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
}

func TestNoGoroutineIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("work", func(t *testing.T) {
		p := faultproxy.New(t, echo, faultproxy.Reset(), faultproxy.CutBody(), faultproxy.Hang(), faultproxy.Status(500))
		client := newClient(t, Options{Timeout: 500 * time.Millisecond})
		for range 3 {
			_, err := post(t.Context(), client, p.URL)
			require.NoError(t, err)
		}
	})
	goroutines.RequireNoMore(t, before, 5*time.Second)
}

func TestAnAnswerWithoutEndIsRefused(t *testing.T) {
	p := faultproxy.Always(t, echo, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		for chunk := make([]byte, 1<<20); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := post(t.Context(), newClient(t, Options{}), p.URL)
	require.ErrorIs(t, err, errTooLong)
	require.Len(t, p.Requests(), 1)
}
