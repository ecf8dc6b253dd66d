package runtimes

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// TestCNITool: every verb at version 1.1.0, as a person calls them.
func TestCNITool(t *testing.T) {
	c := newCell(t)
	c.network("1.1.0", `{"type": "weft-cni"}`)
	before := c.belongings()
	s := c.transcript("cnitool")
	s.do("cat /etc/cni/net.d/10-weft.conflist")
	s.do("export CNI_PATH=/opt/cni/bin")
	s.sees("CNI_COMMAND=VERSION weft-cni < /dev/null", `"1.1.0"`)
	s.do("cnitool status weft /run/netns/dogs-1")
	s.do("ip netns add dogs-1 && ip netns add cats-1")
	s.sees("CNI_ARGS=WEFT_APP=dogs cnitool add weft /run/netns/dogs-1", `"10.255.1.1/32"`)
	s.do("CNI_ARGS=WEFT_APP=cats cnitool add weft /run/netns/cats-1 > /dev/null")
	s.endpoints("cats", "dogs")
	s.do("cnitool check weft /run/netns/cats-1")
	s.do("ip netns exec cats-1 ip route del default")
	s.sees("cnitool check weft /run/netns/cats-1 2>&1 | tail -1", "route 0.0.0.0/0 via 169.254.0.1 is missing")
	s.do("cnitool del weft /run/netns/cats-1")
	s.endpoints("dogs")
	s.do("cnitool gc weft /run/netns/dogs-1   # of all that cnitool attached: it knows no valid ones")
	s.endpoints()
	s.end()
	c.must("ip netns del dogs-1; ip netns del cats-1")
	c.leavesNothing(before)
}

// many is how many calls are made at once.
const many = 32

// TestManyAtOnce: cnitool adds, checks and deletes so many containers in
// parallel, each with an address of its own.
func TestManyAtOnce(t *testing.T) {
	c := newCell(t)
	c.network("1.1.0", `{"type": "weft-cni", "app": "herd"}`)
	before := c.belongings()
	var namespaces []string
	for n := range many {
		namespaces = append(namespaces, fmt.Sprintf("/run/netns/herd-%d", n))
	}
	c.must("for n in $(seq 0 " + fmt.Sprint(many-1) + "); do ip netns add herd-$n; done")
	owner := map[string]string{}
	for namespace, out := range c.together("add", namespaces) {
		var result struct{ IPs []struct{ Address string } }
		if err := json.Unmarshal([]byte(out), &result); err != nil || len(result.IPs) != 1 {
			t.Fatalf("%s: %v: %s", namespace, err, out)
		}
		if other := owner[result.IPs[0].Address]; other != "" {
			t.Errorf("%s and %s both have %s", namespace, other, result.IPs[0].Address)
		}
		owner[result.IPs[0].Address] = namespace
	}
	c.together("check", namespaces)
	c.eventually("all are endpoints", func() error {
		if n := strings.Count(c.must("weft endpoints"), " herd "); n != many {
			return fmt.Errorf("%d of %d", n, many)
		}
		return nil
	})
	c.together("del", namespaces)
	c.must("for n in $(seq 0 " + fmt.Sprint(many-1) + "); do ip netns del herd-$n; done")
	c.leavesNothing(before)
}

// together calls cnitool for all namespaces at once.
func (c *cell) together(verb string, namespaces []string) map[string]string {
	c.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	outputs := map[string]string{}
	for _, namespace := range namespaces {
		all.Go(func() {
			cmd := exec.Command("cnitool", verb, "weft", namespace)
			cmd.Env = append(os.Environ(), "CNI_PATH="+pluginDir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				c.Errorf("%s: %v: %s", cmd, err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			outputs[namespace] = string(out)
		})
	}
	all.Wait()
	return outputs
}

// TestStatusTellsOfTheCell, by the codes of the specification.
func TestStatusTellsOfTheCell(t *testing.T) {
	c := newCell(t)
	c.network("1.1.0", `{"type": "weft-cni"}`)
	s := c.transcript("status")
	s.do("grep cniVersion /etc/cni/net.d/10-weft.conflist") // below 1.1.0 cnitool asks nobody
	s.do("cnitool status weft /run/netns/any && echo ready")
	s.do("kill $(pidof weft-agent)")
	c.eventually("the agent has ended", func() error { return c.try("! weft-agent status") })
	s.sees(`echo '{"cniVersion": "1.1.0", "name": "weft", "type": "weft-cni"}' | CNI_COMMAND=STATUS CNI_PATH=/opt/cni/bin weft-cni || true`, `"code": 50`)
	s.end()
}
