package httpretry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/retort-ir/retort/internal/httpretry"
)

// A server that is busy at first.
func Example() {
	busy := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if busy > 0 {
			busy--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"answer":42}`)
	}))
	defer server.Close()
	client, err := httpretry.New(httpretry.Options{Concurrency: 4, Wait: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := client.Do(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err, client.Counts())
	// Output: {"answer":42} <nil> {3 2}
}
