package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/weft-sdn/weft/ovsdb"
)

// GC removes what attachments of the configuration's network have left behind
// that the runtime does not know (any longer). Those of other networks on the
// same bridge are not its business, nor is what a version made that kept no
// network. What cannot be removed holds up nothing else, and the error says how
// much has been. As the specification has it, no ADD or DEL of the network is
// under way.
func (p Plugin) GC(args *skel.CmdArgs) error {
	conf, err := parsePlaces(args.StdinData)
	if err != nil {
		return err
	}
	var network types.PluginConf
	if err := json.Unmarshal(args.StdinData, &network); err != nil {
		return undecodable(args.StdinData, err)
	}
	r := remover{Plugin: p, places: conf}
	defer r.close()
	found, err := r.leftovers(network.Name)
	faults := []error{err}
	for _, valid := range network.ValidAttachments {
		delete(found, valid)
	}
	removed := 0
	for _, stale := range slices.SortedFunc(maps.Keys(found), func(a, b types.GCAttachment) int {
		return slices.Compare([]string{a.ContainerID, a.IfName}, []string{b.ContainerID, b.IfName})
	}) {
		if err := r.inTime(stale); err != nil {
			faults = append(faults, err)
			continue
		}
		removed++
	}
	err = errors.Join(faults...)
	if err == nil {
		return nil
	}
	reason := *coded(CodeAttach, err, callAgain)
	reason.Msg = fmt.Sprintf("removed what %d of %d attachments had left: %s", removed, len(found), reason.Msg)
	reason.Details += "; call GC again for the others"
	return &reason
}

// inTime removes what one attachment has left. Each has its own time: there may
// be any number of them.
func (r *remover) inTime(stale types.GCAttachment) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return r.remove(ctx, stale.ContainerID, stale.IfName)
}

// leftovers are all attachments of the network of which there is anything: what
// an ADD does first is to reserve, and what a DEL does last to release.
func (r *remover) leftovers(network string) (map[types.GCAttachment]struct{}, error) {
	found := map[types.GCAttachment]struct{}{}
	err := (addresses{r.places.DataDir, r.places.Bridge}).open(func(s *store) error {
		if err := s.begin(); err != nil {
			return err
		}
		all, err := s.all()
		for _, reserved := range all {
			if reserved.network == network {
				found[types.GCAttachment{ContainerID: reserved.container, IfName: reserved.ifName}] = struct{}{}
			}
		}
		return err
	})
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if away := r.connect(ctx); away != nil {
		return found, errors.Join(err, away)
	}
	ports, portsErr := r.db.Ports(ctx, r.places.Bridge)
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
