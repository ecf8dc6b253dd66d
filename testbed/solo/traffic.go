package solo

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/api"
)

// Port is the TCP port of every service.
const Port = 8080

// For how long Dial tries, in which a connection that is allowed is made.
const (
	Patient   = 5 * time.Second
	Impatient = 500 * time.Millisecond // less than TCP waits before it tries again
)

// Allow lets an app connect to another's services; the switch knows it then.
func (c *Cell) Allow(source, destination string) {
	c.Helper()
	policy := []api.PolicyBody{{
		Source:      api.Source{ID: source},
		Destination: api.Destination{ID: destination, Protocol: "tcp", Ports: api.Ports{Start: Port, End: Port}},
	}}
	change, err := c.Client.AddPolicies(c.Context(), policy, api.Wait{For: api.WaitApplied, Timeout: patience})
	c.Must(err)
	if len(change.Pending) > 0 {
		c.Fatalf("the policy is not applied on %v", change.Pending)
	}
}

// Serve answers whoever connects with the container's id, until the container
// ends.
func (x *Container) Serve() error {
	var listener net.Listener
	err := x.NS.Do(func(ns.NetNS) (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", x.ip, Port))
		return err
	})
	if err != nil {
		return fmt.Errorf("container %s: %w", x.ID, err)
	}
	x.service = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed by End
			}
			_, _ = io.WriteString(conn, x.ID) // whoever asked sees what is missing
			conn.Close()
		}
	}()
	return nil
}

// Unserve ends what Serve began.
func (x *Container) Unserve() {
	if x.service != nil {
		x.service.Close()
		x.service = nil
	}
}

// Dial asks a container's service who it is.
func (x *Container) Dial(to *Container, patience time.Duration) (id string, err error) {
	var conn net.Conn
	err = x.NS.Do(func(ns.NetNS) (err error) {
		conn, err = net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", to.ip, Port), patience)
		return err
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}
