package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of a request.
const (
	mostCharacters = 1000
	defaultK       = 10
	mostK          = 100
	mostInFlight   = 64 // more wait
)

// handler serves GET /search, POST /specialise and GET /health.
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
	return guard(s.Hosts, mux)
}

func (s *service) serveSearch(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	text, k, err := parseSearch(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	a, err := s.search(ctx, text, k)
	switch {
	case err == nil:
		s.collect(text)
		reply(w, http.StatusOK, a)
	case r.Context().Err() != nil: // nobody listens any more
	case ctx.Err() != nil:
		refuse(w, http.StatusServiceUnavailable, fmt.Errorf("no answer within %s: try again", s.SearchTime))
	default:
		s.Logger.Error("search", "query", text, "error", err)
		refuse(w, http.StatusInternalServerError, errors.New("the search failed: see the log of the service"))
	}
}

func parseSearch(r *http.Request) (text string, k int, err error) {
	values := r.URL.Query()
	text = strings.TrimSpace(values.Get("q"))
	switch {
	case text == "":
		return "", 0, errors.New("q is empty, want for example /search?q=open+a+file&k=10")
	case !utf8.ValidString(text):
		return "", 0, errors.New("q is not UTF-8")
	case utf8.RuneCountInString(text) > mostCharacters:
		return "", 0, fmt.Errorf("q has %d characters, want at most %d", utf8.RuneCountInString(text), mostCharacters)
	}
	if !values.Has("k") {
		return text, defaultK, nil
	}
	if k, err = strconv.Atoi(values.Get("k")); err != nil || k < 1 || k > mostK {
		return "", 0, fmt.Errorf("k is %.20q, want a number from 1 to %d", values.Get("k"), mostK)
	}
	return text, k, nil
}

func (s *service) serveSpecialise(w http.ResponseWriter, _ *http.Request) {
	switch err := s.specialise(); {
	case err == nil:
		reply(w, http.StatusAccepted, map[string]any{"started": true, "asked": s.queries.asked()})
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
