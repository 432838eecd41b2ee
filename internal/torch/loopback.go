package torch

import (
	"net/netip"
	"strings"
)

// loopback reports whether a group at that host is on this machine alone.
func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
