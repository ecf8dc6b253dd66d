package testbed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Ping sends an ICMP echo request and returns nil if its reply comes back.
func (s *Station) Ping(to netip.Addr) error {
	var conn net.PacketConn
	err := s.Do(func() (err error) {
		conn, err = net.ListenPacket("ip4:icmp", s.IP.String())
		return err
	})
	if err != nil {
		return fmt.Errorf("open an ICMP socket in %s: %w", s.ID, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(probeTimeout)); err != nil {
		return err
	}
	request := []byte{8, 0, 0, 0, 0x77, 0x66, 0, 1, 'w', 'e', 'f', 't'}
	binary.BigEndian.PutUint16(request[2:], checksum(request))
	if _, err := conn.WriteTo(request, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return err
	}
	answer := make([]byte, 512)
	for {
		n, _, err := conn.ReadFrom(answer)
		switch {
		case err != nil:
			return err
		case n > 0 && answer[0] == 3:
			return errors.New("destination unreachable")
		case n >= len(request) && answer[0] == 0 && bytes.Equal(answer[4:len(request)], request[4:]):
			return nil
		}
	}
}
