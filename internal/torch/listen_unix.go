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

// listen returns a socket that listens at one address of the machine, or -1 where only every address is sure to be
// reached: another machine may know a name by another address than this one does.
func listen(host string, port int) (int, error) {
	if _, err := netip.ParseAddr(host); err != nil && !loopback(host) {
		return -1, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, unix.EADDRNOTAVAIL) { // of a machine that translates addresses on the way to this one
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
	// The store closes what it is given, and so does file.
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}
