package torch

import (
	"net/netip"
	"strings"
)

// loopback says whether a host is reachable from this machine alone.
func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
