package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// Out of the overlay goes what an egress rule allows, with the cell's address;
// everything else is refused at once. Rules open nothing of the overlay.
func TestEgress(t *testing.T) {
	bed := bed(t)
	cell, outside := bed.Cell(1), bed.Outside()
	open := cell.RunWith("open", testbed.Wants{Egress: "tcp 172.31.0.240 8080; udp 172.31.0.0-172.31.0.255 8080-8081; icmp 172.31.0.240 8/0; all 10.255.0.0-10.255.255.255"})
	closed, far := cell.Run("closed"), bed.Cell(2).Run("far")

	tcp, udp := outside.Serve("tcp/8080"), outside.Serve("udp/8080")
	bed.Reaches(open, outside, "tcp/8080")
	bed.Reaches(open, outside, "udp/8080")
	bed.Reaches(open, outside, "udp/8081")
	for _, s := range []*testbed.Service{tcp, udp} {
		if s.Received(cell.VTEP()) == 0 || s.Received(open.IP) > 0 {
			t.Errorf("the outside host has seen %d packets of the cell's address and %d of the container's, want only the cell's",
				s.Received(cell.VTEP()), s.Received(open.IP))
		}
	}
	if err := open.Ping(outside.IP); err != nil {
		t.Errorf("ping with a rule: %v", err)
	}
	if err := closed.Ping(outside.IP); err == nil {
		t.Errorf("ping without a rule is answered")
	}
	for _, what := range []string{"tcp/8081", "udp/8082"} {
		bed.Refused(open, outside, what)
	}
	for _, what := range []string{"tcp/8080", "udp/8080"} {
		bed.Refused(closed, outside, what)
		bed.Refused(open, closed, what)
		bed.Refused(open, far, what)
	}
}

// A rule of many addresses and many ports, which the switch looks up as two
// halves, opens those ports of those addresses alone.
func TestEgressToManyPortsOfManyAddresses(t *testing.T) {
	bed := bed(t)
	cell, outside, beyond := bed.Cell(1), bed.Outside(), bed.UnmaskedOutside()
	wide := cell.RunWith("wide", testbed.Wants{Egress: "tcp 172.31.0.1-172.31.0.240 8071-8094"})
	for _, what := range []string{"tcp/8071", "tcp/8085", "tcp/8094"} {
		bed.Reaches(wide, outside, what)
		bed.Refused(wide, beyond, what)
	}
	for _, what := range []string{"tcp/8070", "tcp/8095", "udp/8085"} {
		bed.Refused(wide, outside, what)
	}
	if cell.Counted("egress", "conj_id=") == 0 {
		t.Errorf("no packet has met a conjunction, which this rule is to be:\n%s", strings.Join(cell.Flows("egress"), "\n"))
	}
}

// Networks that the operator denies stay closed whatever rules say, and to
// others containers keep their own address.
func TestNetworksOfTheOperator(t *testing.T) {
	bed := bed(t)
	cell := bed.Cell(1)
	open := cell.RunWith("open", testbed.Wants{Egress: "all 0.0.0.0-255.255.255.255"})
	denied, unmasked := bed.DeniedOutside(), bed.UnmaskedOutside()
	line := testbed.Event{Direction: "egress", Verdict: "denied", Reason: "deny_networks", SourceApp: open.App, DestinationIP: denied.IP.String()}
	cell.Provoke(line, func() {
		bed.Refused(open, denied, "tcp/8080")
		bed.Refused(open, denied, "udp/8080")
	})

	service := unmasked.Serve("tcp/8080")
	bed.Reaches(open, unmasked, "tcp/8080")
	if service.Received(open.IP) == 0 || service.Received(cell.VTEP()) > 0 {
		t.Errorf("the outside host has seen %d connections of the container's address and %d of the cell's, want only the container's",
			service.Received(open.IP), service.Received(cell.VTEP()))
	}
}

// Taking an egress rule away stops what runs by it, and a server outside that
// pushes without being asked.
func TestRevokedEgress(t *testing.T) {
	bed := bed(t)
	outside := bed.Outside()
	const rules = "tcp 172.31.0.240 8080; udp 172.31.0.240 8080-8081"
	open := bed.Cell(1).RunWith("open", testbed.Wants{Egress: rules})
	tcp, udp, push := bed.Talk(open, outside, "tcp/8080"), bed.Talk(open, outside, "udp/8080"), bed.Push(open, outside, "udp/8081")
	open.SetEgress("tcp 172.31.0.240 9999")
	for _, traffic := range []*testbed.Traffic{tcp, udp, push} {
		traffic.Stops(10 * time.Second) // the agent hears of it from the switch's database
	}
	tcp.Reset()
	bed.Refused(open, outside, "tcp/8080")
	open.SetEgress(rules)
	bed.Reaches(open, outside, "tcp/8080")
	udp.Runs()
}

// Egress is logged where it is denied, and where the rule that allows it says
// so.
func TestEgressLog(t *testing.T) {
	bed := bed(t)
	cell, outside := bed.Cell(1), bed.Outside()
	open := cell.RunWith("open", testbed.Wants{Egress: "tcp 172.31.0.240 8080 log; tcp 172.31.0.240 8081"})
	line := testbed.Event{Direction: "egress", Table: "egress", Reason: "egress", Protocol: "tcp",
		SourceApp: open.App, SourceContainer: open.ID, SourceIP: open.IP.String(), DestinationIP: outside.IP.String()}
	accepted, denied := line, line
	accepted.Verdict, accepted.DestinationPort = "accepted", 8080
	denied.Verdict, denied.DestinationPort = "denied", 8082
	bed.Reaches(open, outside, "tcp/8081")
	cell.Provoke(accepted, func() { bed.Reaches(open, outside, "tcp/8080") })
	cell.Provoke(denied, func() { bed.Refused(open, outside, "tcp/8082") })
	unasked := line
	unasked.DestinationPort = 8081
	if events := cell.FlowLog(unasked); len(events) > 0 {
		t.Errorf("logged although no rule says so: %s", events[0].Line)
	}
}
