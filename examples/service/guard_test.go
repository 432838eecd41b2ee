package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuardRefusesForeignHostsAndOrigins(t *testing.T) {
	hosts := hostNames(" Search.Example ,, intranet")
	for name, test := range map[string]struct {
		host   string
		header map[string]string
		status int
	}{
		"curl on localhost":         {host: "localhost:8080", status: http.StatusOK},
		"IPv4":                      {host: "127.0.0.1:8080", status: http.StatusOK},
		"IPv6":                      {host: "[::1]:8080", status: http.StatusOK},
		"IPv6 without a port":       {host: "[::1]", status: http.StatusOK},
		"a name given by -hosts":    {host: "SEARCH.example.", status: http.StatusOK},
		"a rebound name":            {host: "evil.example:8080", status: http.StatusForbidden},
		"a name that ends in an IP": {host: "evil.127.0.0.1.example", status: http.StatusForbidden},
		"no host":                   {host: "", status: http.StatusForbidden},
		"the service's own page": {host: "localhost:8080", header: map[string]string{
			"Origin":         "http://localhost:8080",
			"Sec-Fetch-Site": "same-origin",
		}, status: http.StatusOK},
		"the address bar": {
			host: "localhost:8080", header: map[string]string{"Sec-Fetch-Site": "none"},
			status: http.StatusOK,
		},
		"another site": {
			host: "localhost:8080", header: map[string]string{"Sec-Fetch-Site": "cross-site"},
			status: http.StatusForbidden,
		},
		"another port": {
			host: "localhost:8080", header: map[string]string{"Sec-Fetch-Site": "same-site"},
			status: http.StatusForbidden,
		},
		"another origin, old browser": {
			host: "localhost:8080", header: map[string]string{"Origin": "https://evil.example"},
			status: http.StatusForbidden,
		},
		"an opaque origin": {
			host: "localhost:8080", header: map[string]string{"Origin": "null"},
			status: http.StatusForbidden,
		},
		"an origin that is no address": {
			host: "localhost:8080", header: map[string]string{"Origin": "http://[::1"},
			status: http.StatusForbidden,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			r := httptest.NewRequest(http.MethodPost, "/specialise", nil)
			r.Host = test.host
			for key, value := range test.header {
				r.Header.Set(key, value)
			}
			w := httptest.NewRecorder()
			guard(hosts, ok).ServeHTTP(w, r)
			require.Equal(t, test.status, w.Code)
		})
	}
}
