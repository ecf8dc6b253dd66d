package cellagent

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/weft-sdn/weft/cellagent/hostnet"
	"github.com/weft-sdn/weft/ovsdb"
	"github.com/weft-sdn/weft/ovsdb/mirror"
)

// Extent is how much Cleanup takes away.
type Extent int

// The extents.
const (
	HostOnly      Extent = iota // what the agent made on the host: nftables tables, route, neighbour, devices
	HostAndBridge               // and the OVS bridge with its ports
)

// Cleanup takes away what an agent with this configuration made, and says in
// words what there was. It refuses while that agent runs, and a bridge that is
// not the cell's or has containers; then nothing is touched.
func Cleanup(ctx context.Context, cfg Config, extent Extent) (removed []string, err error) {
	if conn, err := net.Dial("unix", cfg.Socket); err == nil {
		conn.Close()
		return nil, fmt.Errorf("weft-agent runs (it answers on %s): stop it first, or it makes everything anew", cfg.Socket)
	}
	var db *mirror.Client
	if extent == HostAndBridge {
		ctx, cancel := context.WithTimeout(ctx, configureTimeout)
		defer cancel()
		if db, err = mirror.Dial(ctx, cfg.OVSDB); err != nil {
			return nil, err
		}
		defer db.Close()
		if err := removable(db, cfg); err != nil {
			return nil, err
		}
	}
	removed, err = hostnet.Remove(ctx, cfg.Bridge)
	if err != nil || db == nil || !db.Status(cfg.Bridge).Bridge {
		return removed, err
	}
	ctx, cancel := context.WithTimeout(ctx, configureTimeout)
	defer cancel()
	if err := db.DeleteBridge(ctx, cfg.Bridge, cfg.Cell); err != nil {
		return removed, err
	}
	return append(removed, "OVS bridge "+cfg.Bridge), nil
}

// removable refuses a bridge of somebody else, or with containers.
func removable(db *mirror.Client, cfg Config) error {
	ports, err := db.Ports(cfg.Bridge)
	if errors.Is(err, ovsdb.ErrNoBridge) {
		return nil
	}
	if err != nil {
		return err
	}
	if owner := db.Status(cfg.Bridge).Owner; owner != cfg.Cell {
		return fmt.Errorf("%w: bridge %s is owned by %q", ovsdb.ErrForeignBridge, cfg.Bridge, owner)
	}
	if len(ports) > 0 {
		return fmt.Errorf("bridge %s has %s, such as %s: remove what is there first", cfg.Bridge, counted(len(ports)), ports[0].Container)
	}
	return nil
}
