//go:build unix

package torch

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// listen returns a socket that listens at one address of the machine, or -1 if the store must listen at every address:
// another machine may resolve a name to another address than this machine does.
func listen(host string, port int) (int, error) {
	if _, err := netip.ParseAddr(host); err != nil && !loopback(host) {
		return -1, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, unix.EADDRNOTAVAIL) { // the address of a machine that translates addresses
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return -1, err
	}
	defer file.Close()
	// Both the store and file close their descriptor.
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}
