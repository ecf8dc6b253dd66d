// Command weft-agent keeps one cell's Open vSwitch bridge as the controller
// wants it. See package cellagent.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/cellagent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "weft-agent: %v\n", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var path string
	root := &cobra.Command{
		Use:   "weft-agent --config FILE",
		Short: "Keep this cell's bridge as the controller wants it",
		Long: `weft-agent runs on every cell. It asks the controller for the cell's overlay
subnet, makes the bridge and its VXLAN-GBP tunnel, reports the containers that
weft-cni attached, and keeps the bridge's flows equal to the controller's table.

It may be stopped and started at any time: running traffic does not notice, and
a start with nothing new changes no flow. SIGTERM leaves everything as it is.`,
		Example: `  # run, with a file like this:
  weft-agent --config /etc/weft/agent.yaml

  cell: cell-1
  underlay_ip: 172.31.0.1
  controller: https://controller.example:4003
  tls:
    cert_file: /etc/weft/cell-1.crt
    key_file: /etc/weft/cell-1.key
    ca_file: /etc/weft/ca.crt
  # defaults: ovsdb: unix:/run/openvswitch/db.sock, ovs_rundir: /var/run/openvswitch,
  # ovs_ofctl: ovs-ofctl, bridge: br-weft, datapath: "" (or netdev: a cell alone, without
  # tunnel), state_dir: /var/lib/weft/agent, subnet_file: /run/weft/subnet.json,
  # socket: /run/weft/agent.sock, log_level: info, reconcile_interval: 30s
  #
  # what containers may use of this host, and how they leave it (defaults: nothing, and
  # with the cell's address):
  dns_servers: [169.254.0.2]                # port 53, tcp and udp
  host_services: ["tcp 169.254.0.3:8301"]
  no_masquerade: [10.0.0.0/8]               # sees the containers' own addresses
  # new TCP connections per container and destination; rate_per_sec 0 (default): no limit
  outbound_connections: {rate_per_sec: 100, burst: 1000, dry_run: false}
  # defaults; file "": no log, "-": standard output. Denied: per container; udp: per cell
  flow_log: {file: /var/log/weft/flows.log, denied_per_sec: 1, accepted_udp_per_sec: 100}
  # defaults: resets and ICMP errors per second to whom is denied; more is dropped
  answers: {per_container: 100, per_cell: 1000}

  # what is it doing, and is the switch in step?
  weft-agent status`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return errors.New("--config FILE is missing; weft-agent --help shows a file to start from")
			}
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: cfg.Level()}))
			slog.SetDefault(log) // for the database client, which has no logger of its own
			return cellagent.Run(cmd.Context(), cfg, log)
		},
	}
	root.Flags().StringVar(&path, "config", "", "YAML file; its keys are in the example above")
	root.AddCommand(statusCommand(), cleanupCommand())
	return root
}
