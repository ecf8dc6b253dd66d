package hostnet

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// dial makes a socket on the calling thread, in its network namespace: net.Dial
// would do so on another one. A refused connection is reported by Read.
func dial(network string, to netip.AddrPort) (net.Conn, error) {
	kind := syscall.SOCK_STREAM
	if network == "udp4" {
		kind = syscall.SOCK_DGRAM
	}
	fd, err := syscall.Socket(syscall.AF_INET, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	patient := syscall.NsecToTimeval(int64(patience / time.Nanosecond))
	_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &patient) // of connect
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil {
		syscall.Close(fd)
		if err == syscall.EINPROGRESS || err == syscall.EAGAIN {
			err = syscall.ETIMEDOUT
		}
		return failed{err: err}, nil
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "probe")
	defer file.Close()
	return net.FileConn(file)
}

// failed is a connection that could not be made.
type failed struct {
	net.Conn
	err error
}

func (f failed) Read([]byte) (int, error)    { return 0, f.err }
func (f failed) Write([]byte) (int, error)   { return 0, f.err }
func (f failed) SetDeadline(time.Time) error { return nil }
func (f failed) Close() error                { return nil }
