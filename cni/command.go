package cni

import (
	"context"
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

// Plugin answers the verbs of CNI. Errors are *types.Error, as runtimes show
// them.
type Plugin struct {
	Stdout io.Writer // takes the result of ADD

	// After, unless it is nil, is called after each step of ADD, DEL and GC with
	// the step's name, and after each that a failed ADD takes back with Undone and
	// the name: what if the plugin ended there?
	After func(step string)
}

// Funcs is the plugin as CNI's skeleton calls it.
func (p Plugin) Funcs() skel.CNIFuncs {
	return skel.CNIFuncs{Add: p.Add, Del: p.Del, Check: p.Check, GC: p.GC, Status: p.Status}
}

// did tells whoever listens that a step is done.
func (p Plugin) did(step string) {
	if p.After != nil {
		p.After(step)
	}
}

// Add plugs the container in, or leaves nothing behind.
func (p Plugin) Add(args *skel.CmdArgs) error {
	conf, err := ParseConfig(args.StdinData)
	if err != nil {
		return err
	}
	before, err := previous(&conf)
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
	// What the runtime was not told of it would not remove, either.
	answer := step{"returning the result", func(context.Context) error {
		return printResult(p.Stdout, conf, join(before, result(conf, a.Attachment)))
	}, nil}
	return run(ctx, append(a.steps(), answer), p.did)
}

// prepare finds out everything that can be wrong before anything is touched.
// The caller closes the connection.
func prepare(ctx context.Context, conf Config, inv Invocation) (*adding, error) {
	lease, err := ReadLease(conf.SubnetFile)
	if err != nil {
		return nil, notNow(err)
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
	status, err := bridgeStatus(ctx, db, conf.Bridge, lease.Cell)
	if err != nil {
		db.Close()
		return nil, err
	}
	return &adding{
		Attachment: plan, places: conf.Places, lease: lease, cell: status.Owner, timeout: conf.ReadyTimeout,
		checksums: checksumsOn(status.DatapathType), db: db, addresses: addresses{conf.DataDir, conf.Bridge},
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
	remover := remover{Plugin: p, places: conf}
	defer remover.close()
	return remover.remove(ctx, args.ContainerID, args.IfName)
}

func invocation(args *skel.CmdArgs) Invocation {
	return Invocation{Container: args.ContainerID, IfName: args.IfName, NetNS: args.Netns, Args: args.Args}
}

func dial(ctx context.Context, conf Places) (*ovsdb.Conn, error) {
	db, err := ovsdb.Dial(ctx, conf.OVSDB)
	if err != nil {
		return nil, noDatabase(err)
	}
	return db, nil
}

// noDatabase says that ovsdb-server does not answer.
func noDatabase(err error) error {
	return failure(types.ErrTryAgainLater, err.Error(), "start openvswitch-switch, or correct ovsdb in the network configuration")
}

// bridgeStatus refuses a bridge that is not there or not this cell's.
func bridgeStatus(ctx context.Context, db *ovsdb.Conn, bridge, cell string) (ovsdb.Status, error) {
	s, err := db.Status(ctx, bridge)
	switch {
	case err != nil:
		return s, noDatabase(err)
	case !s.Bridge:
		return s, failure(CodeBridge, fmt.Sprintf("bridge %q does not exist: has weft-agent made it, under this name?", bridge),
			"start weft-agent, or correct bridge in the network configuration")
	case s.Owner == "" || s.Owner != cell && cell != "":
		return s, failure(CodeBridge, fmt.Sprintf("bridge %q belongs to %q, and this cell is %q", bridge, s.Owner, cell),
			"correct bridge or subnetFile in the network configuration")
	}
	return s, nil
}

// netNSUsable refuses a namespace that is missing, or the plugin's own.
func netNSUsable(path string) error {
	handle, err := ns.GetNS(path)
	if err != nil {
		return failure(types.ErrInvalidNetNS, fmt.Sprintf("CNI_NETNS %q: %v", path, err), "pass the namespace of a container that runs: has it ended already?")
	}
	defer handle.Close()
	if own, _ := cnins.CheckNetNS(path); own {
		return failure(types.ErrInvalidNetNS, fmt.Sprintf("CNI_NETNS %q is the cell's own network namespace", path), "pass the container's")
	}
	return nil
}
