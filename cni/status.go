package cni

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
)

// Status tells whether an ADD could succeed now: it fails if the cell has no
// lease or takes no containers, its agent does not run, Open vSwitch is away,
// or the bridge is not the cell's.
func (p Plugin) Status(args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	db, err := dial(ctx, conf.Places)
	if err != nil {
		return limited(err) // nobody tells the switch what to do with new connections
	}
	defer db.Close()
	lease, err := ReadLease(conf.SubnetFile)
	if err != nil {
		return unavailable(err)
	}
	if _, err := bridgeStatus(ctx, db, conf.Bridge, lease.Cell); err != nil {
		return unavailable(err)
	}
	return unavailable(agentRuns(ctx, lease))
}

// agentRuns asks nothing: whoever listens lives.
func agentRuns(ctx context.Context, lease Lease) error {
	if lease.Socket == "" {
		return nil // an older agent does not say where
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", lease.Socket)
	if err != nil {
		return failure(types.ErrTryAgainLater, fmt.Sprintf("weft-agent does not run: %v", err), "systemctl start weft-agent")
	}
	return conn.Close()
}

// unavailable is how STATUS says "not ready", whatever the reason's own code.
func unavailable(err error) error {
	var reason *types.Error
	if errors.As(err, &reason) && reason.Code == types.ErrLimitedConnectivity {
		return err
	}
	return as(types.ErrPluginNotAvailable, err)
}

// limited is "not ready", with doubts about the containers that run.
func limited(err error) error { return as(types.ErrLimitedConnectivity, err) }

// notNow is how ADD says of any limit that it is to be tried again: the code for
// those that run is of STATUS alone.
func notNow(err error) error {
	var reason *types.Error
	if errors.As(err, &reason) && reason.Code == types.ErrLimitedConnectivity {
		return as(types.ErrTryAgainLater, err)
	}
	return err
}

func as(code uint, err error) error {
	if err == nil {
		return nil
	}
	reason := *coded(CodeAttach, err, lookAtCell)
	reason.Code = code
	return &reason
}
