package cni_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/testbed/dummyovs"
)

// TestTCPThroughTheUserspaceDatapath: two containers exchange a megabyte each
// way, through real veths and OVS's userspace datapath. It stalls if packets
// leave a container without their checksum.
func TestTCPThroughTheUserspaceDatapath(t *testing.T) {
	c := newCellOn(t, dummyovs.StartUserspace(t), "netdev")
	c.agent(ready)
	client, server := c.container("client"), c.container("server")
	client.mustAdd()
	to := server.mustAdd().IPs[0].Address.IP.String()
	connect(c)

	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var listener net.Listener
	err := server.ns.Do(func(ns.NetNS) (err error) {
		listener, err = net.Listen("tcp4", to+":8080")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go echo(listener)

	var conn net.Conn
	err = client.ns.Do(func(ns.NetNS) (err error) {
		conn, err = net.DialTimeout("tcp4", to+":8080", 10*time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		conn.Write(payload) // a failure shows in what comes back
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(payload), err)
	}
	client.mustDel()
	server.mustDel()
	c.mustBeEmpty()
}

func echo(listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		return // the client's failure says it all
	}
	defer conn.Close()
	io.Copy(conn, conn)
}

// connect installs the little of the pipeline that two containers need: ARP
// for the gateway is answered, and IP goes to whose address it is.
func connect(c *cell) {
	c.t.Helper()
	gateway := strings.ReplaceAll(flows.GatewayMAC.String(), ":", "")
	table := fmt.Sprintf("arp,arp_op=1,arp_tpa=%s actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:%s,"+
		"load:2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],load:0x%s->NXM_NX_ARP_SHA[],"+
		"move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],load:0xa9fe0001->NXM_OF_ARP_SPA[],in_port\n", flows.GatewayIP, flows.GatewayMAC, gateway)
	for _, p := range c.ports() {
		table += fmt.Sprintf("ip,nw_dst=%s actions=mod_dl_src:%s,mod_dl_dst:%s,output:%d\n", p.IP, flows.GatewayMAC, p.MAC, p.OFPort)
	}
	c.sw.Ofctl(table, "add-flows", c.sw.Mgmt(bridge), "-")
}
