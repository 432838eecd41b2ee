// Package faultproxy is a proxy between a client and a server in tests. It applies planned faults to the requests: it
// answers slowly, cuts the body, resets the connection, or sends a body that is not JSON.
//
//	proxy := faultproxy.New(t, server, faultproxy.Reset(), faultproxy.Status(429, "Retry-After", "1"))
//	// resets the first request, refuses the second, and passes on all others
package faultproxy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Fault answers a request. next answers it without a fault.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Proxy is a running server.
type Proxy struct {
	URL string

	mu       sync.Mutex
	requests []Request
}

// Request is a request that the proxy has received.
type Request struct {
	Path   string
	Header http.Header
	Body   []byte
}

// New starts a proxy that ends with the test. It applies faults[i] to request i; requests without a fault, or with a
// nil one, reach next.
func New(t testing.TB, next http.Handler, faults ...Fault) *Proxy {
	return start(t, next, func(n int) Fault {
		if n < len(faults) {
			return faults[n]
		}
		return nil
	})
}

// Always is New with one fault for every request.
func Always(t testing.TB, next http.Handler, fault Fault) *Proxy {
	return start(t, next, func(int) Fault { return fault })
}

func start(t testing.TB, next http.Handler, plan func(n int) Fault) *Proxy {
	p := &Proxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		fault := plan(p.add(Request{r.URL.Path, r.Header.Clone(), body}))
		if fault == nil {
			next.ServeHTTP(w, r)
			return
		}
		fault(w, r, next)
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

func (p *Proxy) add(r Request) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	return len(p.requests) - 1
}

// Requests returns the requests that came in so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// To passes requests on to the server at the address.
func To(t testing.TB, address string) http.Handler {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, Transport: transport}
}

// Answer sends a body of a content type.
func Answer(status int, contentType, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// Status sends a status with an error in JSON, and with headers, given as names and values in turn.
func Status(status int, headers ...string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":"fault %d"}}`, status)
	}
}

// Hang sends nothing until the client disconnects.
func Hang() Fault {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }
}

// HangMidBody sends half of the answer and nothing more until the client disconnects.
func HangMidBody() Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := record(r, next)
		copyHeader(w, answer)
		w.Write(half(answer))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// CutBody promises the whole answer, sends half of it and closes the connection.
func CutBody() Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := record(r, next)
		conn := hijack(w)
		if conn == nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", answer.Code, http.StatusText(answer.Code),
			answer.Body.Len())
		answer.Header().WriteSubset(conn, map[string]bool{"Content-Length": true})
		fmt.Fprintf(conn, "\r\n%s", half(answer))
	}
}

// Reset resets the connection without an answer.
func Reset() Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn := hijack(w)
		if conn == nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		conn.Close()
	}
}

// Edit changes the body of the answer.
func Edit(change func(body []byte) []byte) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := record(r, next)
		body := change(answer.Body.Bytes())
		copyHeader(w, answer)
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		w.Write(body)
	}
}

// hijack takes over the connection; nil if it is closed.
func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	return conn
}

func record(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	return answer
}

func copyHeader(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
}

func half(answer *httptest.ResponseRecorder) []byte { return answer.Body.Bytes()[:answer.Body.Len()/2] }
