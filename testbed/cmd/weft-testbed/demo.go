package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/testbed"
)

// demo shows the whole line once. Every step is checked; the first that is not
// as told ends it with an error.
func demo() error {
	n := &narrator{start: time.Now()}
	err := n.play(func() {
		n.sayf("Three cells, each with its own Open vSwitch, an agent, and one controller.")
		shared, err := testbed.Start(testbed.Options{Progress: n})
		if err != nil {
			n.Fatalf("%v", err)
		}
		bed := shared.For(n)
		cats, dogs := bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs")
		n.sayf("weft-cni has attached cats (%s on cell-1) and dogs (%s on cell-2).", cats.IP, dogs.IP)
		dogs.Serve(demoPort)

		denied(n, bed, cats, dogs)
		policy := allowed(n, bed, cats, dogs)
		identified(n, bed, cats, dogs)
		provenance(n, bed, policy)
		revoked(n, bed, cats, dogs)
	})
	if err == nil {
		n.sayf("Everything was as told.")
	}
	return err
}

const demoPort = "tcp/8080"

var demoPolicy = []string{"cats", "dogs", "--protocol", "tcp", "--port", "8080"}

// denied shows what a client and the operators see of a connection that no
// policy allows.
func denied(n *narrator, bed *testbed.Bed, cats, dogs *testbed.Container) {
	n.sayf("Without a policy: cats connects to dogs on %s.", demoPort)
	var got testbed.Answer
	line := bed.Cell(2).Provoke(testbed.Event{Verdict: "denied", SourceApp: cats.App, DestinationApp: dogs.App}, func() {
		got = cats.Ask(dogs.Port(demoPort), demoPort) // a cell that has just come up may not answer yet
	})
	if got.Outcome != testbed.Refused {
		n.Fatalf("cats to dogs: %v, although no policy allows it and it should be told so", got)
	}
	n.sayf("Refused: %v, after %.1f ms.", got.Err, float64(got.Took.Microseconds())/1000)
	n.sayf("The flow log of dogs' cell names both; cats it knows by the packet's group id:")
	n.sayf("%s", line.Line)
}

// allowed adds the policy while cats keeps trying, and returns the policy.
func allowed(n *narrator, bed *testbed.Bed, cats, dogs *testbed.Container) api.PolicyDetail {
	n.sayf("Now the policy, while cats keeps trying.")
	start := time.Now()
	connected := make(chan time.Duration, 1)
	go func() {
		for {
			if cats.ProbeWithin(dogs, demoPort, 100*time.Millisecond) == nil {
				connected <- time.Since(start)
				return
			}
			time.Sleep(10 * time.Millisecond) // a refusal comes at once
		}
	}()
	n.weft(bed, append([]string{"allow-access"}, append(demoPolicy, "--wait")...)...)
	returned := time.Since(start)
	select {
	case after := <-connected:
		n.sayf("Connected: %d ms after the command was started (it took %d ms, starting its process in the lab included).",
			after.Milliseconds(), returned.Milliseconds())
	case <-time.After(10 * time.Second):
		bed.Reaches(cats, dogs, demoPort) // fails, and explains
	}
	infos, _, err := bed.Client().PolicyDetails(context.Background(), api.DetailFilter{})
	if err != nil || len(infos) != 1 {
		n.Fatalf("list policies: %d, %v; want 1", len(infos), err)
	}
	return infos[0]
}

// identified captures one packet and compares its group id with weft groups.
func identified(n *narrator, bed *testbed.Bed, cats, dogs *testbed.Container) {
	n.sayf("One packet of cats, captured between the cells:")
	capture := bed.Capture()
	bed.Reaches(cats, dogs, demoPort)
	packet := capture.Await(cats, dogs)
	n.sayf("%s", packet)
	n.weft(bed, "groups")
	var list api.GroupsList
	if err := json.Unmarshal([]byte(n.quietly(bed, "groups", "-o", "json")), &list); err != nil {
		n.Fatalf("read weft groups: %v", err)
	}
	for _, g := range list.Groups {
		if g.App != cats.App {
			continue
		}
		if g.Group != packet.Group {
			n.Fatalf("the packet carries group id %d, but cats is group %d", packet.Group, g.Group)
		}
		n.sayf("The packet's group policy id %d is that of cats.", g.Group)
		return
	}
	n.Fatalf("weft groups does not list cats")
}

// provenance shows the policy's own lines of dogs' cell.
func provenance(n *narrator, bed *testbed.Bed, policy api.PolicyDetail) {
	filter := "cookie=" + policy.Cookie + "/-1"
	n.sayf("What the policy is on dogs' cell, cell-2 (its cookie is %s):", policy.Cookie)
	n.sayf("$ ovs-ofctl -O OpenFlow14 --names dump-flows br-weft %s", filter)
	lines := 0
	for line := range strings.Lines(bed.Cell(2).Command("ovs-ofctl", "-O", "OpenFlow14", "--names", "dump-flows", "br-weft", filter)) {
		if strings.Contains(line, "table=policy") {
			n.sayf("%s", strings.TrimSpace(line))
			lines++
		}
	}
	if lines == 0 {
		n.Fatalf("no flow of table policy has the policy's cookie %s", policy.Cookie)
	}
	n.weft(bed, "explain", policy.Cookie)
}

// revoked removes the policy under an established connection.
func revoked(n *narrator, bed *testbed.Bed, cats, dogs *testbed.Container) {
	traffic := bed.Talk(cats, dogs, demoPort)
	n.sayf("An established connection of cats to dogs sends every 20 ms: %d answers so far.", traffic.Received())
	start := time.Now()
	n.weft(bed, append([]string{"remove-access"}, append(demoPolicy, "--wait")...)...)
	took := time.Since(start)
	last := traffic.Stops(2 * time.Second)
	n.sayf("It stopped: the last answer came %s the command had returned, which took %d ms.", when(last), took.Milliseconds())
	traffic.Reset()
	if got := cats.Ask(dogs.Port(demoPort), demoPort); got.Outcome != testbed.Refused {
		n.Fatalf("cats to dogs: %v, want refused", got)
	}
	n.sayf("cats was told (connection reset), and a new connection is refused again.")
}

func when(after time.Duration) string {
	if after == 0 {
		return "before"
	}
	return fmt.Sprintf("%d ms after", after.Milliseconds())
}
