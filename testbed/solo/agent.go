package solo

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/testbed/daemon"
)

// Rest has addresses rest that are given back. They do not in a new cell: tests
// would run out of them. The agent is started again.
func (c *Cell) Rest(rest time.Duration) {
	c.Helper()
	c.Must(c.configureAgent(rest))
	c.KillAgent()
	c.StartAgent()
	c.InStep()
	c.Eventually("the agent tells weft-cni", func() bool {
		text, err := os.ReadFile(c.Path("subnet.json"))
		c.Must(err)
		return strings.Contains(string(text), fmt.Sprintf(`"address_rest_ms":%d,`, rest.Milliseconds()))
	})
}

// configureAgent writes weft-agent's configuration file.
func (c *Cell) configureAgent(rest time.Duration) error {
	config := fmt.Sprintf(`cell: cell-1
underlay_ip: %[1]s
controller: https://%[2]s
tls: {cert_file: %[3]s/pki/cell-1.crt, key_file: %[3]s/pki/cell-1.key, ca_file: %[3]s/pki/ca.crt}
ovsdb: %[4]s
ovs_rundir: %[5]s
bridge: %[6]s
datapath: %[7]q
state_dir: %[3]s/agent
subnet_file: %[3]s/subnet.json
socket: %[3]s/agent.sock
address_rest: %[8]s
log_level: debug
flow_log: {file: ""}
`, loopback, c.server.Internal, c.dir, c.Switch.DB(), c.Switch.RunDir(), Bridge, c.datapath, rest)
	return os.WriteFile(c.Path("weft-agent.yaml"), []byte(config), 0o600)
}

// StartAgent starts weft-agent, unless it runs, and does not wait for anything.
func (c *Cell) StartAgent() {
	c.Helper()
	if c.agent != nil {
		return
	}
	log, err := os.OpenFile(c.Path("agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	c.Must(err)
	defer log.Close()
	c.agent, err = daemon.Start(daemon.Program{Argv: []string{programs + "/weft-agent", "--config", c.Path("weft-agent.yaml")}, Log: log})
	c.Must(err)
}

// KillAgent kills weft-agent (SIGKILL), if it runs.
func (c *Cell) KillAgent() {
	if c.agent != nil {
		c.agent.Kill()
		c.agent = nil
	}
}

// Status asks the agent.
func (c *Cell) Status() (cellagent.Status, error) {
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	return cellagent.FetchStatus(ctx, c.Path("agent.sock"))
}

// tail is the end of a log.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
