package cellagent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/weft-sdn/weft/cellagent/doctor"
	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/flows"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// tunnelPort is the name of the bridge's VXLAN-GBP port.
const tunnelPort = "weftvxlan"

// denyPort is the internal port by which denied packets leave the bridge.
const denyPort = hostnet.DenyDevice

// configureTimeout bounds waiting for ovs-vswitchd to make a bridge or tunnel.
const configureTimeout = 5 * time.Second

// errRefused marks what cannot work as configured. Waiting does not help, but
// the agent stays and looks again: what runs keeps running, and status says why.
var errRefused = errors.New("refused")

// configure makes the bridge and its tunnel as the lease wants them. Doing it
// again writes nothing.
func (a *Agent) configure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, configureTimeout)
	defer cancel()
	vtep, err := netip.ParseAddr(a.cfg.UnderlayIP)
	if err != nil {
		return fmt.Errorf("underlay_ip: %w", err)
	}
	underlay, err := doctor.FindUnderlay(vtep)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	mtu, err := doctor.ContainerMTU(underlay.MTU)
	if err != nil {
		return fmt.Errorf("%w: interface %s: %w", errRefused, underlay.Name, err)
	}
	if err := a.clearDatapath(ctx, a.db.Status(a.cfg.Bridge)); err != nil {
		return err
	}
	err = a.db.EnsureBridge(ctx, mirror.Bridge{
		Name: a.cfg.Bridge, Cell: a.cfg.Cell, Datapath: a.cfg.Datapath, Tables: flows.TableNames(),
		HWAddr: flows.GatewayMAC.String(),
	})
	if errors.Is(err, ovsdb.ErrForeignBridge) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", a.cfg.Bridge, err)
	}
	switch s := a.db.Status(a.cfg.Bridge); {
	case s.DatapathID != "":
	case !s.Connected || s.CurCfg < s.NextCfg:
		return fmt.Errorf("bridge %s: ovs-vswitchd has not made it yet: is it running?", a.cfg.Bridge)
	default:
		return fmt.Errorf("%w: ovs-vswitchd could not make bridge %s: does the kernel have the openvswitch module (modprobe openvswitch)? A cell alone can run with datapath: netdev",
			errRefused, a.cfg.Bridge)
	}
	if !a.alone() {
		if err := a.checkTunnelPort(); err != nil {
			return err
		}
		err := a.db.EnsureTunnel(ctx, a.cfg.Bridge, mirror.Tunnel{
			Name: tunnelPort, OFPort: int(flows.TunnelOFPort), UDPPort: a.lease.wire.VXLANPort, LocalIP: vtep,
		})
		if err != nil {
			return fmt.Errorf("tunnel: %w", err)
		}
	}
	if err := a.db.EnsureInternal(ctx, a.cfg.Bridge, mirror.Internal{Name: denyPort, OFPort: int(flows.DenyOFPort)}); err != nil {
		return fmt.Errorf("deny port: %w", err)
	}
	a.mtu = mtu
	return nil
}

// alone reports whether the cell runs without a tunnel. The controller knows
// no such cells: it sends the flows towards other cells too, and reconcile
// leaves them out, so that packets to them meet a counted drop in table
// destination and not a port that is missing.
func (a *Agent) alone() bool { return a.cfg.Datapath == DatapathAlone }

// clearDatapath takes away a bridge of ours that is on another datapath than
// configured, to be made anew, unless containers are on it: that would cut their
// traffic, and is refused. Above all no tunnel may come to be on the userspace
// datapath: there VXLAN carries no group id, and the sender does not notice.
func (a *Agent) clearDatapath(ctx context.Context, have ovsdb.Status) error {
	userspace := have.DatapathType == ovsdb.DatapathUserspace
	if !have.Bridge || have.Owner != a.cfg.Cell || userspace == a.alone() {
		return nil
	}
	ports, err := a.db.Ports(a.cfg.Bridge)
	switch {
	case err != nil:
		return fmt.Errorf("bridge %s: %w", a.cfg.Bridge, err)
	case len(ports) == 0:
		a.log.Info("makes the bridge anew: nothing is on it, and its datapath is not the configured one", "bridge", a.cfg.Bridge, "datapath_type", have.DatapathType)
		if err := a.db.DeleteBridge(ctx, a.cfg.Bridge, a.cfg.Cell); err != nil {
			return fmt.Errorf("bridge %s: make it anew on another datapath: %w", a.cfg.Bridge, err)
		}
		return nil
	case userspace:
		return fmt.Errorf("%w: bridge %s is on the userspace datapath, whose VXLAN carries no group id, and has %s: it is made anew on the kernel's when it has none; or set datapath: netdev for a cell alone",
			errRefused, a.cfg.Bridge, counted(len(ports)))
	}
	return fmt.Errorf("%w: bridge %s is on the kernel datapath, but the configuration says datapath: netdev, and it has %s: it is made anew when it has none",
		errRefused, a.cfg.Bridge, counted(len(ports)))
}

// counted is a number of containers in words.
func counted(containers int) string {
	if containers == 1 {
		return "1 container"
	}
	return fmt.Sprintf("%d containers", containers)
}
