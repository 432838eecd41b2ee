package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/faultproxy"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"hello":"world"}`)
})

func get(t *testing.T, ctx context.Context, url string) (string, int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/path", nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), resp.StatusCode, err
}

func TestFaultsHappenInTheirOrder(t *testing.T) {
	p := faultproxy.New(
		t, faultproxy.To(t, faultproxy.New(t, hello).URL),
		faultproxy.Reset(), faultproxy.CutBody(), faultproxy.Status(429, "Retry-After", "7"), nil,
		faultproxy.Edit(func(b []byte) []byte { return bytes.ToUpper(b) }), faultproxy.Answer(200, "text/html", "<p>"),
	)
	_, _, err := get(t, t.Context(), p.URL)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	body, _, err := get(t, t.Context(), p.URL)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, `{"hello"`, body)
	body, status, err := get(t, t.Context(), p.URL)
	require.NoError(t, err)
	require.Equal(t, 429, status)
	require.JSONEq(t, `{"error":{"message":"fault 429"}}`, body)
	for _, want := range []string{`{"hello":"world"}`, `{"HELLO":"WORLD"}`, "<p>", `{"hello":"world"}`} {
		body, status, err := get(t, t.Context(), p.URL)
		require.NoError(t, err)
		require.Equal(t, 200, status)
		require.Equal(t, want, body)
	}
	require.Len(t, p.Requests(), 7)
	require.Equal(t, "/path", p.Requests()[3].Path)
}

func TestHangingFaultsEndWithTheClient(t *testing.T) {
	for name, fault := range map[string]faultproxy.Fault{"hang": faultproxy.Hang(), "mid body": faultproxy.HangMidBody()} {
		t.Run(name, func(t *testing.T) {
			p := faultproxy.Always(t, hello, fault)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, _, err := get(t, ctx, p.URL)
			require.True(t, errors.Is(err, context.DeadlineExceeded), err)
		})
	}
}
