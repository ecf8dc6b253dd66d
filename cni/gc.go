package cni

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/ovsdb"
)

// GC removes what attachments of the configuration's network have left behind
// that the runtime does not know (any longer). Those of other networks on the
// same bridge are not its business, nor is what a version made that kept no
// network. What cannot be removed holds up nothing else. As the specification
// has it, no ADD or DEL of the network is under way.
func (p Plugin) GC(args *skel.CmdArgs) error {
	conf, err := parsePlaces(args.StdinData)
	if err != nil {
		return err
	}
	var network types.PluginConf
	if err := json.Unmarshal(args.StdinData, &network); err != nil {
		return undecodable(args.StdinData, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	found, err := leftovers(ctx, conf, network.Name)
	faults := []error{err}
	for _, valid := range network.ValidAttachments {
		delete(found, valid)
	}
	for _, stale := range slices.SortedFunc(maps.Keys(found), func(a, b types.GCAttachment) int {
		return slices.Compare([]string{a.ContainerID, a.IfName}, []string{b.ContainerID, b.IfName})
	}) {
		faults = append(faults, p.remove(ctx, conf, stale.ContainerID, stale.IfName))
	}
	if err := errors.Join(faults...); err != nil {
		return coded(CodeAttach, err, callAgain)
	}
	return nil
}

// leftovers are all attachments of the network of which there is anything: what
// an ADD does first is to reserve, and what a DEL does last to release.
func leftovers(ctx context.Context, conf Places, network string) (map[types.GCAttachment]struct{}, error) {
	found := map[types.GCAttachment]struct{}{}
	err := (addresses{conf.DataDir, conf.Bridge}).open(func(s *store) error {
		if err := s.begin(); err != nil {
			return err
		}
		all, err := s.all()
		for _, r := range all {
			if r.network == network {
				found[types.GCAttachment{ContainerID: r.container, IfName: r.ifName}] = struct{}{}
			}
		}
		return err
	})
	db, dialErr := dial(ctx, conf)
	if dialErr != nil {
		return found, errors.Join(err, dialErr)
	}
	defer db.Close()
	ports, portsErr := db.Ports(ctx, conf.Bridge)
	if errors.Is(portsErr, ovsdb.ErrNoBridge) {
		portsErr = nil
	}
	for _, port := range ports {
		if port.Network == network && port.Name == hostName(port.Container, port.IfName) {
			found[types.GCAttachment{ContainerID: port.Container, IfName: port.IfName}] = struct{}{}
		}
	}
	return found, errors.Join(err, portsErr)
}
