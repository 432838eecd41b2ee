package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of a request.
const (
	mostCharacters = 1000
	defaultK       = 10
	mostK          = 100
	mostInFlight   = 64 // more wait
)

// handler serves the requests that README.md lists.
func (s *service) handler() http.Handler {
	slots := make(chan struct{}, mostInFlight)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.SearchTime)
		defer cancel()
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			s.serveSearch(ctx, w, r)
		case <-ctx.Done():
			refuse(w, http.StatusServiceUnavailable, errors.New("too many searches at once: try again"))
		}
	})
	mux.HandleFunc("POST /specialise", s.serveSpecialise)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.health()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.HandleFunc("GET /metrics", s.serveMetrics)
	return guard(s.Hosts, mux)
}

// serveReady refuses from the beginning of a shutdown on, so that no new searches are sent here.
func (s *service) serveReady(w http.ResponseWriter, _ *http.Request) {
	if h := s.health(); h.Status != statusOK {
		http.Error(w, h.Status, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *service) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.metrics.write(w, s.health())
}

func (s *service) serveSearch(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	text, by, k, err := parseSearch(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	start := time.Now()
	a, err := s.search(ctx, text, by, k)
	took := time.Since(start)
	status := http.StatusOK
	switch {
	case err == nil:
		s.collect(text)
		reply(w, status, a)
	case r.Context().Err() != nil:
		status = statusGone
	case ctx.Err() != nil:
		status = http.StatusServiceUnavailable
		refuse(w, status, fmt.Errorf("no answer within %s: try again", s.SearchTime))
	default:
		status = http.StatusInternalServerError
		s.Logger.Error("search", "query", text, "error", err)
		refuse(w, status, errors.New("the search failed: see the log of the service"))
	}
	s.metrics.searched(by, status, took, a)
}

// statusGone counts searches whose client has gone, as nginx does.
const statusGone = 499

func parseSearch(r *http.Request) (text, by string, k int, err error) {
	values := r.URL.Query()
	text, by = strings.TrimSpace(values.Get("q")), cmp.Or(values.Get("by"), byDense)
	switch {
	case !slices.Contains([]string{byDense, byBM25, byHybrid}, by):
		return "", "", 0, fmt.Errorf("by is %.20q, want %s, %s or %s", by, byDense, byBM25, byHybrid)
	case text == "":
		return "", "", 0, errors.New("q is empty, want for example /search?q=open+a+file&k=10")
	case !utf8.ValidString(text):
		return "", "", 0, errors.New("q is not UTF-8")
	case utf8.RuneCountInString(text) > mostCharacters:
		return "", "", 0, fmt.Errorf("q has %d characters, want at most %d", utf8.RuneCountInString(text), mostCharacters)
	}
	if !values.Has("k") {
		return text, by, defaultK, nil
	}
	if k, err = strconv.Atoi(values.Get("k")); err != nil || k < 1 || k > mostK {
		return "", "", 0, fmt.Errorf("k is %.20q, want a number from 1 to %d", values.Get("k"), mostK)
	}
	return text, by, k, nil
}

func (s *service) serveSpecialise(w http.ResponseWriter, _ *http.Request) {
	switch err := s.specialise(); {
	case err == nil:
		reply(w, http.StatusAccepted, map[string]any{"started": true, "asked": s.queries.asked()})
	case errors.Is(err, errCannot):
		refuse(w, http.StatusNotImplemented, err)
	case errors.Is(err, errClosing):
		refuse(w, http.StatusServiceUnavailable, err)
	default:
		refuse(w, http.StatusConflict, err)
	}
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	body := json.NewEncoder(w)
	body.SetEscapeHTML(false)
	_ = body.Encode(v) // an error is the client's, who has gone
}
