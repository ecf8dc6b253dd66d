package cni

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	cnins "github.com/containernetworking/cni/pkg/ns"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/weft-sdn/weft/ovsdb"
)

// Versions lists the versions of the CNI specification that the plugin speaks.
var Versions = version.PluginSupports("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")

// dialTimeout bounds what needs no waiting for an agent.
const dialTimeout = 5 * time.Second

// Plugin answers the verbs of CNI. GC has nothing to do beyond the DELs that a
// runtime makes of it.
type Plugin struct {
	Stdout io.Writer // takes the result of ADD
}

// Funcs is the plugin as CNI's skeleton calls it.
func (p Plugin) Funcs() skel.CNIFuncs {
	return skel.CNIFuncs{Add: p.Add, Del: p.Del, Check: p.Check, Status: p.Status}
}

// Add plugs the container in, or leaves nothing behind. Errors are
// *types.Error.
func (p Plugin) Add(args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), conf.ReadyTimeout)
	defer cancel()
	a, err := prepare(ctx, conf, invocation(args))
	if err != nil {
		return err
	}
	defer a.db.Close()
	if err := run(ctx, a.steps()); err != nil {
		return err
	}
	return printResult(p.Stdout, conf, a.Attachment)
}

// prepare finds out everything that can be wrong before anything is touched.
// The caller closes the connection.
func prepare(ctx context.Context, conf Config, inv Invocation) (*adding, error) {
	lease, err := ReadLease(conf.SubnetFile)
	if err != nil {
		return nil, err
	}
	plan, err := Plan(inv, conf, lease)
	if err != nil {
		return nil, err
	}
	if err := netNSUsable(plan.NetNS); err != nil {
		return nil, err
	}
	db, err := dial(ctx, conf.Places)
	if err != nil {
		return nil, err
	}
	err = bridgeUsable(db.Status(conf.Bridge), conf.Bridge, lease.Cell)
	if err == nil {
		err = hostPortsFree(db, plan)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return &adding{
		Attachment: plan, lease: lease, timeout: conf.ReadyTimeout, db: db, addresses: addresses{conf.DataDir, conf.Bridge},
	}, nil
}

// Del unplugs the container. It needs neither the namespace nor an agent, and
// succeeds if there is nothing to do.
func (p Plugin) Del(args *skel.CmdArgs) error {
	conf, err := parsePlaces(args.StdinData)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	name := hostName(args.ContainerID, args.IfName)
	portErr := deletePort(ctx, conf, name)
	if err := deleteVeth(name); err != nil {
		return coded(CodeAttach, errors.Join(err, portErr))
	}
	if portErr != nil { // its address is still somebody's
		return portErr
	}
	if err := (addresses{conf.DataDir, conf.Bridge}).release(args.ContainerID, args.IfName); err != nil {
		return coded(types.ErrIOFailure, err)
	}
	return nil
}

func deletePort(ctx context.Context, conf Places, name string) error {
	db, err := dial(ctx, conf)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.DeletePort(ctx, conf.Bridge, name); err != nil {
		return coded(CodeAttach, err)
	}
	return nil
}

// Status tells whether an ADD could succeed now.
func (p Plugin) Status(args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	lease, err := ReadLease(conf.SubnetFile)
	if err != nil {
		return unavailable(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	db, err := dial(ctx, conf.Places)
	if err != nil {
		return unavailable(err)
	}
	defer db.Close()
	return unavailable(bridgeUsable(db.Status(conf.Bridge), conf.Bridge, lease.Cell))
}

// unavailable is how STATUS says "not ready", whatever the reason's own code.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	reason := *coded(CodeAttach, err)
	reason.Code = types.ErrPluginNotAvailable
	return &reason
}

func invocation(args *skel.CmdArgs) Invocation {
	return Invocation{Container: args.ContainerID, IfName: args.IfName, NetNS: args.Netns, Args: args.Args}
}

func dial(ctx context.Context, conf Places) (*ovsdb.Client, error) {
	db, err := ovsdb.Dial(ctx, conf.OVSDB)
	if err != nil {
		return nil, failure(types.ErrTryAgainLater, err.Error(), "start openvswitch-switch, or correct ovsdb in the network configuration")
	}
	return db, nil
}

// bridgeUsable refuses a bridge that is not there or not this cell's.
func bridgeUsable(s ovsdb.Status, bridge, cell string) error {
	switch {
	case !s.Bridge:
		return failure(CodeBridge, fmt.Sprintf("bridge %q does not exist: has weft-agent made it, under this name?", bridge),
			"start weft-agent, or correct bridge in the network configuration")
	case s.Owner == "" || s.Owner != cell && cell != "":
		return failure(CodeBridge, fmt.Sprintf("bridge %q belongs to %q, and this cell is %q", bridge, s.Owner, cell),
			"correct bridge or subnetFile in the network configuration")
	}
	return nil
}

// netNSUsable refuses a namespace that is missing, or the plugin's own.
func netNSUsable(path string) error {
	handle, err := ns.GetNS(path)
	if err != nil {
		return failure(types.ErrInvalidNetNS, fmt.Sprintf("CNI_NETNS %q: %v", path, err), "has the container ended already?")
	}
	defer handle.Close()
	if own, _ := cnins.CheckNetNS(path); own {
		return failure(types.ErrInvalidNetNS, fmt.Sprintf("CNI_NETNS %q is the cell's own network namespace", path), "")
	}
	return nil
}
