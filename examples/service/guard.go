package main

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard refuses what a web page elsewhere can make a visitor's browser send: a request to a name that the page's owner
// has pointed at this address (DNS rebinding), and a request from another origin, which would train on queries that
// nobody here asked. Hosts are the names that the service answers to, besides localhost and IP addresses.
func guard(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !knownHost(r.Host, hosts):
			refuse(w, http.StatusForbidden, errors.New("unknown Host header: start the service with -hosts NAME"))
		case !sameOrigin(r):
			refuse(w, http.StatusForbidden, errors.New("requests from pages of another origin are refused"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knownHost reports whether a Host header is an IP address, which no page can rebind, localhost, or one of hosts.
func knownHost(header string, hosts []string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || slices.Contains(hosts, host)
}

// sameOrigin reports whether a request comes from no browser, from the address bar, or from a page of this service.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// hostNames splits the value of -hosts.
func hostNames(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			names = append(names, name)
		}
	}
	return names
}
