//go:build unix

package torch

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTheStoreListensWhereItsHostSays(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1": "127.0.0.1",
		"127.0.0.5": "127.0.0.5",
		"192.0.2.1": "", // an address of no machine
		"node0":     "", // other machines may know it by another address
	} {
		t.Run(host, func(t *testing.T) {
			fd, err := listen(host, 0)
			require.NoError(t, err)
			if want == "" {
				require.Equal(t, -1, fd)
				return
			}
			defer unix.Close(fd)
			address, err := unix.Getsockname(fd)
			require.NoError(t, err)
			v4, ok := address.(*unix.SockaddrInet4)
			require.True(t, ok)
			require.Equal(t, want, net.IP(v4.Addr[:]).String())
		})
	}
	fd, err := listen("localhost", 0)
	require.NoError(t, err)
	require.NotEqual(t, -1, fd)
	require.NoError(t, unix.Close(fd))
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.3.2.1": true, "::1": true, "::ffff:127.0.0.1": true,
		"node0": false, "10.0.0.1": false, "0.0.0.0": false, "localhost.example": false, "": false,
	} {
		require.Equal(t, want, loopback(host), host)
	}
}
