package httpretry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/faultproxy"
)

func TestStreamRetriesWhatTheNetworkBreaks(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 100)
	server := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(text) })
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		faults   []faultproxy.Fault
		handle   error
		want     string
		requests int
	}{
		"nothing":            {nil, nil, "", 1},
		"a cut body":         {[]faultproxy.Fault{faultproxy.CutBody(), faultproxy.Reset()}, nil, "", 3},
		"a pause":            {[]faultproxy.Fault{faultproxy.HangMidBody(), faultproxy.Hang()}, nil, "", 3},
		"a busy server":      {[]faultproxy.Fault{faultproxy.Status(429), faultproxy.Status(502)}, nil, "", 3},
		"not found":          {[]faultproxy.Fault{faultproxy.Status(404)}, nil, "HTTP 404 Not Found: fault 404", 1},
		"the handler's no":   {nil, refused, "refused", 1},
		"pauses without end": {[]faultproxy.Fault{faultproxy.Hang(), faultproxy.HangMidBody(), faultproxy.Hang()}, nil, "the server sent nothing for 200ms (attempt 3 of 3)", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("STREAM_KEY", "sk-0123456789abcdef")
			proxy := faultproxy.New(t, server, c.faults...)
			client, err := New(Options{
				KeyVariable: "STREAM_KEY", Attempts: 3, Wait: time.Millisecond, Timeout: 200 * time.Millisecond,
			})
			require.NoError(t, err)
			defer client.Close()
			var got []byte
			err = client.Stream(t.Context(), func(ctx context.Context) (*http.Request, error) {
				return http.NewRequestWithContext(ctx, http.MethodGet, proxy.URL+"/x?signature=secret", nil)
			}, func(resp *http.Response) (err error) {
				if got, err = io.ReadAll(resp.Body); err != nil {
					return err
				}
				return c.handle
			})
			require.Len(t, proxy.Requests(), c.requests)
			require.Equal(t, "Bearer sk-0123456789abcdef", proxy.Requests()[0].Header.Get("Authorization"))
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "secret")
				return
			}
			require.NoError(t, err)
			require.Equal(t, text, got)
		})
	}
}
