package httpretry

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
)

// Options are the settings of a Client. The zero value is valid.
type Options struct {
	// KeyVariable names the environment variable that holds the API key; "" means that none is sent. It may be unset
	// unless KeyRequired.
	KeyVariable string
	KeyRequired bool
	// Key returns the API key in place of KeyVariable. It is a function, so that printing Options shows no key.
	Key func() string
	// Concurrency is the most requests in flight; 0 means 8.
	Concurrency int
	// PerMinute is the most requests a minute, evenly spread; 0 means no limit.
	PerMinute int
	// Attempts is how often a request is tried; 0 means 6.
	Attempts int
	// MaxRequests is the most that the client sends in its life, attempts counted; 0 means no limit. Then comes
	// ErrMaxRequests.
	MaxRequests int
	// Timeout of one attempt of Do with its body, and of a pause in an answer to Stream; 0 means 2 minutes.
	Timeout time.Duration
	// Wait is the limit of the first wait, which doubles from attempt to attempt up to MaxWait; 0 means 1 and 60
	// seconds. A Retry-After is cut to MaxWait too.
	Wait, MaxWait time.Duration
	// Logger is told of every retry at the level Debug; nil means slog.Default().
	Logger *slog.Logger
	// Transport sends the requests; nil means one of the client's own.
	Transport http.RoundTripper
}

// Validate names the first field that is wrong, with which the error begins.
func (o Options) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"Concurrency", o.Concurrency},
		{"PerMinute", o.PerMinute},
		{"Attempts", o.Attempts},
		{"MaxRequests", o.MaxRequests},
	} {
		if f.value < 0 {
			return fmt.Errorf("%s is %d, want it >= 0", f.name, f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"Timeout", o.Timeout}, {"Wait", o.Wait}, {"MaxWait", o.MaxWait}} {
		if f.value < 0 {
			return fmt.Errorf("%s is %s, want it >= 0", f.name, f.value)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	o.Concurrency = cmp.Or(o.Concurrency, 8)
	o.Attempts = cmp.Or(o.Attempts, 6)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Minute)
	o.Wait = cmp.Or(o.Wait, time.Second)
	o.MaxWait = cmp.Or(o.MaxWait, time.Minute)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return o
}

// readKey returns the API key, "" where there is none. No error holds it.
func (o Options) readKey() (string, error) {
	var key string
	source := "the environment variable " + o.KeyVariable
	switch {
	case o.Key != nil:
		key, source = strings.TrimSpace(o.Key()), "Options.Key"
	case o.KeyVariable != "":
		key = strings.TrimSpace(os.Getenv(o.KeyVariable))
	default:
		return "", nil
	}
	if key == "" && o.KeyRequired {
		return "", fmt.Errorf("no API key: %s is not set", source)
	}
	if strings.ContainsFunc(key, isForeign) {
		return "", fmt.Errorf("%s is not an API key: it contains spaces, control characters or non-ASCII characters", source)
	}
	return key, nil
}

// isForeign says whether no API key can contain a character.
func isForeign(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r > unicode.MaxASCII
}

// ParseURL checks the address of a server: http or https, a host, no credentials, no query. No error holds more than
// the host, since a password may stand in what is malformed.
func ParseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return nil, errors.New("the server's URL is empty")
	case err != nil:
		return nil, errors.New("the server's URL is malformed: give one like http://localhost:8080/v1")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the server's URL begins with %q, want http:// or https://", u.Scheme+":")
	case u.Host == "":
		return nil, errors.New("the server's URL names no host: give one like http://localhost:8080/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the URL of %s has a user, query or fragment: "+
			"give the bare address, and the key in the environment", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}
